"""A case in the slice views, its histograms, and its alignment by hand."""

import unittest
from unittest import mock

import numpy as np
import slicer
from dataset_section_fixtures import SectionTest
from head_phantoms import head
from medgan.draft import Draft
from medgan.errors import MedGANError
from medgan.volume import Geometry, Volume
from MedGANTrainingLib.dataset import CaseHistogram, CaseTable, CaseView, DraftCommands
from MedGANTrainingLib.dataset.CaseNodes import isOfCase
from MedGANTrainingLib.dataset.Checkerboard import checkerboard
from slicer_fixtures import addLinearTransform, addVolume, nodeIDs, processEventsUntil, voxels
from training_panel_fixtures import TrainingPanelTest
from training_scenes import addHead, addPatient, addStudy, addVolumeNode, put

SHIFT = np.array([[1.0, 0, 0, 15], [0, 1, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1]])


def composite(name="Red"):
    return slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")


def background(name="Red"):
    return slicer.mrmlScene.GetNodeByID(composite(name).GetBackgroundVolumeID())


def foreground(name="Red"):
    return slicer.mrmlScene.GetNodeByID(composite(name).GetForegroundVolumeID() or "")


class CaseViewTest(SectionTest):
    def setUp(self):
        super().setUp()
        self.begin(register="")
        self.addHeads(2)
        self.prepare()
        slicer.mrmlScene.Clear(0)
        self.user = addVolumeNode(head(5)[0], "what the user looks at")
        slicer.util.setSliceViewerLayers(background=self.user)
        self.enter()
        self.before = nodeIDs()
        self.ui.casesTableWidget.selectRow(0)

    def assertNothingLeft(self):
        """No node is new but those of views, which layouts bring along."""
        self.assertEqual([one for one in nodeIDs() - self.before if "View" not in one and "Slice" not in one], [])

    def test_followsTheSelection(self):
        self.choose(self.ui.viewModeComboBox, "blend")
        np.testing.assert_array_equal(voxels(background()), head(0)[0].array)
        self.assertEqual((background().GetName(), foreground().GetName()), ("case-001 source", "case-001 target"))
        self.ui.casesTableWidget.selectRow(1)
        np.testing.assert_array_equal(voxels(background()), head(1)[0].array)
        self.ui.opacitySliderWidget.value = 0.8
        self.assertEqual(composite().GetForegroundOpacity(), 0.8)
        self.choose(self.ui.viewModeComboBox, "off")
        self.assertIs(background(), self.user)
        self.assertNothingLeft()

    def test_checkerboard(self):
        self.choose(self.ui.viewModeComboBox, "checkerboard")
        board = voxels(background())
        self.assertIsNone(foreground())
        self.assertEqual(board.shape, head(0)[0].array.shape)
        self.assertFalse(self.ui.opacitySliderWidget.enabled)

    def test_sideBySideAndBack(self):
        layout, orientation = slicer.app.layoutManager().layout, slicer.util.getNode("Yellow").GetOrientation()
        self.choose(self.ui.viewModeComboBox, "sideBySide")
        self.assertEqual(slicer.app.layoutManager().layout, slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        self.assertEqual(
            (background("Red").GetName(), background("Yellow").GetName()), ("case-001 source", "case-001 target")
        )
        self.assertEqual(slicer.util.getNode("Yellow").GetOrientation(), slicer.util.getNode("Red").GetOrientation())
        self.choose(self.ui.viewModeComboBox, "blend")
        self.assertEqual(slicer.app.layoutManager().layout, layout)
        self.assertEqual(slicer.util.getNode("Yellow").GetOrientation(), orientation)

    def test_leavesNoTraceInASavedScene(self):
        self.choose(self.ui.viewModeComboBox, "checkerboard")
        self.ui.histogramButton.click()
        self.assertTrue(slicer.util.saveScene(str(self.folder / "scene.mrml")))
        self.assertNotIn("case-001", (self.folder / "scene.mrml").read_text())
        self.section.cleanup()
        self.assertNothingLeft()

    def test_aClosedSceneIsNoTrouble(self):
        self.choose(self.ui.viewModeComboBox, "blend")
        self.closeScene()
        self.ui.casesTableWidget.selectRow(1)
        self.assertEqual(background().GetName(), "case-002 source")

    def test_aSceneThatIsClosedWhileAnotherModuleIsShown(self):
        addHead(6, addPatient("New"))
        self.ui.findPairsButton.click()
        self.choose(self.ui.viewModeComboBox, "blend")
        self.ui.histogramButton.click()
        old = self.user.GetID()
        self.leave()
        self.closeScene(shown=False)
        self.assertEqual((self.section.scenePairs.pairs, self.ui.pairsTableWidget.rowCount), ([], 0))
        self.assertIsNone(self.section.views.histogram.chartNode)
        recycled, shown = (addVolumeNode(head(seed)[0], f"new {seed}") for seed in range(2))
        self.assertEqual(recycled.GetID(), old)
        slicer.util.setSliceViewerLayers(background=shown)
        self.choose(self.ui.viewModeComboBox, "off")
        self.enter()
        self.assertIs(background(), shown)

    def test_namesOfNodesAreTranslated(self):
        translated = "[{}]".format
        with mock.patch.object(CaseView, "_", translated), mock.patch.object(CaseHistogram, "_", translated):
            self.choose(self.ui.viewModeComboBox, "checkerboard")
            self.ui.histogramButton.click()
        views = self.section.views
        nodes = [*views.view.nodes.values(), *views.histogram.tableNodes.values(), views.histogram.chartNode]
        self.assertEqual(len(nodes), 7)
        for node in nodes:
            self.assertRegex(node.GetName(), r"^\[case-001 .+\]$")

    def test_noNodeOfACaseIsASource(self):
        self.choose(self.ui.viewModeComboBox, "blend")
        self.assertEqual(sum(isOfCase(node) for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode")), 3)
        addHead(6, addPatient("New"))
        self.ui.findPairsButton.click()
        self.assertEqual(self.ui.pairsTableWidget.rowCount, 1)

    def test_histograms(self):
        self.ui.histogramButton.click()
        histogram = self.section.views.histogram
        self.assertEqual(set(histogram.seriesNodes), {"source", "target"})
        for role, table in histogram.tableNodes.items():
            values = slicer.util.arrayFromTableColumn(table, table.GetColumnName(0))
            shares = slicer.util.arrayFromTableColumn(table, table.GetColumnName(1))
            self.assertAlmostEqual(shares.sum(), 100.0, places=3)
            counts = self.section.selected.histograms[role]
            self.assertTrue(counts["low"] < values[0] < values[-1] < counts["high"])
        self.assertEqual(histogram.chartNode.GetNumberOfPlotSeriesNodes(), 2)

    def test_imagesThatAreGone(self):
        for file in (self.folder / "dataset" / "cases").rglob("*.nrrd"):
            file.unlink()
        for file in (self.folder / "dataset" / "images").rglob("*.nrrd"):
            file.unlink()
        self.section.update()
        self.choose(self.ui.viewModeComboBox, "blend")
        self.assertOneLine()
        self.assertIs(background(), self.user)


class PictureTest(SectionTest):
    task = "stain"

    def test_coloredPictures(self):
        self.begin("grey")
        colors = np.random.default_rng(0).integers(0, 256, (1, 64, 80, 3)).astype(np.uint8)
        colors[:, 8:40, 8:60] //= 3
        node = addVolume(colors, Geometry(), "slide", hounsfield=False)
        self.ui.sourceSelector.setCurrentNode(node)
        self.ui.patientLineEdit.text = "donor"
        self.ui.addByHandButton.click()
        self.prepare()
        self.assertEqual(self.column(CaseTable.STATE), ["Accepted"], self.ui.caseLabel.text)
        self.ui.casesTableWidget.selectRow(0)
        self.choose(self.ui.viewModeComboBox, "checkerboard")
        board = voxels(background())
        gray = self.section.draft.volume("case-001", "source").array
        either = (board == colors) | (board == gray)
        self.assertTrue(either.all())
        self.assertTrue((board != colors).any() and (board != gray).any())


class AdjustTest(SectionTest):
    def moved(self):
        """A pair whose CT lies elsewhere by its header."""
        mr, ct = head(0)
        geometry = Geometry.from_ijk_to_ras(SHIFT @ ct.geometry.ijk_to_ras)
        study = addStudy(addPatient("Ann"))
        put(addVolumeNode(mr, "mr"), study, "MR")
        put(addVolumeNode(Volume(ct.array, geometry, "HU", "CT"), "ct"), study, "CT")
        self.ui.findPairsButton.click()
        self.ui.addPairsButton.click()
        self.ui.casesTableWidget.selectRow(0)

    def test_theUserMovesTheTargetOntoTheSource(self):
        self.begin(register="")
        self.moved()
        self.prepare()
        before = self.section.selected
        self.ui.adjustButton.click()
        transform = self.section.views.adjustment.transformNode
        self.assertIs(foreground().GetParentTransformNode(), transform)
        self.assertTrue(transform.GetDisplayNode().GetEditorVisibility())
        self.assertFalse(self.ui.viewModeComboBox.enabled)
        slicer.util.updateTransformMatrixFromArray(transform, np.linalg.inv(SHIFT))
        self.ui.acceptAdjustButton.click()
        self.assertTrue(processEventsUntil(lambda: not self.section.busy, 60))
        case = self.section.selected
        self.assertEqual((case.state, self.cell(0, CaseTable.REGISTRATION)), ("ready", "By hand"))
        np.testing.assert_allclose(case.transform, SHIFT, atol=1e-6)
        self.assertIsNone(transform.GetScene())
        target = Draft.load(self.section.draft.folder).volume(case.id, "target")
        inside = (slice(6, -6), slice(6, -6), slice(6, -6))
        np.testing.assert_allclose(target.array[inside], head(0)[1].array[inside], atol=1.0)
        self.assertGreater(case.quality, before.quality or 0.0)
        # it begins with what there is
        self.ui.adjustButton.click()
        found = slicer.util.arrayFromTransformMatrix(self.section.views.adjustment.transformNode)
        np.testing.assert_allclose(found, np.linalg.inv(SHIFT), atol=1e-6)
        self.ui.cancelAdjustButton.click()
        self.assertEqual(self.section.selected, case)

    def removeTransform(self):
        slicer.mrmlScene.RemoveNode(self.section.views.adjustment.transformNode)

    def test_theTransformIsGone(self):
        self.begin(register="")
        self.moved()
        self.prepare()
        self.choose(self.ui.viewModeComboBox, "blend")
        self.ui.adjustButton.click()
        self.removeTransform()
        self.ui.acceptAdjustButton.click()
        self.assertOneLine("transform is gone")
        self.assertTrue(self.ui.adjustButton.isVisibleTo(self.section.widget))
        self.assertTrue(self.section.views.view.prepared)

    def test_afterwardsNothingIsShownIfNothingWas(self):
        self.begin(register="")
        self.moved()
        user = addVolumeNode(head(5)[0], "what the user looks at")
        slicer.util.setSliceViewerLayers(background=user)
        for name, end in {
            "cancelled": lambda: self.ui.cancelAdjustButton.click(),
            "accepted": lambda: self.ui.acceptAdjustButton.click(),
            "lost": lambda: (self.removeTransform(), self.ui.acceptAdjustButton.click()),
        }.items():
            with self.subTest(name):
                self.ui.adjustButton.click()
                self.assertEqual(background().GetName(), "case-001 source")
                end()
                self.assertTrue(processEventsUntil(lambda: not self.section.busy, 60))
                self.assertIs(background(), user)
                self.assertEqual([one for one in slicer.util.getNodesByClass("vtkMRMLVolumeNode") if isOfCase(one)], [])

    def test_anAlignmentThatCannotBePrepared(self):
        self.begin(register="")
        self.moved()
        self.ui.adjustButton.click()
        missing = MedGANError("A package is missing; install it first.")
        with mock.patch.object(DraftCommands, "ensureImagePackages", side_effect=missing):
            self.ui.acceptAdjustButton.click()
        self.assertOneLine("package is missing")
        self.assertEqual((self.section.busy, self.column(CaseTable.STATE)), (False, ["Waiting"]))
        self.assertIsNotNone(self.section.selected.transform)

    def test_fromTheConsole(self):
        self.begin(register="")
        self.moved()
        draft = self.section.draft
        case = self.logic.adjust(draft, "case-001", addLinearTransform(np.linalg.inv(SHIFT)))
        self.assertEqual(case.registration["method"], "adjusted")
        nodes = self.logic.showCase(draft, "case-001")
        self.assertIs(background(), nodes["source"])
        np.testing.assert_allclose(nodes["target"].GetOrigin(), nodes["source"].GetOrigin())


class ClosedSceneTest(TrainingPanelTest):
    def test_theDatasetLetsGoOfASceneThatIsClosedWhileAnotherModuleIsShown(self):
        section = self.section("dataset")
        section.chooseFolder = lambda title: str(self.folder / "dataset")
        section.ui.newFolderButton.click()
        addHead(0, addPatient("Ann"))
        section.ui.findPairsButton.click()
        self.assertGreater(len(section.scenePairs.pairs), 0, section.ui.statusLabel.text)
        self.widget.exit()
        slicer.util.selectModule("MedGANSynthesis")
        slicer.mrmlScene.Clear(0)
        self.assertEqual((section.scenePairs.pairs, section.ui.pairsTableWidget.rowCount), ([], 0))


class CheckerboardTest(unittest.TestCase):
    def test_fieldsAlternateOnTheGridOfTheTarget(self):
        source = Volume(np.zeros((4, 20, 20), np.float32), Geometry(spacing_mm=(2, 2, 2)), "HU", "CT")
        geometry = source.geometry.shifted((0, 0, 0), (2, 2, 1))
        target = Volume(np.full((4, 40, 40), 3000.0, np.float32), geometry, "HU", "CT")
        board = checkerboard(source, target)
        self.assertTrue(board.geometry.is_close(geometry))
        dark, bright = board.array.min(), board.array.max()
        self.assertEqual(bright, 255)
        self.assertLess(dark, 128)
        self.assertEqual((board.array[0, 0, 0], board.array[0, 0, 4], board.array[0, 4, 4]), (dark, bright, dark))
        self.assertAlmostEqual(np.mean(board.array == dark), 0.5, places=2)


if __name__ == "__main__":
    unittest.main()
