"""Volume nodes as engine volumes: no copy, no lost bit, no guess that is wrong."""

import unittest

import numpy as np
import slicer
from medgan.errors import InputError
from medgan.volume import Geometry
from MedGANSynthesisLib.nodes import modalityAndUnits, setGeometryOfNode, volumeFromNode, writableType
from slicer_fixtures import addVolume, gridBits, obliqueGeometry, randomArray, setDicomModality


class NodesTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_voxelsAreSharedAndGridIsExact(self):
        array = randomArray()
        for leftHanded in (False, True):
            geometry = obliqueGeometry(3, leftHanded)
            node = addVolume(array, geometry)
            volume = volumeFromNode(node)
            self.assertTrue(np.array_equal(volume.array, array))
            self.assertTrue(np.shares_memory(volume.array, slicer.util.arrayFromVolume(node)))
            self.assertEqual(volume.geometry.origin_mm.tobytes(), geometry.origin_mm.tobytes())
            self.assertEqual(volume.geometry.spacing_mm.tobytes(), geometry.spacing_mm.tobytes())
            self.assertEqual(volume.geometry.directions.tobytes(), geometry.directions.tobytes())

    def test_matrixOfNodeIsMatrixOfVolume(self):
        import vtk

        node = addVolume(randomArray())
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        ours = volumeFromNode(node).geometry.ijk_to_ras
        self.assertTrue(np.allclose(slicer.util.arrayFromVTKMatrix(matrix), ours, rtol=0, atol=1e-12))

    def test_gridKeepsNumbersThatMrmlTakesForEqual(self):
        """MRML setters skip a value that differs by less than 2e-16 from the present one."""
        node = addVolume(randomArray())
        directions = np.eye(3)
        directions[0, 1], directions[1, 0], directions[2, 2] = 1e-17, -1e-17, np.nextafter(1.0, 0.0)
        for geometry in (Geometry(), Geometry((1e-17, -0.0, 0.0), (np.nextafter(1.0, 0.0), 1.0, 1.0), directions)):
            setGeometryOfNode(node, geometry)
            wanted = [geometry.origin_mm.tobytes(), geometry.spacing_mm.tobytes(), geometry.directions.tobytes()]
            self.assertEqual(gridBits(node), wanted)

    def test_parentTransformIsLeftOut(self):
        node = addVolume(randomArray())
        before = volumeFromNode(node).geometry
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(transform, np.diag([2.0, 1.0, 1.0, 1.0]))
        node.SetAndObserveTransformNodeID(transform.GetID())
        self.assertTrue(before.is_close(volumeFromNode(node).geometry, 0.0))

    def test_colorVolumeHasComponents(self):
        array = randomArray((2, 3, 4, 3), np.uint8)
        volume = volumeFromNode(addVolume(array, hounsfield=False))
        self.assertEqual(volume.channels, 3)
        self.assertTrue(np.array_equal(volume.array, array))

    def test_transparencyIsNoColor(self):
        array = randomArray((1, 5, 6, 4), np.uint8)
        node = addVolume(array, hounsfield=False)
        volume = volumeFromNode(node)
        self.assertEqual(volume.channels, 3)
        self.assertTrue(np.array_equal(volume.array, array[..., :3]))

    def test_unitsAndModality(self):
        self.assertEqual(modalityAndUnits(addVolume(randomArray())), ("CT", "HU"))
        self.assertEqual(modalityAndUnits(addVolume(randomArray(), hounsfield=False)), ("", ""))

    def test_modalityOfDicomSeries(self):
        for modality, units in (("MR", ""), ("CT", "HU")):
            node = addVolume(randomArray(), hounsfield=False)
            setDicomModality(node, modality)
            self.assertEqual(modalityAndUnits(node), (modality, units))

    def test_whatIsNoImageIsRefused(self):
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        slicer.util.updateVolumeFromArray(labels, np.zeros((2, 2, 2), np.uint8))
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "Model")
        for node, word in ((None, "source"), (labels, "Labels"), (empty, "Empty"), (model, "Model")):
            with self.assertRaises(InputError) as caught:
                volumeFromNode(node)
            self.assertIn(word, str(caught.exception))

    def test_everyTypeCanBeStored(self):
        node = addVolume(randomArray())
        for dtype in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"):
            array = np.arange(24).reshape(2, 3, 4).astype(dtype)
            slicer.util.updateVolumeFromArray(node, writableType(array))
            self.assertTrue(np.array_equal(slicer.util.arrayFromVolume(node), array), dtype)
        huge = np.array([[[2**40, -1]]])
        self.assertTrue(np.array_equal(writableType(huge), huge))
