"""Which voxels a slice view shows: everything its pixels are interpolated from, and little else."""

import unittest

import numpy as np
import slicer
import vtk
from medgan.tile_plan import Box
from medgan.volume import Geometry
from MedGANSynthesisLib.preview.SliceRegion import ALIGNED_VOXELS, holds, meet, roiRegion, sliceRegion
from preview_fixtures import pixels, showIn, sliceLogic, zoom
from slicer_fixtures import addVolume, obliqueGeometry, randomArray, voxels

SHAPE = (14, 21, 27)
AXIAL = Geometry((3.0, -7.0, 11.0), (1.5, 1.0, 2.5))


def transform(matrix=None):
    """A linear parent transform: by default oblique, scaling and shifting."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    if matrix is None:
        matrix = np.eye(4)
        matrix[:3, :3] = obliqueGeometry(8).directions * 1.1
        matrix[:3, 3] = (4.0, -9.0, 13.0)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def bending(volumeNode, amplitudeMm=6.0):
    """A non-linear parent transform that bends the space of a volume by some millimeters."""
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    grid = np.stack(np.meshgrid(*(np.linspace(*bounds[2 * axis : 2 * axis + 2], 4) for axis in range(3))), axis=-1)
    points = grid.reshape(-1, 3)
    shifts = np.random.default_rng(3).uniform(-amplitudeMm, amplitudeMm, points.shape)
    spline, before, after = vtk.vtkThinPlateSplineTransform(), vtk.vtkPoints(), vtk.vtkPoints()
    for point, shift in zip(points, shifts, strict=True):
        before.InsertNextPoint(point)
        after.InsertNextPoint(point + shift)
    spline.SetSourceLandmarks(before)
    spline.SetTargetLandmarks(after)
    spline.SetBasisToR()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(spline)
    return node


def tilt(name, degrees):
    """Turn a slice view out of its plane."""
    node = sliceLogic(name).GetSliceNode()
    turn = vtk.vtkTransform()
    turn.SetMatrix(node.GetSliceToRAS())
    turn.RotateX(degrees)
    turn.RotateY(0.7 * degrees)
    node.GetSliceToRAS().DeepCopy(turn.GetMatrix())
    node.UpdateMatrices()


class SliceRegionTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def volume(self, geometry=AXIAL, parent=None):
        node = addVolume(randomArray(SHAPE, np.float32), geometry)
        if parent is not None:
            node.SetAndObserveTransformNodeID(parent.GetID())
        return node

    def check(self, node, name="Red"):
        """Voxels outside of the region have no influence on any pixel, or as good as none. Returns the region."""
        logic = sliceLogic(name)
        layer = logic.GetBackgroundLayer()
        region = sliceRegion(logic.GetSliceNode(), node)
        before, array = pixels(layer), voxels(node)
        changed = array + 1000.0
        changed[region.slices] = array[region.slices]
        slicer.util.updateVolumeFromArray(node, changed)
        np.testing.assert_allclose(pixels(layer), before, rtol=0, atol=1000.0 * ALIGNED_VOXELS + 0.01)
        self.assertTrue(before.any())
        slicer.util.updateVolumeFromArray(node, array)
        return region

    def test_planeOnALayerNeedsThatLayerOnly(self):
        node = self.volume()
        showIn(node)
        logic = sliceLogic("Red")
        logic.SetSliceOffset(11.0 + 2.5 * 4)
        self.assertEqual(self.check(node), Box((4, 0, 0), (5, 21, 27)))
        logic.SetSliceOffset(11.0 + 2.5 * 4.3)
        self.assertEqual(self.check(node), Box((4, 0, 0), (6, 21, 27)))
        self.assertEqual(self.check(node, "Green").shape[1], 1)
        self.assertEqual(self.check(node, "Yellow").shape[2], 1)

    def test_zoomAndPan(self):
        node = self.volume()
        showIn(node)
        for name in ("Red", "Green", "Yellow"):
            for shiftMm in ((0.0, 0.0), (7.3, -4.1), (-12.0, 3.0)):
                showIn(node)
                whole = self.check(node, name)
                zoom(name, 3.7, shiftMm)
                part = self.check(node, name)
                self.assertTrue(holds(whole, part))
                self.assertLess(part.voxels, whole.voxels / 2)

    def test_gridsThatAreObliqueAnisotropicAndLeftHanded(self):
        for leftHanded in (False, True):
            for seed in range(3):
                node = self.volume(obliqueGeometry(seed, leftHanded))
                showIn(node)
                for name in ("Red", "Green", "Yellow"):
                    zoom(name, 1.8, (1.0, 2.0))
                    self.assertEqual(min(self.check(node, name).shape), 1, "a view in the plane of the volume")

    def test_obliquePlanes(self):
        node = self.volume()
        for degrees in (0.02, 0.5, 12.0, 45.0):
            showIn(node)
            for name in ("Red", "Green"):
                tilt(name, degrees)
                whole = self.check(node, name)
                zoom(name, 3.0, (2.0, 1.0))
                self.assertTrue(holds(whole, self.check(node, name)))

    def test_obliquePlaneBeyondTheVolumeNeedsOnlyWhatItMeets(self):
        """The corner of the view may lie far outside; the box follows the part of the plane within the volume."""
        node = self.volume(Geometry(spacing_mm=(1.0, 1.0, 1.0)))
        showIn(node, pixels=(400, 400))
        tilt("Red", 4.0)
        zoom("Red", 0.2)
        self.assertLess(self.check(node).shape[0], 8)

    def test_linearParentTransforms(self):
        flip = transform(np.diag([-1.0, 1.0, -1.0, 1.0]))
        outer = transform()
        flip.SetAndObserveTransformNodeID(outer.GetID())
        for parent in (flip, outer):
            node = self.volume(obliqueGeometry(2, True), parent)
            showIn(node)
            for name in ("Red", "Green", "Yellow"):
                zoom(name, 1.5)
                self.check(node, name)

    def test_nonLinearParentTransform(self):
        node = self.volume()
        node.SetAndObserveTransformNodeID(bending(node).GetID())
        showIn(node)
        for name in ("Red", "Green", "Yellow"):
            whole = self.check(node, name)
            self.assertLess(whole.voxels, 0.9 * np.prod(SHAPE))
            zoom(name, 2.5, (3.0, 1.0))
            self.assertLess(self.check(node, name).voxels, whole.voxels)

    def test_slab(self):
        node = self.volume()
        showIn(node)
        sliceNode = sliceLogic("Red").GetSliceNode()
        sliceNode.SetSlabReconstructionThickness(15.0)
        sliceNode.SetSlabReconstructionEnabled(True)
        region = self.check(node)
        self.assertGreaterEqual(region.shape[0] * 2.5, 15.0)
        self.assertLess(region.shape[0], SHAPE[0])

    def test_colorsAndSingleSlices(self):
        node = addVolume(randomArray((1, 30, 40, 3), np.uint8), AXIAL, hounsfield=False)
        showIn(node)
        zoom("Red", 2.0)
        self.assertEqual(sliceRegion(sliceLogic("Red").GetSliceNode(), node).shape[0], 1)

    def test_nothingToShow(self):
        node = self.volume()
        showIn(node)
        logic = sliceLogic("Red")
        logic.SetSliceOffset(1000.0)
        self.assertIsNone(sliceRegion(logic.GetSliceNode(), node))
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        self.assertIsNone(sliceRegion(logic.GetSliceNode(), empty))

    def test_borderIsShownHalfAVoxelBeyondItsCenters(self):
        node = self.volume()
        showIn(node)
        sliceLogic("Red").SetSliceOffset(11.0 - 2.5 * 0.4)
        self.assertEqual(self.check(node), Box((0, 0, 0), (1, 21, 27)))


class RoiRegionTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.node = addVolume(randomArray(SHAPE), AXIAL)
        self.roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")

    def place(self, center, size):
        self.roi.SetCenter(*center)
        self.roi.SetSize(*size)

    def test_box(self):
        self.place((3.0 + 1.5 * 10, -7.0 + 8, 11.0 + 2.5 * 5), (1.5 * 4, 3.0, 2.4))
        self.assertEqual(roiRegion(self.roi, self.node), Box((5, 7, 8), (6, 10, 13)))

    def test_everyVoxelCenterInsideIsInTheBox(self):
        self.place((20.0, 3.0, 25.0), (11.0, 9.0, 14.0))
        for parents in ((None, None), (transform(), None), (None, transform()), (bending(self.node, 3.0), None)):
            for node, parent in zip((self.node, self.roi), parents, strict=True):
                node.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)
            bounds = [0.0] * 6
            self.node.GetRASBounds(bounds)
            self.roi.SetCenterWorld([(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)])
            region = roiRegion(self.roi, self.node)
            inside = self.inside()
            self.assertTrue(inside.any())
            outside = inside.copy()
            outside[region.slices] = False
            self.assertFalse(outside.any())

    def inside(self):
        """Which voxel centers lie in the ROI, one after the other."""
        toWorld, toRoi = vtk.vtkGeneralTransform(), vtk.vtkMatrix4x4()
        if self.node.GetParentTransformNode() is not None:
            self.node.GetParentTransformNode().GetTransformToWorld(toWorld)
        vtk.vtkMatrix4x4.Invert(self.roi.GetObjectToWorldMatrix(), toRoi)
        matrix, half = AXIAL.ijk_to_ras, np.array(self.roi.GetSize()) / 2
        found = np.zeros(SHAPE, bool)
        for k, j, i in np.ndindex(*SHAPE):
            world = toWorld.TransformPoint((matrix @ (i, j, k, 1.0))[:3])
            found[k, j, i] = (np.abs(toRoi.MultiplyPoint((*world, 1.0))[:3]) <= half).all()
        return found

    def test_outside(self):
        self.place((500.0, 0.0, 0.0), (10.0, 10.0, 10.0))
        self.assertIsNone(roiRegion(self.roi, self.node))
        self.place((20.0, 3.0, 25.0), (0.0, 10.0, 10.0))
        self.assertIsNone(roiRegion(self.roi, self.node))


class BoxesTest(unittest.TestCase):
    def test_meetAndHold(self):
        outer, inner, beside = Box((0, 0, 0), (4, 5, 6)), Box((1, 0, 2), (4, 5, 3)), Box((4, 0, 0), (5, 5, 6))
        self.assertTrue(holds(outer, inner) and meet(outer, inner) and meet(inner, outer))
        self.assertFalse(holds(inner, outer) or meet(outer, beside) or holds(outer, beside))
