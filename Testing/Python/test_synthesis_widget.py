"""The panel, driven as a user would: choose, apply, cancel, undo; and what it leaves behind (nothing)."""

import os
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

import numpy as np
import qt
import slicer
import vtk
from medgan.bundle import Bundle
from medgan.errors import InputError
from MedGANSynthesisLib.engineClient import engineClient, stopEngine
from slicer_fixtures import (
    addSegment,
    addVolume,
    freeze,
    nodeIDs,
    processEventsUntil,
    randomArray,
    setDicomModality,
    voxels,
)

TASK = "denoise-ct"
CONTROLS = [
    "sourceVolumeSelector",
    "modelComboBox",
    "deviceComboBox",
    "strengthSliderWidget",
    "maskModeComboBox",
    "segmentationSelector",
    "segmentComboBox",
    "softEdgeSliderWidget",
    "outputVolumeSelector",
    "inPlaceCheckBox",
    "secondOutputCheckBox",
    "applyButton",
    "undoButton",
    "redoButton",
    "progressBar",
    "statusLabel",
]


class SynthesisWidgetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        Bundle.create_identity(Path(cls.folder) / "identity", task=TASK)
        Bundle.create_identity(Path(cls.folder) / "for-ct", task=TASK, modality="CT", units="HU")
        cls.models = os.environ.get("MEDGAN_MODELS")
        os.environ["MEDGAN_MODELS"] = cls.folder

    @classmethod
    def tearDownClass(cls):
        stopEngine()
        os.environ.pop("MEDGAN_MODELS")
        if cls.models is not None:
            os.environ["MEDGAN_MODELS"] = cls.models
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        slicer.util.selectModule("MedGANSynthesis")
        self.widget = slicer.util.getModuleWidget("MedGANSynthesis")
        self.ui = self.widget.ui
        self.widget.enter()
        self.parameters = self.widget._parameterNode
        self.parameters.model = "identity"

    def choose(self, node):
        self.ui.sourceVolumeSelector.setCurrentNode(node)
        self.assertIs(self.parameters.sourceVolume, node)

    def applyAndWait(self):
        self.ui.applyButton.click()
        self.assertTrue(processEventsUntil(lambda: self.widget._job is None))

    def newImages(self, before):
        nodes = [slicer.mrmlScene.GetNodeByID(nodeID) for nodeID in sorted(nodeIDs() - before)]
        return [node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode")]

    def test_everyControlExplainsItself(self):
        for name in CONTROLS:
            self.assertGreater(len(getattr(self.ui, name).toolTip), 20, name)
        for name in ("applyButton", "undoButton", "redoButton"):
            self.assertTrue(getattr(self.ui, name).text, name)
        module = slicer.modules.medgansynthesis
        self.assertEqual(module.title, "MedGAN Synthesis")
        self.assertIn("SlicerMedGAN#readme", module.helpText)
        self.assertTrue(module.acknowledgementText)

    def test_nothingToApplyToWithoutSource(self):
        self.choose(None)
        self.assertFalse(self.ui.applyButton.enabled)
        self.choose(addVolume(randomArray()))
        self.assertTrue(self.ui.applyButton.enabled)

    def test_firstVolumeIsProposed(self):
        node = addVolume(randomArray())
        self.widget.exit()
        self.widget.enter()
        self.assertIs(self.ui.sourceVolumeSelector.currentNode(), node)

    def test_apply(self):
        node = addVolume(randomArray())
        self.choose(node)
        before = nodeIDs()
        self.applyAndWait()
        (output,) = self.newImages(before)
        self.assertEqual(output.GetName(), "CT denoised")
        self.assertTrue(np.array_equal(voxels(output), voxels(node)))
        self.assertEqual(self.ui.applyButton.text, "Apply")
        self.assertIn("Done", self.ui.statusLabel.text)
        self.assertFalse(self.ui.undoButton.enabled)  # a new volume took nothing away

    def test_unsuitableVolumeIsRemarkedButNotRefused(self):
        node = addVolume(randomArray(), hounsfield=False)
        setDicomModality(node, "MR")
        self.parameters.model = "for-ct"
        self.choose(node)
        self.assertIn("MR", self.ui.statusLabel.text)
        before = nodeIDs()
        self.applyAndWait()
        self.assertEqual(len(self.newImages(before)), 1)
        self.parameters.model = "identity"
        self.assertNotIn("MR", self.ui.statusLabel.text)

    def test_impossibleVolumeIsOneSentence(self):
        self.choose(addVolume(np.full((3, 4, 5), np.nan, np.float32)))
        self.assertIn("NaN", self.ui.statusLabel.text)
        before = nodeIDs()
        self.applyAndWait()
        self.assertIn("NaN", self.ui.statusLabel.text)
        self.assertEqual(self.newImages(before), [])

    def test_secondOutput(self):
        self.choose(addVolume(randomArray()))
        self.ui.secondOutputCheckBox.checked = True
        before = nodeIDs()
        self.applyAndWait()
        self.assertEqual(sorted(node.GetName() for node in self.newImages(before)), ["CT denoised", "CT removed"])

    def test_overwriteUndoRedo(self):
        node = addVolume(randomArray())
        self.choose(node)
        self.ui.inPlaceCheckBox.checked = True
        self.assertFalse(self.ui.outputVolumeSelector.enabled)
        before = nodeIDs()
        self.applyAndWait()
        self.assertEqual(self.newImages(before), [])
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)
        self.assertTrue(self.ui.undoButton.enabled)
        self.ui.undoButton.click()
        self.assertIsNone(node.GetAttribute("MedGAN.Task"))
        self.assertTrue(self.ui.redoButton.enabled and not self.ui.undoButton.enabled)
        self.ui.redoButton.click()
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)

    def test_undoOfAVolumeChangedElsewhereSaysSo(self):
        node = addVolume(np.zeros((5, 6, 7), np.int16), name="Edited")
        self.choose(node)
        self.ui.inPlaceCheckBox.checked = True
        self.applyAndWait()
        slicer.util.updateVolumeFromArray(node, np.ones((2, 2, 2), np.int16))
        self.ui.undoButton.click()
        self.assertIn("Edited", self.ui.statusLabel.text)
        self.assertFalse(self.ui.undoButton.enabled)

    @unittest.skipUnless(hasattr(signal, "SIGSTOP"), "needs SIGSTOP")
    def test_cancel(self):
        self.choose(addVolume(randomArray()))
        self.applyAndWait()
        freeze(engineClient().worker_pid)
        before = nodeIDs()
        self.ui.applyButton.click()
        self.assertEqual(self.ui.applyButton.text, "Cancel")
        self.assertFalse(self.ui.progressBar.isHidden())
        self.ui.applyButton.click()
        self.assertEqual(self.ui.applyButton.text, "Apply")
        self.assertTrue(self.ui.progressBar.isHidden())
        self.assertIn("Cancel", self.ui.statusLabel.text)
        self.assertEqual(self.newImages(before), [])
        self.applyAndWait()
        self.assertEqual(len(self.newImages(before)), 1)

    def test_maskNeedsASegment(self):
        node = addVolume(randomArray())
        self.choose(node)
        self.assertFalse(self.ui.segmentationSelector.enabled)
        self.ui.maskModeComboBox.currentIndex = 1
        self.assertTrue(self.ui.segmentationSelector.enabled)
        before = nodeIDs()
        self.ui.segmentationSelector.setCurrentNode(None)
        self.ui.applyButton.click()
        self.assertIsNone(self.widget._job)
        self.assertIn("segmentation", self.ui.statusLabel.text)
        self.assertEqual(nodeIDs(), before)

        mask = np.zeros((5, 17, 23), bool)
        mask[1:3, 2:9, 2:9] = True
        segmentationNode, segmentID = addSegment(node, mask)
        self.ui.segmentationSelector.setCurrentNode(segmentationNode)
        self.assertEqual((self.ui.segmentComboBox.count, self.parameters.segmentID), (1, segmentID))
        before = nodeIDs()
        self.applyAndWait()
        (output,) = self.newImages(before)
        self.assertIn("inside segment 'Lesion'", output.GetAttribute("MedGAN.Mask"))

    def test_sourceDeletedWhileRunning(self):
        node = addVolume(randomArray(), name="Gone")
        self.choose(node)
        self.ui.applyButton.click()
        slicer.mrmlScene.RemoveNode(node)
        self.assertTrue(processEventsUntil(lambda: self.widget._job is None))
        self.assertIn("Gone", self.ui.statusLabel.text)
        self.assertEqual(self.ui.applyButton.text, "Apply")

    def test_sceneClosedWhileRunning(self):
        self.choose(addVolume(randomArray(), name="Old"))
        self.ui.applyButton.click()
        slicer.mrmlScene.Clear(0)
        self.assertTrue(processEventsUntil(lambda: self.widget._job is None))
        self.assertIn("Old", self.ui.statusLabel.text)

    def test_choicesLiveOnTheParameterNode(self):
        self.choose(addVolume(randomArray()))
        self.ui.strengthSliderWidget.value = 0.25
        self.ui.maskModeComboBox.currentIndex = 2
        self.ui.softEdgeSliderWidget.value = 7.5
        self.ui.deviceComboBox.currentIndex = 1
        self.ui.secondOutputCheckBox.checked = True
        self.widget.exit()
        self.ui.strengthSliderWidget.value = 0.75  # nobody listens while the module is closed
        self.widget.enter()
        parameters = self.widget.logic.getParameterNode()
        shown = (parameters.strength, parameters.maskMode.name, parameters.softEdgeMm, parameters.device.value)
        self.assertEqual(shown, (0.25, "Outside", 7.5, "cpu"))
        self.assertTrue(parameters.secondOutput)
        self.assertEqual((self.ui.strengthSliderWidget.value, self.ui.deviceComboBox.currentIndex), (0.25, 1))

    def test_cleanupLeavesNothing(self):
        from MedGANSynthesis import MedGANSynthesisWidget

        parent = slicer.qMRMLWidget()
        parent.setLayout(qt.QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        widget = MedGANSynthesisWidget(parent)
        widget.setup()
        widget.initializeParameterNode()
        widget._parameterNode.sourceVolume = addVolume(randomArray())
        widget._parameterNode.model = "identity"
        self.assertTrue(widget.Observations)
        self.assertTrue(all(isinstance(observation[0], vtk.vtkObject) for observation in widget.Observations))
        widget.ui.applyButton.click()
        job = widget._job
        widget.cleanup()
        self.assertEqual(job.state, "cancelled")
        self.assertEqual(list(widget.Observations), [])
        self.assertIsNone(widget._parameterNode)
        self.assertFalse(engineClient().busy)
        self.assertIsNone(engineClient().worker_pid)
        self.parameters.strength = 0.5
        self.assertEqual(widget.ui.strengthSliderWidget.value, 1.0)
        slicer.mrmlScene.Clear(0)
        self.assertRaises(InputError, widget.logic.undo)
