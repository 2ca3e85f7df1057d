"""The preview as the panel drives it: off, on the slices, in a ROI; out of the way of jobs and of other modules."""

import tempfile
import unittest
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import slicer
from MedGANSynthesisLib.preview.PreviewRequirements import PreviewRequirements
from panel_fixtures import TASK, PanelTest
from preview_fixtures import WORKER, showIn, sliceLogic
from slicer_fixtures import addVolume, processEventsUntil, voxels

OFF, SLICES, ROI = 0, 1, 2


class SynthesisWidgetPreviewTest(PanelTest):
    worker = WORKER  # the result is minus the strength times the source
    models: ClassVar = {"negates": {"task": TASK}, "fails": {"task": TASK}, "slow": {"task": TASK}}

    def setUp(self):
        super().setUp()
        self.array = np.arange(1, 1 + 5 * 17 * 23, dtype=np.int16).reshape(5, 17, 23)
        self.node = addVolume(self.array)
        showIn(self.node, ["Red"])
        self.choose(source=self.node, model="negates")

    def foreground(self):
        """The volume in front of the source in the red view, None if there is none."""
        return slicer.mrmlScene.GetNodeByID(sliceLogic().GetSliceCompositeNode().GetForegroundVolumeID() or "")

    def previewed(self):
        """What the preview shows, once it does."""
        self.assertTrue(processEventsUntil(lambda: self.foreground() is not None))
        return voxels(self.foreground())

    def showsUntil(self, condition):
        return processEventsUntil(lambda: self.foreground() is not None and condition(voxels(self.foreground())))

    def test_offIsTheStart(self):
        self.assertEqual(self.ui.previewModeComboBox.currentIndex, OFF)
        for name in ("previewRoiSelector", "previewOpacitySliderWidget", "previewToggleButton"):
            self.assertFalse(getattr(self.ui, name).enabled, name)
        self.assertIsNone(self.foreground())

    def test_slicesOptionsAndOff(self):
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.assertTrue((self.previewed() <= 0).all())
        self.assertTrue(np.array_equal(voxels(self.node), self.array))
        self.parameters.parameterNode.SetParameter(f"{TASK}.strength", "0.0")
        self.assertTrue(self.showsUntil(lambda shown: not shown.any()))
        self.ui.previewModeComboBox.currentIndex = OFF
        self.assertIsNone(self.foreground())

    def test_opacityAndBeforeAfter(self):
        composite = sliceLogic().GetSliceCompositeNode()
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        self.ui.previewOpacitySliderWidget.value = 0.5
        self.assertEqual(composite.GetForegroundOpacity(), 0.5)
        self.ui.previewToggleButton.click()
        self.assertEqual(composite.GetForegroundOpacity(), 0.0)
        self.ui.previewToggleButton.click()
        self.assertEqual(composite.GetForegroundOpacity(), 0.5)

    def test_roiIsPlacedAndShown(self):
        self.ui.previewModeComboBox.currentIndex = ROI
        self.assertTrue(self.ui.previewRoiSelector.enabled)
        self.assertTrue(processEventsUntil(lambda: "ROI" in self.ui.previewStatusLabel.text))
        self.ui.previewRoiSelector.addNode("vtkMRMLMarkupsROINode")
        shown = self.previewed()
        self.assertLess(shown.size, self.array.size)
        self.assertTrue((shown <= 0).all())
        self.assertEqual(self.ui.previewStatusLabel.text, "")

    def test_maskCounts(self):
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        self.ui.intensityMaskCheckBox.checked = True
        self.ui.intensityRangeWidget.setValues(1.0, 2.0)
        self.assertTrue(self.showsUntil(lambda shown: (shown > 0).any()))

    def test_missingSegmentationIsSaidInThePreviewLine(self):
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        self.ui.maskModeComboBox.currentIndex = 1
        self.assertIn("segmentation", self.ui.previewStatusLabel.text)
        self.assertIsNone(self.foreground())
        self.ui.maskModeComboBox.currentIndex = 0
        self.previewed()
        self.assertEqual(self.ui.previewStatusLabel.text, "")

    def test_errorIsOneLineOfThePreview(self):
        self.chooseModel("fails")
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.assertTrue(processEventsUntil(lambda: "Refused" in self.ui.previewStatusLabel.text))
        self.assertEqual(self.ui.statusLabel.text, "")

    def test_noEffectNoPreview(self):
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        self.press("")
        self.assertIsNone(self.foreground())
        self.assertFalse(self.ui.previewModeComboBox.enabled)
        self.press(TASK)
        self.previewed()

    def test_applyWhilePreviewing(self):
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        (output,) = self.apply()
        self.assertTrue(np.array_equal(voxels(output), -self.array))
        self.assertIn("Done", self.ui.statusLabel.text)
        self.assertEqual(self.ui.previewModeComboBox.currentIndex, OFF)  # the result itself is shown now
        self.assertIsNone(self.foreground())

    def test_nothingIsPreviewedWhileAJobRuns(self):
        self.chooseModel("slow")
        self.ui.applyButton.click()
        self.ui.previewModeComboBox.currentIndex = SLICES
        seen = []
        self.assertTrue(processEventsUntil(lambda: seen.append(self.foreground()) or not self.widget.logic.jobs))
        self.assertEqual(set(seen[:-1]), {None})
        self.choose(source=self.node)
        showIn(self.node, ["Red"])
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()

    def test_leavingTheModuleTakesThePreviewAlong(self):
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        self.widget.exit()
        self.assertIsNone(self.foreground())
        self.widget.enter()
        self.assertTrue((self.previewed() <= 0).all())

    def test_onlyTheUsersOwnDoingMayLeadToAQuestion(self):
        """What is missing is asked for when he switches the preview on or chooses a model, not when he comes back."""
        allowed = []
        check = mock.patch.object(
            PreviewRequirements, "check", lambda requirements, bundle: allowed.append(requirements.mayAsk)
        )
        with check:
            self.ui.previewModeComboBox.currentIndex = SLICES
            self.previewed()
            self.assertTrue(allowed and all(allowed))
            for comeBack in (self.widget.enter, self.reopenScene):
                self.widget.exit()
                allowed.clear()
                comeBack()
                self.previewed()
                self.assertTrue(allowed and not any(allowed), comeBack)
            allowed.clear()
            self.chooseModel("slow")
            self.assertTrue(processEventsUntil(lambda: allowed))
            self.assertTrue(all(allowed))

    def reopenScene(self):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            self.widget.parent.enter()
            slicer.util.loadScene(path)

    def test_cleanupTakesThePreviewAlong(self):
        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        slicer.util.reloadScriptedModule("MedGANSynthesis")
        self.assertTrue((self.previewed() <= 0).all())
        self.widget = slicer.util.getModuleWidget("MedGANSynthesis")
        self.ui = self.widget.ui
        self.assertEqual(self.ui.previewModeComboBox.currentIndex, SLICES)
        self.widget.exit()
        self.assertIsNone(self.foreground())

    def test_annotationFollowsTheCheckBox(self):
        def marks():
            view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
            renderers = view.renderWindow().GetRenderers()
            props = [prop for renderer in renderers for prop in renderer.GetViewProps()]
            return [prop for prop in props if prop.IsA("vtkCornerAnnotation") and "SYNTHETIC" in texts(prop)]

        def texts(annotation):
            return " ".join(annotation.GetText(corner) or "" for corner in range(8))

        self.ui.previewModeComboBox.currentIndex = SLICES
        self.previewed()
        self.assertTrue(processEventsUntil(marks))
        self.ui.syntheticAnnotationCheckBox.checked = False
        self.assertTrue(processEventsUntil(lambda: not marks()))
        self.ui.syntheticAnnotationCheckBox.checked = True
        self.assertTrue(processEventsUntil(marks))
        self.widget.exit()
        self.assertTrue(processEventsUntil(lambda: not marks()))


if __name__ == "__main__":
    unittest.main()
