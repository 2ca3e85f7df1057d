"""Previews through the write gate: into one node, fast, with the look of the source, and no trace of a result."""

import unittest

import numpy as np
import slicer
from medgan.errors import InputError
from medgan.volume import Geometry, Volume
from MedGANSynthesisLib.displays import CT_WINDOW_LEVEL_HU
from MedGANSynthesisLib.Gate import Gate
from MedGANSynthesisLib.nodes import geometryOfNode
from slicer_fixtures import addLinearTransform, addVolume, nodeIDs, obliqueGeometry, randomArray, voxels


class GatePreviewTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.gate = Gate()
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Preview")

    def test_partOfTheSourceWithItsLook(self):
        source = addVolume(randomArray(), obliqueGeometry(3))
        parent = addLinearTransform(np.diag([2.0, 1.0, 1.0, 1.0]))
        source.SetAndObserveTransformNodeID(parent.GetID())
        source.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeRed")
        part = Volume(randomArray((2, 17, 23)), geometryOfNode(source).shifted((0, 0, 2)), "HU", "CT")
        self.gate.writePreview(self.node, part, source)
        self.assertTrue(np.array_equal(voxels(self.node), part.array))
        self.assertTrue(geometryOfNode(self.node).is_close(part.geometry, 0.0))
        self.assertIs(self.node.GetParentTransformNode(), parent)
        names = [name for name in self.node.GetAttributeNames() if name.startswith("MedGAN.")]
        self.assertEqual(names, ["MedGAN.Note"])
        self.assertIn("SYNTHETIC", self.node.GetAttribute("MedGAN.Note"))
        display = self.node.GetDisplayNode()
        self.assertEqual((display.GetWindow(), display.GetLevel()), (350.0, 40.0))
        self.assertEqual(display.GetColorNodeID(), "vtkMRMLColorTableNodeRed")
        self.assertFalse(self.gate.history.canUndo())

    def test_nextOneGoesIntoTheSameVoxels(self):
        source = addVolume(randomArray())
        part = Volume(randomArray((1, 17, 23)), geometryOfNode(source), "HU", "CT")
        self.gate.writePreview(self.node, part, source)
        array, image, nodes = slicer.util.arrayFromVolume(self.node), self.node.GetImageData(), nodeIDs()
        heard = []
        self.node.AddObserver("ModifiedEvent", lambda caller, event: heard.append(event))
        source.GetDisplayNode().SetWindowLevel(100.0, 7.0)
        following = Volume(randomArray((1, 17, 23), seed=1), part.geometry.shifted((0, 0, 1)), "HU", "CT")
        following.array.flags.writeable = False
        self.gate.writePreview(self.node, following, source)
        self.assertTrue(np.array_equal(array, following.array))
        self.assertIs(self.node.GetImageData(), image)
        self.assertTrue(geometryOfNode(self.node).is_close(following.geometry, 0.0))
        self.assertEqual(len(heard), 1)  # one event is one rendering
        self.assertEqual(self.node.GetDisplayNode().GetWindow(), 100.0)
        self.assertEqual(nodeIDs(), nodes)

    def test_otherShapeAndType(self):
        source = addVolume(randomArray())
        for array in (randomArray((1, 17, 23)), randomArray((2, 17, 23), np.float32), randomArray((2, 3, 4))):
            self.gate.writePreview(self.node, Volume(array, geometryOfNode(source), "HU", "CT"), source)
            self.assertEqual(voxels(self.node).tobytes(), array.tobytes())
            self.assertEqual(voxels(self.node).dtype, array.dtype)

    def test_anotherKindOfImage(self):
        source = addVolume(randomArray(), hounsfield=False)
        part = Volume(randomArray((1, 17, 23), np.float32), geometryOfNode(source), "HU", "CT")
        self.gate.writePreview(self.node, part, source, sameKind=False)
        display = self.node.GetDisplayNode()
        self.assertEqual((display.GetWindow(), display.GetLevel()), CT_WINDOW_LEVEL_HU)
        display.SetWindowLevel(2000.0, 300.0)
        self.gate.writePreview(self.node, part, source, sameKind=False)
        self.assertEqual(display.GetWindow(), 2000.0)  # what the user set on the way stays

    def test_colors(self):
        source = addVolume(randomArray((1, 8, 9, 3), np.uint8), Geometry(), hounsfield=False)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Preview")
        for seed in (1, 2):
            array = randomArray((1, 4, 5, 3), np.uint8, seed=seed)
            self.gate.writePreview(node, Volume(array), source)
            self.assertTrue(np.array_equal(voxels(node), array))
        self.assertEqual(node.GetVoxelVectorType(), slicer.vtkMRMLVolumeNode.VoxelVectorTypeColorRGB)
        with self.assertRaises(InputError):
            self.gate.writePreview(self.node, Volume(array), source)
