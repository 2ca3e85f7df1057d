"""Which volumes of a scene belong together, and what the engine gets of them."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from head_phantoms import head
from medgan.draft import Draft
from medgan.draft_checks import DifferentPatients
from medgan.errors import InputError
from MedGANTrainingLib.dataset.AddPair import addPair, volumesOf
from MedGANTrainingLib.dataset.Identity import identityOf
from MedGANTrainingLib.dataset.NamePattern import NamePattern
from MedGANTrainingLib.dataset.SceneImport import addScenes, openedScene
from MedGANTrainingLib.dataset.ScenePairs import pairOf, pairsInScene
from slicer_fixtures import addGridTransform, addLinearTransform, nodeIDs, voxels
from training_scenes import addHead, addPatient, addStudy, addVolumeNode, put

MR_CT = ("MR", "CT")
SHIFT = np.array([[1.0, 0, 0, 12], [0, 1, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1]])


def names(pairs):
    return [
        tuple(node.GetName() if node is not None else None for node in (pair.source, pair.target)) for pair in pairs
    ]


class ScenePairsTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def assertRefused(self, *words, **arguments):
        with self.assertRaises(InputError) as caught:
            pairsInScene(**arguments)
        sentence = str(caught.exception)
        self.assertNotIn("\n", sentence)
        for word in words:
            self.assertIn(word, sentence)

    def test_byStudyTheModalityTellsWhichIsWhich(self):
        first, second = addPatient("Ann", "A1"), addPatient("Bob", "B2")
        ctFirst = addStudy(first)
        ct, mr = addVolumeNode(head(0)[1], "late"), addVolumeNode(head(0)[0], "early")
        put(ct, ctFirst, "CT"), put(mr, ctFirst, "MR")
        addHead(1, second)
        alone = addVolumeNode(head(2)[0], "lonely")
        put(alone, addStudy(second, "Other"), "MR")
        pairs = pairsInScene("study", modalities=MR_CT)
        self.assertEqual(names(pairs), [("early", "late"), ("head1_mr", "head1_ct")])
        self.assertEqual([pair.patientName for pair in pairs], ["Ann", "Bob"])
        self.assertEqual([pair.patient for pair in pairs], ["", ""])  # a DICOM patient's name leaves the screen nowhere
        self.assertEqual([pair.problems for pair in pairs], [(), ()])
        self.assertEqual(pairs[0].identity["source"]["PatientID"], "A1")

    def test_byPatientAcrossStudies(self):
        patient = addPatient("Ann")
        put(addVolumeNode(head(0)[0], "mr"), addStudy(patient, "May"), "MR")
        put(addVolumeNode(head(0)[1], "ct"), addStudy(patient, "June"), "CT")
        self.assertRefused("study", rule="study", modalities=MR_CT)
        (pair,) = pairsInScene("patient", modalities=MR_CT)
        self.assertEqual((names([pair]), pair.patient), ([("mr", "ct")], "Ann"))

    def test_aFolderStandsForAStudy(self):
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Volunteer 7")
        low, full = addVolumeNode(head(0)[1], "a"), addVolumeNode(head(0)[1], "b")
        put(low, folder), put(full, folder)
        (pair,) = pairsInScene("study", modalities=("CT", "CT"))
        self.assertEqual((names([pair]), pair.patient), ([("a", "b")], "Volunteer 7"))
        self.assertIn("guess", " ".join(pair.problems))
        (pair,) = pairsInScene("study", "b*", "a*", modalities=("CT", "CT"))
        self.assertEqual((names([pair]), pair.problems), ([("b", "a")], ()))

    def test_whatMayBeSeveralPairsIsDoubtful(self):
        study = addStudy(addPatient("Ann"))
        for name, modality in (("t1", "MR"), ("t2", "MR"), ("ct", "CT")):
            put(addVolumeNode(head(0)[0], name), study, modality)
        pairs = pairsInScene("study", modalities=MR_CT)
        self.assertEqual(names(pairs), [("t1", "ct"), ("t2", "ct")])
        self.assertTrue(all(pair.problems for pair in pairs))
        self.assertEqual(names(pairsInScene("study", "t2", modalities=MR_CT)), [("t2", "ct")])
        self.assertEqual(names(pairsInScene("study", "t2", "c*", modalities=MR_CT)), [("t2", "ct")])

    def test_byName(self):
        for name in ("P1_low dose", "P1_full", "p2_full", "P2_low", "P3_low", "other"):
            addVolumeNode(head(0)[1], name)
        pairs = pairsInScene("name", "{patient}_low*", "{patient}_full")
        self.assertEqual(names(pairs), [("P1_low dose", "P1_full"), ("P2_low", "p2_full")])
        self.assertEqual([pair.patient for pair in pairs], ["P1", "P2"])

    def test_twoThatFitOneName(self):
        for name in ("a_mr1", "a_mr2", "a_ct"):
            addVolumeNode(head(0)[0], name)
        pairs = pairsInScene("name", "{scan}_mr*", "{scan}_ct")
        self.assertEqual(names(pairs), [("a_mr1", "a_ct"), ("a_mr2", "a_ct")])
        self.assertIn("Several", pairs[0].problems[0])

    def test_singleVolumes(self):
        addHead(0, addPatient("Ann"))
        self.assertEqual(
            names(pairsInScene(single=True, modalities=("CT", "CT"))), [("head0_mr", None), ("head0_ct", None)]
        )
        self.assertEqual(names(pairsInScene(single=True, modalities=MR_CT)), [("head0_mr", None), (None, "head0_ct")])
        self.assertEqual(names(pairsInScene(sourcePattern="*_ct", single=True)), [("head0_ct", None)])

    def test_patternsThatCannotBeUsed(self):
        addHead(0)
        self.assertRefused("two patterns", rule="name", sourcePattern="{a}")
        self.assertRefused("in common", rule="name", sourcePattern="{a}_mr", targetPattern="{b}_ct")
        self.assertRefused("not understood", rule="name", sourcePattern="{a}_{a}", targetPattern="{a}")
        self.assertRefused("No two volumes", rule="name", sourcePattern="{a}.nii", targetPattern="{a}_ct")
        self.assertRefused("no rule", rule="colour")
        self.assertIsNone(NamePattern("{p}_mr").match("x_mr.nii"))
        self.assertEqual(NamePattern("*.{p}").match("a(b.c"), {"p": "c"})

    def test_anEmptySceneAndVolumesWithoutVoxels(self):
        self.assertRefused("no volumes")
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "label")
        self.assertRefused("no volumes", single=True)

    def test_identity(self):
        patient = addPatient("Ann", "A1")
        node = put(addVolumeNode(head(0)[0], "mr"), addStudy(patient, uid="1.2.3"), "MR", "1.2.3.4")
        expected = {"PatientID": "A1", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}
        self.assertEqual(identityOf(node), expected)
        self.assertEqual(identityOf(addVolumeNode(head(0)[0], "free")), {})

    def test_twoPatientsInOneFolder(self):
        mr = put(addVolumeNode(head(0)[0], "mr"), addStudy(addPatient("Ann", "A1")), "MR")
        ct = put(addVolumeNode(head(0)[1], "ct"), addStudy(addPatient("Bob", "B2")), "CT")
        self.assertIn("different patients", pairOf(mr, ct).problems[0])


class AddPairTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.draft = Draft.create(self.folder / "draft", "mr-to-ct")

    def test_theWorldCountsWhereOneOfThemIsMoved(self):
        mr, ct = addHead(0)
        transform = addLinearTransform(SHIFT)
        ct.SetAndObserveTransformNodeID(transform.GetID())
        source, target = volumesOf(mr, ct)
        np.testing.assert_allclose(target.geometry.origin_mm, head(0)[1].geometry.origin_mm + SHIFT[:3, 3])
        np.testing.assert_array_equal(source.geometry.origin_mm, head(0)[0].geometry.origin_mm)
        mr.SetAndObserveTransformNodeID(transform.GetID())
        for volume in volumesOf(mr, ct):  # they move together: their own grids, to the last bit
            np.testing.assert_array_equal(volume.geometry.origin_mm, head(0)[0].geometry.origin_mm)

    def test_aBentVolumeIsRefused(self):
        mr, ct = addHead(0)
        ct.SetAndObserveTransformNodeID(addGridTransform(ct).GetID())
        with self.assertRaisesRegex(InputError, "head0_ct.*harden"):
            addPair(self.draft, mr, ct, "p")
        self.assertEqual(self.draft.cases, ())

    def test_theCaseOutlivesTheScene(self):
        mr, ct = addHead(0, addPatient("Ann", "A1"))
        expected = voxels(mr)
        case = addPair(self.draft, mr, ct)
        slicer.mrmlScene.Clear(0)
        stored = Draft.load(self.draft.folder).volume(case.id, "source", raw=True)
        np.testing.assert_array_equal(stored.array, expected)
        self.assertEqual((stored.modality, case.name), ("MR", "head0_mr - head0_ct"))
        everything = b"".join(path.read_bytes() for path in self.draft.folder.rglob("*.json"))
        self.assertNotIn(b"Ann", everything)
        self.assertNotIn(b"A1", everything.replace(b"\\u00", b""))

    def test_differentPatientsAskFirst(self):
        mr = put(addVolumeNode(head(0)[0], "mr"), addStudy(addPatient("Ann", "A1")), "MR")
        ct = put(addVolumeNode(head(0)[1], "ct"), addStudy(addPatient("Bob", "B2")), "CT")
        with self.assertRaises(DifferentPatients):
            addPair(self.draft, mr, ct)
        self.assertEqual(self.draft.cases, ())
        addPair(self.draft, mr, ct, force=True)
        self.assertEqual(len(self.draft.cases), 1)

    def test_theSameVolumeTwice(self):
        mr, _ct = addHead(0)
        with self.assertRaisesRegex(InputError, "both source and target"):
            addPair(self.draft, mr, mr, "p")

    def test_pairsOfSavedScenes(self):
        paths = []
        for seed, suffix in ((0, ".mrb"), (1, ".mrml")):
            slicer.mrmlScene.Clear(0)
            nodes = addHead(seed, addPatient(f"P{seed}") if seed == 0 else None)
            transform = addLinearTransform(SHIFT)
            nodes[1].SetAndObserveTransformNodeID(transform.GetID())
            path = self.folder / f"scene{seed}{suffix}"
            if suffix == ".mrml":
                for node in nodes:
                    slicer.util.saveNode(node, str(self.folder / f"{node.GetName()}.nrrd"))
                slicer.util.saveNode(transform, str(self.folder / "transform.h5"))
            self.assertTrue(slicer.util.saveScene(str(path)))
            paths.append(path)
        slicer.mrmlScene.Clear(0)
        addHead(2, addPatient("Present"))
        url, before = slicer.mrmlScene.GetURL(), nodeIDs()
        (self.folder / "broken.mrml").write_text("no scene")
        broken = [self.folder / name for name in ("broken.mrml", "missing.mrb", "picture.png")]
        cases, failed = addScenes(self.draft, [*paths, *broken])
        self.assertEqual([case.patient for case in cases], ["P0", "scene1"])
        self.assertEqual([case.name for case in cases], ["scene0", "scene1"])
        self.assertEqual([one["id"] for one in failed], ["broken", "missing", "picture"])
        self.assertTrue(all(one["reason"].endswith(".") and "\n" not in one["reason"] for one in failed), failed)
        for seed, case in enumerate(cases):
            mr, ct = (self.draft.volume(case.id, role, raw=True) for role in ("source", "target"))
            np.testing.assert_array_equal(mr.array, head(seed)[0].array)
            moved = head(seed)[1].geometry.origin_mm + SHIFT[:3, 3]
            np.testing.assert_allclose(ct.geometry.origin_mm, moved, atol=1e-3)
        self.assertEqual((slicer.mrmlScene.GetURL(), nodeIDs()), (url, before))

    def test_aSceneWhoseImageIsLost(self):
        nodes = addHead(0, addPatient("Ann"))
        for node in nodes:
            slicer.util.saveNode(node, str(self.folder / f"{node.GetName()}.nrrd"))
        self.assertTrue(slicer.util.saveScene(str(self.folder / "scene.mrml")))
        (self.folder / "head0_ct.nrrd").unlink()
        with self.assertRaisesRegex(InputError, r"head0_ct.*scene\.mrml"), openedScene(self.folder / "scene.mrml"):
            self.fail("it must not be opened")


if __name__ == "__main__":
    unittest.main()
