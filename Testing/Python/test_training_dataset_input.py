"""Cases from files, and what no case can be made of: one clear sentence each, and nothing is lost."""

import json
import types
import unittest
from unittest import mock

import numpy as np
import slicer
import vtk
from dataset_section_fixtures import SectionTest
from head_phantoms import head
from medgan.image_io import write_volume
from MedGANTrainingLib.dataset import CaseTable, FilesBox
from training_scenes import addHead, addPatient, addStudy, addVolumeNode, put


class FilesTest(SectionTest):
    def folders(self, count):
        for seed in range(count):
            for volume in head(seed):
                folder = self.folder / volume.modality
                folder.mkdir(exist_ok=True)
                write_volume(volume, folder / f"p{seed}.nrrd")
        return {"source": str(self.folder / "MR"), "target": str(self.folder / "CT")}

    def test_folders(self):
        self.begin(register="")
        folders = self.folders(2)
        (self.folder / "MR" / "broken.nrrd").write_text("nothing")
        (self.folder / "CT" / "broken.nrrd").write_text("nothing")
        self.section.chooseFolder = lambda title: folders["source" if "sources" in title else "target"]
        self.ui.addFoldersButton.click()
        self.assertIn("Added: 2. Left out: 1", self.status())
        self.assertIn("broken", self.status())
        self.assertEqual(self.column(CaseTable.PATIENT), ["p0", "p1"])

    def test_aPatternForTheTargetsAlone(self):
        self.begin(register="")
        folders = self.folders(2)
        for seed in range(2):
            (self.folder / "CT" / f"p{seed}.nrrd").rename(self.folder / "CT" / f"p{seed}_ct.nrrd")
        self.section.chooseFolder = lambda title: folders["source" if "sources" in title else "target"]
        self.ui.filesTargetLineEdit.text = "{id}_ct.nrrd"
        self.ui.addFoldersButton.click()
        self.assertIn("Added: 2.", self.status())

    def test_table(self):
        self.begin(register="")
        self.folders(2)
        table = self.folder / "pairs.csv"
        table.write_text("patient,source,target,split\na,MR/p0.nrrd,CT/p0.nrrd,train\nb,MR/p1.nrrd,CT/p1.nrrd,test\n")
        self.section.chooseFiles = lambda *arguments, **options: [str(table)]
        self.ui.addTableButton.click()
        self.assertEqual([case.split for case in self.section.draft.cases], ["train", "test"])

    def test_savedScenes(self):
        paths = []
        for seed in range(2):
            slicer.mrmlScene.Clear(0)
            addHead(seed, addPatient(f"P{seed}", f"ID{seed}"))
            paths.append(str(self.folder / f"visit{seed}.mrb"))
            self.assertTrue(slicer.util.saveScene(paths[-1]))
        slicer.mrmlScene.Clear(0)
        self.enter()
        self.begin(register="")
        self.section.chooseFiles = lambda *arguments, **options: paths
        deleted, deletedBefore, add = set(), [], FilesBox.addScenePair

        def addObserved(draft, pair, **settings):
            for node in (pair.source, pair.target):
                name = node.GetName()
                node.AddObserver(vtk.vtkCommand.DeleteEvent, lambda *_arguments, name=name: deleted.add(name))
            return add(draft, pair, **settings)

        self.section.showProgress = lambda fraction, message: deletedBefore.append(sorted(deleted))
        with mock.patch.object(FilesBox, "addScenePair", addObserved):
            self.ui.addScenesButton.click()
        self.assertEqual(self.column(CaseTable.CASE), ["visit0", "visit1"])
        self.assertEqual(deletedBefore, [[], ["head0_ct", "head0_mr"]])  # one scene is in memory at a time
        self.assertEqual(len(deleted), 4)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])

    def test_studiesNeedToBeDescribed(self):
        self.begin(register="")
        self.section.chooseFolder = lambda title: str(self.folder)
        self.ui.addStudiesButton.click()
        self.assertOneLine("modality")
        self.ui.addDatabaseButton.click()
        self.assertOneLine("DICOM")


class BadInputTest(SectionTest):
    def add(self, source, target, patient="p"):
        self.ui.sourceSelector.setCurrentNode(source)
        self.ui.targetSelector.setCurrentNode(target)
        self.ui.patientLineEdit.text = patient
        self.ui.addByHandButton.click()

    def test_imagesThatAreNoPair(self):
        self.begin(register="")
        mr, ct = addHead(0)
        far = addVolumeNode(head(0)[1], "far away")
        far.SetOrigin(5000.0, 0.0, 0.0)
        constant = addVolumeNode(head(0)[1].with_array(np.full(head(0)[1].array.shape, 7.0)), "constant")
        wrong = addVolumeNode(head(1)[1], "another CT")
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "no voxels")
        same = addVolumeNode(head(0)[0], "copy of the MR")
        for source, target, words in (
            (mr, far, ("overlap",)),
            (mr, mr, ("both source and target",)),
            (mr, same, ("same image",)),
            (mr, constant, ("target", "empty")),
            (wrong, ct, ("source", "MR")),
            (mr, empty, ("no voxels",)),
            (mr, None, ("both volumes",)),
        ):
            with self.subTest(target=target.GetName() if target is not None else None):
                self.answer = target is same  # that its values are Hounsfield units, which is asked first
                self.add(source, target)
                self.assertOneLine(*words)
        self.assertEqual(self.section.draft.cases, ())
        self.add(mr, ct)
        self.assertIn("Added: 1", self.status())
        self.add(mr, ct)
        self.assertOneLine("already")

    def test_unitsUnknownAskFirst(self):
        self.begin(register="")
        volume = head(0)[1]
        ct = addVolumeNode(volume.with_array(volume.array + 1024, units="", modality=""), "shifted")
        mr = addVolumeNode(head(0)[0], "mr")
        self.add(mr, ct)
        self.assertEqual(len(self.questions), 1)
        self.assertOneLine("Hounsfield")
        self.answer = True
        self.add(mr, ct)
        self.assertEqual(len(self.section.draft.cases), 1)

    def test_differentPatientsAskFirst(self):
        self.begin(register="")
        mr = put(addVolumeNode(head(0)[0], "mr"), addStudy(addPatient("Ann", "A1")), "MR")
        ct = put(addVolumeNode(head(0)[1], "ct"), addStudy(addPatient("Bob", "B2")), "CT")
        self.add(mr, ct, "")
        self.assertEqual((len(self.questions), self.section.draft.cases), (1, ()))
        self.assertOneLine("two patients")
        self.answer = True
        self.add(mr, ct, "")
        self.assertEqual(len(self.section.draft.cases), 1)

    def test_tooFewCasesForASplit(self):
        self.begin(register="")
        self.addHeads(1)
        self.prepare()
        self.assertIn("only one patient", self.ui.problemsLabel.text)

    def test_leakageIsRefused(self):
        self.begin(register="")
        self.addHeads(2)
        self.prepare()
        first, second = self.section.draft.cases
        for case, split in ((first, "train"), (second, "test")):
            file = self.folder / "dataset" / "cases" / case.id / "case.json"
            content = json.loads(file.read_text())
            content |= {"split": split, "patient": "one and the same"}
            file.write_text(json.dumps(content))
        self.section.update()
        self.assertFalse(self.ui.finishButton.enabled)
        self.assertIn("same patient", self.ui.problemsLabel.text)

    def test_foldersThatAreNoDataset(self):
        newer = self.folder / "newer"
        newer.mkdir()
        (newer / "draft.json").write_text(json.dumps({"schema": 99}))
        damaged = self.folder / "damaged"
        damaged.mkdir()
        (damaged / "draft.json").write_text("{")
        for folder, words in (
            (self.folder / "missing", ("missing",)),
            (self.folder, ("no draft",)),
            (newer, ("newer",)),
            (damaged, ("damaged",)),
        ):
            self.section.chooseFolder = lambda title, folder=folder: str(folder)
            self.ui.openFolderButton.click()
            with self.subTest(folder=folder.name):
                self.assertOneLine(*words)
        self.assertIsNone(self.section.draft)

    def test_aDatasetThatWasMoved(self):
        self.begin(register="")
        self.addHeads(1)
        self.section.setParameterNode(None)
        (self.folder / "dataset").rename(self.folder / "elsewhere")
        self.section._opened = ""  # as after a restart
        self.section.setParameterNode(self.parameters)
        self.assertOneLine("dataset")
        self.section.chooseFolder = lambda title: str(self.folder / "elsewhere")
        self.ui.openFolderButton.click()
        self.assertEqual(len(self.section.draft.cases), 1)
        self.assertEqual(self.parameters.datasetFolder, str(self.folder / "elsewhere"))

    def test_aDatasetThatWasMovedWhenTheSceneWasClosed(self):
        self.begin(register="")
        self.addHeads(1)
        (self.folder / "dataset").rename(self.folder / "elsewhere")
        self.closeScene()
        self.assertOneLine("no draft")
        self.assertIsNone(self.section.draft)
        self.section.tell("")
        self.leave()
        self.enter()
        self.assertEqual((self.status(), self.ui.casesTableWidget.rowCount), ("", 0))

    def test_whateverIsDoneAfterTheFolderIsGone(self):
        self.begin(register="")
        self.addHeads(1)
        dataset, elsewhere = self.folder / "dataset", self.folder / "elsewhere"
        volume = addVolumeNode(head(1)[0], "mr")
        progress = types.SimpleNamespace(fraction=0.5, message="Preparing")
        self.section.chooseFolder = lambda title: str(self.folder)
        for name, action in {
            "describe": lambda: self.ui.descriptionLineEdit.editingFinished.emit(),
            "choose": lambda: self.ui.sourceSelector.setCurrentNode(volume),
            "folders": lambda: self.ui.addFoldersButton.click(),
            "progress": lambda: self.section.prepare._onProgress(progress),
            "dose": lambda: self.ui.doseSpinBox.setValue(0.5),
        }.items():
            self.section.open(str(dataset))
            self.ui.descriptionLineEdit.text = "heads"
            dataset.rename(elsewhere)
            with self.subTest(name):
                self.assertEqual(self.status(), "")
                action()
                self.assertOneLine("no draft")
            elsewhere.rename(dataset)

    def test_aVolumeThatIsGoneSinceThePairsWereFound(self):
        self.begin(register="")
        heads = [addHead(seed, addPatient(f"Patient {seed}")) for seed in range(3)]
        self.ui.findPairsButton.click()
        slicer.mrmlScene.RemoveNode(heads[0][1])
        self.ui.addPairsButton.click()
        self.assertIn("Added: 2. Left out: 1", self.status())
        self.assertIn("'head0_ct' was removed", self.status())
        self.assertEqual(self.ui.pairsTableWidget.rowCount, 0)
        self.closeScene()
        source, _target = addHead(3, addPatient("Patient 3"))
        self.ui.findPairsButton.click()
        slicer.mrmlScene.RemoveNode(source)
        self.ui.addPairsButton.click()
        self.assertOneLine("'head3_mr' was removed")

    def test_aDatasetThatGoesAwayWhileItIsOpen(self):
        self.begin(register="")
        self.addHeads(1)
        (self.folder / "dataset" / "draft.json").write_text("edited")
        self.section.update()
        self.assertOneLine("damaged")
        self.assertEqual((self.section.draft, self.ui.casesTableWidget.rowCount), (None, 0))

    def test_aFolderThatIsTaken(self):
        self.begin()
        self.section.open("")
        self.parameters.datasetFolder = ""
        self.section.update()
        self.section.chooseFolder = lambda title: str(self.folder / "dataset")
        self.ui.newFolderButton.click()
        self.assertOneLine("already holds")

    def test_aDatasetBuiltElsewhereIsNotChanged(self):
        built = self.folder / "built"
        built.mkdir()
        (built / "dataset.json").write_text("{}")
        self.parameters.datasetFolder = str(built)
        self.section.update()
        self.assertIn("built elsewhere", self.status())
        self.assertIsNone(self.section.draft)


if __name__ == "__main__":
    unittest.main()
