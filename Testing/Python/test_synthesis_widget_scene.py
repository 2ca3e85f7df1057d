"""The panel and the scene: saved and opened again, imported, closed; the module reloaded; nothing left behind."""

import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import qt
import slicer
import vtk
from client_fixtures import shared_blocks
from medgan.errors import InputError
from MedGANSynthesisLib.effects import registry
from MedGANSynthesisLib.engineClient import engineClient
from panel_fixtures import TASK, PanelTest
from slicer_fixtures import addSegment, addVolume, processEventsUntil, randomArray


class SynthesisWidgetSceneTest(PanelTest):
    models: ClassVar = {"identity": {"task": TASK}, "other": {"task": TASK}}

    def setUp(self):
        super().setUp()
        self.files = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.files)

    def chooseEverything(self):
        node = self.choose(source=addVolume(randomArray(), name="Chosen"), model="other")
        mask = np.zeros((5, 17, 23), bool)
        mask[1:3, 2:9, 2:9] = True
        segmentationNode, _segmentID = addSegment(node, mask)
        self.ui.maskModeComboBox.currentIndex = 2
        self.ui.segmentationSelector.setCurrentNode(segmentationNode)
        self.ui.softEdgeSliderWidget.value = 2.5
        self.ui.intensityMaskCheckBox.checked = True
        self.ui.intensityRangeWidget.setValues(-100.0, 200.0)
        self.ui.maskRoiSelector.addNode("vtkMRMLMarkupsROINode")
        self.ui.maskRoiSelector.currentNode().SetName("Box")
        self.ui.previewModeComboBox.currentIndex = 1
        self.ui.previewOpacitySliderWidget.value = 0.5
        self.ui.syntheticAnnotationCheckBox.checked = False
        self.parameters.parameterNode.SetParameter(f"{TASK}.strength", "0.25")

    def assertEverythingShown(self):
        parameters, ui = self.parameters, self.ui
        self.assertEqual(parameters.sourceVolume.GetName(), "Chosen")
        self.assertIs(ui.sourceVolumeSelector.currentNode(), parameters.sourceVolume)
        self.assertTrue(self.button(TASK).checked)
        self.assertEqual((ui.modelComboBox.currentText, parameters.model), ("other", "other"))
        self.assertEqual((ui.maskModeComboBox.currentIndex, ui.segmentComboBox.currentText), (2, "Lesion"))
        self.assertEqual(ui.segmentationSelector.currentNode().GetName(), "Segmentation")
        self.assertEqual(ui.softEdgeSliderWidget.value, 2.5)
        self.assertTrue(ui.intensityMaskCheckBox.checked)
        self.assertEqual((ui.intensityRangeWidget.minimumValue, ui.intensityRangeWidget.maximumValue), (-100.0, 200.0))
        self.assertEqual(ui.maskRoiSelector.currentNode().GetName(), "Box")
        self.assertEqual((ui.previewModeComboBox.currentIndex, ui.previewOpacitySliderWidget.value), (1, 0.5))
        self.assertFalse(ui.syntheticAnnotationCheckBox.checked)
        self.assertEqual(parameters.parameterNode.GetParameter(f"{TASK}.strength"), "0.25")

    def test_savedSceneReopensAsItWas(self):
        self.chooseEverything()
        (output,) = self.apply()
        self.ui.previewModeComboBox.currentIndex = 1  # Apply ends the preview
        path = str(self.files / "scene.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear(0)
        self.assertEqual((self.parameters.effect, self.parameters.sourceVolume), ("", None))
        self.assertTrue(self.ui.syntheticAnnotationCheckBox.checked)
        slicer.util.loadScene(path)
        self.assertEverythingShown()
        output = slicer.util.getNode("Chosen denoised")
        self.assertEqual(output.GetAttribute("MedGAN.Task"), TASK)
        self.assertEqual(len(self.apply()), 1)

    def test_sceneLoadedWhileAnotherModuleIsShown(self):
        self.chooseEverything()
        path = str(self.files / "scene.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        self.widget.parent.exit()
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(path)
        self.assertIsNone(self.parameters)
        self.widget.parent.enter()
        self.assertEverythingShown()

    def test_volumeAddedToTheSceneDisturbsNothing(self):
        self.chooseEverything()
        path = str(self.files / "more.nrrd")
        more = addVolume(randomArray(), name="More")
        self.assertTrue(slicer.util.saveNode(more, path))
        slicer.mrmlScene.RemoveNode(more)
        slicer.util.loadVolume(path)
        self.assertEverythingShown()

    def test_closedSceneIsFollowedByAnEmptyPanel(self):
        self.chooseEverything()
        slicer.mrmlScene.Clear(0)
        self.assertTrue(self.button("").checked)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIsNone(self.ui.sourceVolumeSelector.currentNode())
        self.choose()
        self.assertEqual(len(self.apply()), 1)

    def test_deletedNodesAreLetGo(self):
        self.chooseEverything()
        slicer.mrmlScene.RemoveNode(self.parameters.segmentation)
        self.assertEqual(self.ui.segmentComboBox.count, 0)
        slicer.mrmlScene.RemoveNode(self.parameters.sourceVolume)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIsNone(self.ui.sourceVolumeSelector.currentNode())

    def test_formerSourceAndSegmentationAreForgotten(self):
        """Observing another volume must not keep the one before in memory."""
        references = []
        for _ in range(2):
            node = self.choose()
            segmentation, _segmentID = addSegment(node, np.ones((5, 17, 23)))
            self.ui.maskModeComboBox.currentIndex = 1
            self.ui.segmentationSelector.setCurrentNode(segmentation)
            self.settle()
            for each in (node, segmentation):
                references.append(vtk.vtkWeakReference())
                references[-1].Set(each)
        volume, mask = (reference.Get() for reference in references[:2])
        slicer.mrmlScene.RemoveNode(mask)
        slicer.mrmlScene.RemoveNode(volume)
        del node, segmentation, each, volume, mask
        self.verdict()
        self.assertEqual([reference.Get() is None for reference in references], [True, True, False, False])

    def test_closedSceneIsForgotten(self):
        node = self.choose()
        references = [vtk.vtkWeakReference() for _ in range(2)]
        references[0].Set(node)
        self.ui.previewModeComboBox.currentIndex = 1
        self.ui.maskModeComboBox.currentIndex = 1
        segmentation, _segmentID = addSegment(node, np.ones((5, 17, 23)))
        self.ui.segmentationSelector.setCurrentNode(segmentation)
        references[1].Set(segmentation)
        self.verdict()
        del node, segmentation
        slicer.mrmlScene.Clear(0)
        self.settle()
        self.assertEqual([reference.Get() for reference in references], [None, None])

    def test_hiddenVolumesAreNotProposed(self):
        self.widget.exit()
        slicer.mrmlScene.Clear(0)
        hidden = addVolume(randomArray(), name="Hidden")
        hidden.SetHideFromEditors(True)
        slicer.util.setSliceViewerLayers(background=hidden)
        self.widget.enter()
        self.assertIsNone(self.parameters.sourceVolume)
        self.widget.exit()
        shown = addVolume(randomArray(), name="Shown")
        self.widget.enter()
        self.assertIs(self.parameters.sourceVolume, shown)

    def test_cleanupAfterAFailedSetup(self):
        """Slicer calls it, and also enter and exit, when setup has raised."""
        from MedGANSynthesis import MedGANSynthesisWidget

        parent = slicer.qMRMLWidget()
        parent.setLayout(qt.QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        widget = MedGANSynthesisWidget(parent)
        failing = mock.patch.object(slicer.util, "loadUI", side_effect=RuntimeError("Could not load UI file"))
        with failing, self.assertRaises(RuntimeError):
            widget.setup()
        widget.enter()
        widget.exit()
        widget.cleanup()
        self.assertEqual(list(widget.Observations), [])

    def test_reloadLeavesNothingAndWorks(self):
        self.chooseEverything()
        self.apply()
        self.ui.previewModeComboBox.currentIndex = 1
        old, observers, blocks = self.widget, len(registry._observers), shared_blocks()
        self.ui.applyButton.click()
        (job,) = old.logic.jobs
        slicer.util.reloadScriptedModule("MedGANSynthesis")
        self.assertEqual(job.state, "cancelled")
        self.assertNothingLeft(old)
        self.assertEqual(len(registry._observers), observers)
        self.widget = slicer.util.getModuleWidget("MedGANSynthesis")
        self.assertIsNot(self.widget, old)
        self.assertIs(type(self.widget), sys.modules["MedGANSynthesis"].MedGANSynthesisWidget)
        self.ui = self.widget.ui
        self.assertEverythingShown()  # the module is still shown, though nobody entered it
        self.assertEqual(len(self.apply()), 1)
        slicer.util.reloadScriptedModule("MedGANSynthesis")
        self.assertLessEqual(shared_blocks(), blocks)
        self.assertIsNone(engineClient().worker_pid)

    def test_cleanupInTheMiddleLeavesNothing(self):
        widget = self.separateWidget()
        widget.initializeParameterNode()
        parameters = widget.panel.parameters
        parameters.sourceVolume = addVolume(randomArray())
        parameters.effect = TASK
        widget.ui.applyButton.click()
        (job,) = widget.logic.jobs
        widget.cleanup()
        self.assertEqual(job.state, "cancelled")
        self.assertNothingLeft(widget)
        parameters.softEdgeMm = 3.0
        self.assertEqual(widget.ui.softEdgeSliderWidget.value, 0.0)
        slicer.mrmlScene.Clear(0)
        self.assertRaises(InputError, widget.logic.undo)

    def test_cleanedUpPanelIsDeleted(self):
        widget = self.separateWidget()
        root = widget.panel.root
        widget.cleanup()
        slicer.app.sendPostedEvents(root, qt.QEvent.DeferredDelete)
        self.assertTrue(processEventsUntil(lambda: not root))

    def separateWidget(self):
        """A second panel, without the module."""
        from MedGANSynthesis import MedGANSynthesisWidget

        self.widget.exit()
        parent = slicer.qMRMLWidget()
        parent.setLayout(qt.QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        self.parent = parent
        widget = MedGANSynthesisWidget(parent)
        widget.setup()
        self.assertTrue(widget.Observations)
        self.assertTrue(all(isinstance(observation[0], vtk.vtkObject) for observation in widget.Observations))
        return widget

    def assertNothingLeft(self, widget):
        panel = widget.panel
        observers = (widget, panel, panel._source, panel._mask._segmentation)
        self.assertEqual([list(observer.Observations) for observer in observers], [[]] * len(observers))
        self.assertIsNone(panel.parameters)
        self.assertEqual(widget.logic.jobs, ())
        self.assertNotIn(panel.update, registry._observers)
        self.assertFalse(panel._soon.pending or panel._verdict._later.pending)
        self.assertEqual(panel._shortcuts._shortcuts, [])
        self.assertFalse(engineClient().busy)
        self.assertIsNone(engineClient().worker_pid)


if __name__ == "__main__":
    unittest.main()
