"""Masking in the panel: a segment, its inside and outside, an intensity range, a box, and all of them at once."""

import unittest
from typing import ClassVar

import numpy as np
import slicer
from panel_fixtures import TASK, PanelTest
from slicer_fixtures import FAKE_WORKER, addSegment, addVolume, nodeIDs, randomArray, voxels

SHAPE = (5, 17, 23)


class SynthesisWidgetMaskTest(PanelTest):
    """The fake generator "negate" turns every value around, so that it shows where its result counts."""

    worker = FAKE_WORKER
    models: ClassVar = {"negate": {"task": TASK}}

    def setUp(self):
        super().setUp()
        self.array = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
        self.node = self.choose(source=addVolume(self.array), model="negate")
        self.mask = np.zeros(SHAPE, bool)
        self.mask[1:3, 2:9, 2:9] = True

    def applied(self):
        """Where the result counts, as the output shows; elsewhere it has to be the source."""
        (output,) = self.apply()
        changed = voxels(output) != self.array
        self.assertTrue(np.array_equal(voxels(output)[changed], -self.array[changed]))
        self.output = output
        return changed

    def addRoi(self, selector):
        """Create a ROI as the menu of a selector does."""
        selector.addNode("vtkMRMLMarkupsROINode")
        return selector.currentNode()

    def test_everywhere(self):
        self.assertTrue(self.applied().all())
        for name in ("segmentationSelector", "segmentComboBox", "softEdgeSliderWidget", "intensityRangeWidget"):
            self.assertFalse(getattr(self.ui, name).enabled, name)

    def test_insideAndOutsideOfASegment(self):
        segmentationNode, segmentID = addSegment(self.node, self.mask)
        for index, expected, word in ((1, self.mask, "inside"), (2, ~self.mask, "outside")):
            self.ui.maskModeComboBox.currentIndex = index
            self.assertTrue(self.ui.segmentationSelector.enabled and self.ui.softEdgeSliderWidget.enabled)
            self.ui.segmentationSelector.setCurrentNode(segmentationNode)
            self.assertEqual(self.parameters.segmentID, segmentID)
            self.assertTrue(np.array_equal(self.applied(), expected))
            self.assertIn(f"{word} segment 'Lesion'", self.output.GetAttribute("MedGAN.Mask"))

    def test_softEdge(self):
        segmentationNode, _segmentID = addSegment(self.node, self.mask)
        self.ui.maskModeComboBox.currentIndex = 1
        self.ui.segmentationSelector.setCurrentNode(segmentationNode)
        self.ui.softEdgeSliderWidget.value = 4.0
        (output,) = self.apply()
        between = (voxels(output) != self.array) & (voxels(output) != -self.array)
        self.assertTrue(between.any())
        self.assertIn("soft edge 4 mm", output.GetAttribute("MedGAN.Mask"))

    def test_segmentsAreFollowed(self):
        segmentationNode, first = addSegment(self.node, self.mask)
        self.ui.maskModeComboBox.currentIndex = 1
        self.ui.segmentationSelector.setCurrentNode(segmentationNode)
        box, segmentation = self.ui.segmentComboBox, segmentationNode.GetSegmentation()
        second = segmentation.AddEmptySegment("Other", "Other")
        self.settle()
        self.assertEqual([box.itemText(index) for index in range(box.count)], ["Lesion", "Other"])
        box.currentIndex = 1
        self.assertEqual(self.parameters.segmentID, second)
        segmentation.GetSegment(second).SetName("Renamed")
        self.settle()
        self.assertEqual(box.itemText(1), "Renamed")
        segmentation.RemoveSegment(second)
        self.settle()
        self.assertEqual((box.count, self.parameters.segmentID), (1, first))

    def test_missingSegmentationIsOneLine(self):
        self.ui.maskModeComboBox.currentIndex = 1
        before = nodeIDs()
        self.ui.applyButton.click()
        self.assertEqual(self.widget.logic.jobs, ())
        self.assertOneLine("segmentation")
        self.assertEqual(nodeIDs(), before)

    def test_emptySegmentIsOneLine(self):
        segmentationNode, _segmentID = addSegment(self.node, self.mask)
        segmentation = segmentationNode.GetSegmentation()
        empty = segmentation.AddEmptySegment("Empty", "Empty")
        self.ui.maskModeComboBox.currentIndex = 1
        self.ui.segmentationSelector.setCurrentNode(segmentationNode)
        self.parameters.segmentID = empty
        self.assertEqual(self.apply(), [])
        self.assertOneLine("Empty")

    def test_intensityRange(self):
        widget = self.ui.intensityRangeWidget
        self.ui.intensityMaskCheckBox.checked = True
        self.assertTrue(widget.enabled)
        self.assertEqual((widget.minimum, widget.maximum), (1.0, float(self.array.max())))
        self.assertTrue(self.applied().all())
        widget.setValues(100.0, 200.0)
        self.assertTrue(np.array_equal(self.applied(), (self.array >= 100) & (self.array <= 200)))
        self.ui.intensityMaskCheckBox.checked = False
        self.assertTrue(self.applied().all())

    def test_wholeRangeLeavesNoVoxelOutWhateverItsDecimals(self):
        self.array = (self.array / 7.0).astype(np.float32) - 123.456
        self.choose(source=addVolume(self.array, name="Fractions"))
        self.ui.intensityMaskCheckBox.checked = True
        self.assertTrue(self.applied().all())
        widget = self.ui.intensityRangeWidget
        widget.setValues(widget.minimumValue, 0.0)  # the user moves one end, the other one stays
        self.assertTrue(np.array_equal(self.applied(), self.array <= 0.0))

    def test_rangeOfAnotherVolumeStays(self):
        self.ui.intensityMaskCheckBox.checked = True
        self.ui.intensityRangeWidget.setValues(100.0, 1500.0)
        self.choose(source=addVolume(np.arange(200, dtype=np.uint8).reshape(2, 10, 10), name="Dark"))
        chosen = self.parameters.intensityRange
        self.assertEqual((chosen.minimum, chosen.maximum), (100.0, 1500.0))
        self.assertEqual(self.ui.intensityRangeWidget.maximumValue, 1500.0)

    def test_rangeWithoutVoxelsIsOneLine(self):
        self.choose(source=addVolume(np.float32([[[0.0, 100.0], [0.0, 100.0]]] * 2), name="Gap"))
        self.ui.intensityMaskCheckBox.checked = True
        self.ui.intensityRangeWidget.setValues(20.0, 30.0)
        self.assertEqual(self.apply(), [])
        self.assertOneLine("intensity range")

    def test_newRoiLiesInTheVolume(self):
        roi = self.addRoi(self.ui.maskRoiSelector)
        self.assertIs(self.parameters.maskRoi, roi)
        changed = self.applied()
        self.assertTrue(changed[2, 8, 11])
        self.assertFalse(changed[0, 0, 0] or changed.all())
        self.assertIn("inside ROI", self.output.GetAttribute("MedGAN.Mask"))
        self.ui.maskRoiSelector.setCurrentNode(None)
        self.assertTrue(self.applied().all())

    def test_roiOutsideIsOneLine(self):
        roi = self.addRoi(self.ui.maskRoiSelector)
        roi.SetCenterWorld([9000.0, 0.0, 0.0])
        self.assertEqual(self.apply(), [])
        self.assertOneLine("ROI")

    def test_allAtOnce(self):
        segmentationNode, _segmentID = addSegment(self.node, self.mask)
        self.ui.maskModeComboBox.currentIndex = 1
        self.ui.segmentationSelector.setCurrentNode(segmentationNode)
        self.ui.intensityMaskCheckBox.checked = True
        self.ui.intensityRangeWidget.setValues(1.0, 800.0)
        self.assertTrue(np.array_equal(self.applied(), self.mask & (self.array <= 800)))

    def test_maskOfASourceUnderATransform(self):
        """The ROI lies in the world, where the transform has moved the volume to."""
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.array([[0.0, -1.0, 0.0, 50.0], [1.0, 0.0, 0.0, 70.0], [0.0, 0.0, 1.0, 9.0], [0.0, 0.0, 0.0, 1.0]])
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        self.node.SetAndObserveTransformNodeID(transform.GetID())
        self.addRoi(self.ui.maskRoiSelector)
        changed = self.applied()
        self.assertTrue(changed[2, 8, 11])
        self.assertFalse(changed[0, 0, 0])
        self.assertEqual(self.output.GetTransformNodeID(), transform.GetID())

    def test_colorImageHasNoIntensityRange(self):
        slide = addVolume(randomArray((1, 8, 9, 3), np.uint8), name="Slide", hounsfield=False)
        self.ui.intensityMaskCheckBox.checked = True
        self.ui.intensityRangeWidget.setValues(1.0, 800.0)
        self.ui.sourceVolumeSelector.setCurrentNode(slide)
        self.assertFalse(self.ui.applyButton.enabled)  # gray values only, and no error from the range either
        self.assertIn("Slide", self.ui.applyButton.toolTip)


if __name__ == "__main__":
    unittest.main()
