"""Where results go from the panel: new, given, over the source; undo and redo, by button and key; provenance."""

import unittest
from typing import ClassVar

import numpy as np
import slicer
from panel_fixtures import TASK, PanelTest
from slicer_fixtures import addVolume, obliqueGeometry, randomArray, voxels


class SynthesisWidgetOutputTest(PanelTest):
    models: ClassVar = {
        "identity": {"task": TASK},
        "stain": {"task": "stain", "channels": 3},
        "mr-ct": {"task": "mr-to-ct", "target": {"modality": "CT", "units": "HU"}},
    }

    def applyInPlace(self, **choice):
        node = self.choose(**choice)
        self.ui.inPlaceCheckBox.checked = True
        self.assertFalse(self.ui.outputVolumeSelector.enabled)
        self.assertEqual(self.apply(), [])
        return node

    def test_overwriteUndoRedo(self):
        node = self.applyInPlace()
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)
        self.assertTrue(self.ui.undoButton.enabled)
        self.ui.undoButton.click()
        self.assertIsNone(node.GetAttribute("MedGAN.Task"))
        self.assertTrue(self.ui.redoButton.enabled and not self.ui.undoButton.enabled)
        self.ui.redoButton.click()
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)

    def test_undoAndRedoByKey(self):
        node = self.applyInPlace()
        undo, redo = self.widget.panel._shortcuts._shortcuts
        self.assertEqual([undo.key.toString(), redo.key.toString()], ["Z", "Y"])
        undo.activated.emit()
        self.assertIsNone(node.GetAttribute("MedGAN.Task"))
        undo.activated.emit()  # nothing is left to undo, and that is no error
        self.assertEqual(self.ui.statusLabel.text, "")
        redo.activated.emit()
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)

    def test_keysWorkOnlyWhileTheModuleIsShown(self):
        shortcuts = self.widget.panel._shortcuts._shortcuts
        self.assertTrue(all(shortcut.enabled for shortcut in shortcuts))
        self.widget.exit()
        self.assertFalse(any(shortcut.enabled for shortcut in shortcuts))
        self.widget.enter()
        self.assertTrue(all(shortcut.enabled for shortcut in shortcuts))

    def test_undoOfAVolumeChangedElsewhereSaysSo(self):
        node = self.applyInPlace(source=addVolume(np.zeros((5, 6, 7), np.int16), name="Edited"))
        slicer.util.updateVolumeFromArray(node, np.ones((2, 2, 2), np.int16))
        self.ui.undoButton.click()
        self.assertOneLine("Edited")
        self.assertFalse(self.ui.undoButton.enabled)

    def test_givenOutput(self):
        source = self.choose()
        target = addVolume(np.zeros((2, 2, 2), np.float32), name="Mine")
        self.ui.outputVolumeSelector.setCurrentNode(target)
        self.assertEqual(self.apply(), [])
        self.assertTrue(np.array_equal(voxels(target), voxels(source)))
        self.ui.undoButton.click()
        self.assertEqual(voxels(target).shape, (2, 2, 2))

    def test_outputOfTheWrongKindIsSaidBeforeApply(self):
        source = self.choose()
        slide = addVolume(randomArray((1, 8, 9, 3), np.uint8), name="Slide", hounsfield=False)
        self.assertTrue(self.ui.outputVolumeSelector.addEnabled)
        self.ui.outputVolumeSelector.setCurrentNode(slide)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("Slide", self.ui.applyButton.toolTip)
        self.assertIn("Slide", self.ui.outputVolumeSelector.toolTip)
        self.assertTrue(self.ui.previewModeComboBox.enabled, "where it goes is nothing to the preview")
        self.ui.outputVolumeSelector.setCurrentNode(None)
        self.assertTrue(self.ui.applyButton.enabled)
        self.assertNotIn("Slide", self.ui.outputVolumeSelector.toolTip)
        self.choose("stain", slide, model="stain")
        self.ui.outputVolumeSelector.setCurrentNode(source)
        self.assertIn("CT", self.ui.applyButton.toolTip)
        self.assertFalse(self.ui.applyButton.enabled)

    def test_noGrayValueVolumeIsCreatedForColors(self):
        """The selector could only make one of the kind that its parameter names."""
        slide = addVolume(randomArray((1, 8, 9, 3), np.uint8), name="Slide", hounsfield=False)
        target = addVolume(randomArray((1, 2, 2, 3), np.uint8), name="Target", hounsfield=False)
        self.choose("stain", slide, model="stain")
        self.assertFalse(self.ui.outputVolumeSelector.addEnabled)
        self.ui.outputVolumeSelector.setCurrentNode(target)
        self.assertEqual(self.apply(), [])
        self.assertEqual(voxels(target).shape, voxels(slide).shape)

    def test_transparencyIsNotOverwritten(self):
        """The result has none, so it does not fit into its source, and that is said before Apply."""
        slide = addVolume(randomArray((1, 8, 9, 4), np.uint8), name="Slide", hounsfield=False)
        self.choose("stain", slide, model="stain")
        self.assertFalse(self.ui.inPlaceCheckBox.enabled)
        self.assertIn("transparency", self.ui.inPlaceCheckBox.toolTip)
        self.ui.outputVolumeSelector.setCurrentNode(slide)
        self.assertIn("transparency", self.ui.applyButton.toolTip)
        self.assertFalse(self.ui.applyButton.enabled)
        self.ui.outputVolumeSelector.setCurrentNode(None)
        (output,) = self.apply()
        self.assertEqual(voxels(output).shape, (1, 8, 9, 3))
        self.assertEqual(voxels(slide).shape, (1, 8, 9, 4))

    def test_noOverwritingWhereTheResultIsAnotherKindOfImage(self):
        node = addVolume(randomArray(dtype=np.uint16), name="MR", hounsfield=False)
        self.choose(source=node)
        self.ui.inPlaceCheckBox.checked = True
        self.press("mr-to-ct")
        self.chooseModel("mr-ct")
        self.assertFalse(self.ui.inPlaceCheckBox.enabled or self.ui.inPlaceCheckBox.checked)
        self.assertIn("another", self.ui.inPlaceCheckBox.toolTip)
        (output,) = self.apply()
        self.assertIsNot(output, node)
        self.assertIsNone(node.GetAttribute("MedGAN.Task"))
        self.press(TASK)
        self.assertTrue(self.ui.inPlaceCheckBox.enabled)

    def test_noOverwritingWhereTheGridChanges(self):
        self.choose("superres-mr", addVolume(randomArray((8, 8, 8), np.uint16), name="MR", hounsfield=False))
        names = [name for name in self.modelNames() if "2" in name]
        self.ui.modelComboBox.currentText = names[0]
        self.assertFalse(self.ui.inPlaceCheckBox.enabled)
        self.assertIn("grid", self.ui.inPlaceCheckBox.toolTip)

    def test_provenanceOfTheLastResult(self):
        source = self.choose()
        table = self.ui.provenanceTableWidget
        self.assertEqual(table.rowCount, 0)
        (output,) = self.apply()
        self.assertGreater(table.rowCount, 5)
        shown = {table.item(row, 1).text() for row in range(table.rowCount)}
        self.assertIn(output.GetAttribute("MedGAN.Model"), shown)
        slicer.mrmlScene.RemoveNode(output)
        self.ui.sourceVolumeSelector.setCurrentNode(None)
        self.assertEqual(table.rowCount, 0)
        self.assertIsNone(source.GetAttribute("MedGAN.Model"))

    def test_provenanceOfASelectedResult(self):
        self.choose()
        (output,) = self.apply()
        self.widget.exit()
        self.widget.enter()
        self.choose(source=addVolume(randomArray(), name="Plain"))
        self.choose(source=output)
        self.assertGreater(self.ui.provenanceTableWidget.rowCount, 5)

    def test_sourceUnderTransforms(self):
        """A parent transform, linear or not, moves source and result alike."""
        node = self.choose(source=addVolume(randomArray(), obliqueGeometry(3, leftHanded=True)))
        for className in ("vtkMRMLLinearTransformNode", "vtkMRMLBSplineTransformNode", "vtkMRMLGridTransformNode"):
            transform = slicer.mrmlScene.AddNewNodeByClass(className)
            node.SetAndObserveTransformNodeID(transform.GetID())
            (output,) = self.apply()
            self.assertEqual(output.GetTransformNodeID(), transform.GetID())
            self.assertTrue(np.array_equal(voxels(output), voxels(node)))


if __name__ == "__main__":
    unittest.main()
