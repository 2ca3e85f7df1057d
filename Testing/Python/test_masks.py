"""Where a result counts: segment, intensity range and box, on any grid, under any transform, and all at once."""

import unittest

import numpy as np
import slicer
import vtk
from medgan.errors import InputError
from medgan.masking import soft_weight
from medgan.volume import Geometry
from MedGANSynthesisLib.masks import maskOf
from MedGANSynthesisLib.nodes import geometryOfNode, volumeFromNode
from MedGANSynthesisLib.Prepared import Prepared
from slicer_fixtures import (
    addGridTransform,
    addLinearTransform,
    addRoi,
    addSegment,
    addVolume,
    nodeIDs,
    obliqueGeometry,
    randomArray,
)

SHAPE = (5, 17, 23)


def inRoiVoxelByVoxel(roiNode, volumeNode):
    """The same by Slicer's own test of one point in world coordinates."""
    nodeToWorld = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volumeNode.GetParentTransformNode(), None, nodeToWorld)
    ijkToRas = geometryOfNode(volumeNode).ijk_to_ras
    shape = slicer.util.arrayFromVolume(volumeNode).shape[:3]
    inside = np.zeros(shape, bool)
    for k, j, i in np.ndindex(shape):
        position = nodeToWorld.TransformPoint((ijkToRas @ (i, j, k, 1))[:3])
        inside[k, j, i] = roiNode.IsPointInROIWorld(position)
    return inside


class MasksTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def refused(self, node, **settings):
        """The sentence with which a mask is refused."""
        with self.assertRaises(InputError) as caught:
            maskOf(node, **settings)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_nothingGivenIsNoMask(self):
        node = addVolume(randomArray())
        self.assertIsNone(maskOf(node))
        segmentationNode, segmentID = addSegment(node, np.ones(SHAPE, bool))
        everywhere = {"segmentationNode": segmentationNode, "segmentID": segmentID, "maskMode": "everywhere"}
        self.assertIsNone(maskOf(node, **everywhere))

    def test_segmentIsSampledOnTheGridOfTheSource(self):
        """The mask is the segment, also where a transform moves both, however it bends."""
        source = addVolume(randomArray())
        inside = np.zeros(SHAPE, bool)
        inside[1:4, 5:12, 6:15] = True
        segmentationNode, segmentID = addSegment(source, inside)
        turned = np.array([[0, -1, 0, 5], [1, 0, 0, 7], [0, 0, 1, 9], [0, 0, 0, 1.0]])
        for parent in (None, addLinearTransform(turned), addGridTransform(source)):
            for node in (source, segmentationNode):
                node.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)
            for mode, expected in (("inside", inside), ("outside", ~inside)):
                mask = maskOf(source, segmentationNode=segmentationNode, segmentID=segmentID, maskMode=mode)
                self.assertTrue(np.array_equal(mask.array, expected))
                self.assertIn(f"{mode} segment 'Lesion'", mask.description)

    def test_samplingASegmentLeavesNothingBehind(self):
        source = addVolume(randomArray())
        segmentationNode, segmentID = addSegment(source, np.ones(SHAPE, bool))
        before = nodeIDs()
        maskOf(source, segmentationNode=segmentationNode, segmentID=segmentID)
        self.assertEqual(nodeIDs(), before)

    def test_maskedResult(self):
        """Inside the segment the result, outside the source, between them a ramp."""
        source = addVolume(np.zeros((9, 20, 24), np.float32))
        inside = np.zeros((9, 20, 24), bool)
        inside[2:7, 5:15, 6:18] = True
        segmentationNode, segmentID = addSegment(source, inside)
        for mode in ("inside", "outside"):
            mask = maskOf(source, segmentationNode=segmentationNode, segmentID=segmentID, maskMode=mode, softEdgeMm=3.0)
            result = volumeFromNode(source).with_array(np.full((9, 20, 24), 50.0, np.float32))
            image = Prepared.of(source, result, {}, mask).image.array
            expected = 50.0 * soft_weight(inside, geometryOfNode(source), 3.0, mode == "inside")
            self.assertLess(np.abs(image - expected).max(), 1e-4)
            self.assertEqual({image[4, 10, 12], image[0, 0, 0]}, {50.0, 0.0})

    def test_intensityRangeIncludesItsEnds(self):
        array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
        mask = maskOf(addVolume(array), intensityRange=(100, 103))
        self.assertEqual(np.flatnonzero(mask.array).tolist(), [100, 101, 102, 103])
        self.assertIn("100 to 103", mask.description)

    def test_roiOnEveryGrid(self):
        """Oblique grids, a turned box, and parents of the volume and of the box, linear or bent."""
        moved = np.array([[0.9, -0.1, 0.2, 3.0], [0.1, 1.1, 0.0, -4.0], [-0.2, 0.0, 0.8, 5.0], [0, 0, 0, 1.0]])
        for seed, leftHanded in ((1, False), (2, True)):
            source = addVolume(randomArray(), obliqueGeometry(seed, leftHanded))
            for parentOfSource, parentOfRoi in (
                (None, None),
                (addLinearTransform(moved), None),
                (None, addLinearTransform(moved)),
                (addGridTransform(source), None),
                (addGridTransform(source, 4.0), addLinearTransform(moved)),
            ):
                source.SetAndObserveTransformNodeID(parentOfSource.GetID() if parentOfSource else None)
                roiNode = addRoi(source, sizeMm=(7.0, 6.0, 9.0), angleDegrees=33.0, parent=parentOfRoi)
                mask = maskOf(source, roiNode=roiNode)
                self.assertTrue(0 < np.count_nonzero(mask.array) < mask.array.size)
                self.assertTrue(np.array_equal(mask.array, inRoiVoxelByVoxel(roiNode, source)))
                self.assertIn("'Box'", mask.description)

    def test_roiTurnedInsideOut(self):
        source = addVolume(randomArray())
        roiNode = addRoi(source, sizeMm=(7.0, 6.0, 9.0))
        inside = maskOf(source, roiNode=roiNode).array
        roiNode.SetInsideOut(True)
        self.assertTrue(np.array_equal(maskOf(source, roiNode=roiNode).array, ~inside))

    def test_partsAreCombinedAndShareOneSoftEdge(self):
        array = randomArray(seed=3)
        source = addVolume(array)
        segment = np.zeros(SHAPE, bool)
        segment[:, 4:, :] = True
        segmentationNode, segmentID = addSegment(source, segment)
        roiNode = addRoi(source, sizeMm=(12.0, 9.0, 30.0))
        mask = maskOf(
            source,
            segmentationNode=segmentationNode,
            segmentID=segmentID,
            softEdgeMm=2.0,
            intensityRange=(-20000, 20000),
            roiNode=roiNode,
        )
        expected = segment & (np.abs(array.astype(int)) <= 20000) & inRoiVoxelByVoxel(roiNode, source)
        self.assertTrue(np.array_equal(mask.array, expected))
        self.assertTrue(np.array_equal(mask.weight, soft_weight(expected, geometryOfNode(source), 2.0)))
        for words in ("segment", "source from", "ROI", "soft edge 2 mm"):
            self.assertIn(words, mask.description)

    def test_colorVolume(self):
        source = addVolume(randomArray((3, 8, 9, 3), np.uint8), Geometry(), hounsfield=False, name="Slide")
        mask = maskOf(source, roiNode=addRoi(source, sizeMm=(4.0, 4.0, 4.0)))
        self.assertEqual(mask.array.shape, (3, 8, 9))
        result = volumeFromNode(source).with_array(randomArray((3, 8, 9, 3), np.uint8, seed=1))
        image = Prepared.of(source, result, {}, mask).image.array
        old, new = slicer.util.arrayFromVolume(source), result.array
        self.assertTrue(np.array_equal(image, np.where(mask.array[..., np.newaxis], new, old)))
        self.assertIn("Slide", self.refused(source, intensityRange=(0, 100)))

    def test_emptyMasksAreRefused(self):
        source = addVolume(np.zeros(SHAPE, np.int16))
        self.assertIn("between 5", self.refused(source, intensityRange=(5, 6)))
        self.assertIn("lower", self.refused(source, intensityRange=(6, 5)))
        self.assertIn("is empty", self.refused(source, intensityRange=(float("nan"), 5)))
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Empty")
        far = addRoi(source, sizeMm=(1.0, 1.0, 1.0), name="Far")
        far.SetCenter(9000.0, 0.0, 0.0)
        for roiNode in (empty, far):
            self.assertIn(roiNode.GetName(), self.refused(source, roiNode=roiNode))
        corner = np.zeros(SHAPE, bool)
        corner[0, 0, 0] = True
        segmentationNode, segmentID = addSegment(source, corner)
        roiNode = addRoi(source, sizeMm=(4.0, 4.0, 4.0))
        sentence = self.refused(source, segmentationNode=segmentationNode, segmentID=segmentID, roiNode=roiNode)
        self.assertIn("all parts", sentence)

    def test_badSettingsAreRefused(self):
        source = addVolume(randomArray())
        segmentationNode, segmentID = addSegment(source, np.ones(SHAPE, bool))
        self.assertIn("beside", self.refused(source, maskMode="beside"))
        self.assertIn("segment", self.refused(source, segmentationNode=segmentationNode, segmentID="none"))
        self.assertIn("segment", self.refused(source, segmentationNode=segmentationNode, segmentID=None))
        for width in (-1.0, float("nan"), float("inf")):
            sentence = self.refused(source, segmentationNode=segmentationNode, segmentID=segmentID, softEdgeMm=width)
            self.assertIn("soft edge", sentence)
