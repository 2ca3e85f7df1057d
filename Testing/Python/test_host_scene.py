"""Scene, volumes, segmentations, files and views as observed in Slicer (slicer-facts.md, section 5)."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer.util import VTKObservationMixin


def addVolume(name="V", shape=(3, 4, 5), dtype=np.int16):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    return slicer.util.addVolumeFromArray(array, name=name)


class VolumeTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def testArrayIsAView(self):
        node = addVolume()
        view = slicer.util.arrayFromVolume(node)
        view[1, 2, 3] = -7
        self.assertEqual(node.GetImageData().GetScalarComponentAsDouble(3, 2, 1, 0), -7.0)
        self.assertIsNotNone(node.GetDisplayNode())
        self.assertIsNotNone(node.GetDisplayNode().GetColorNode())

    def testUpdateKeepsGeometryAndDetachesViews(self):
        node = addVolume()
        node.SetSpacing(1, 2, 3)
        image, old = node.GetImageData(), slicer.util.arrayFromVolume(node)
        slicer.util.updateVolumeFromArray(node, np.full((3, 4, 5), 9, np.int16))
        self.assertIs(node.GetImageData(), image)
        self.assertEqual(node.GetSpacing(), (1.0, 2.0, 3.0))
        old[:] = 0
        self.assertEqual(slicer.util.arrayFromVolume(node).min(), 9)

    def testTypesThatVtkLacks(self):
        node = addVolume()
        with self.assertRaisesRegex(TypeError, "Could not find a suitable VTK type for bool"):
            slicer.util.updateVolumeFromArray(node, np.zeros((2, 2, 2), bool))
        with self.assertRaises(TypeError):
            slicer.util.updateVolumeFromArray(node, np.zeros((2, 2, 2), np.float16))

    def testColorVolume(self):
        array = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
        node = slicer.util.addVolumeFromArray(array, nodeClassName="vtkMRMLVectorVolumeNode")
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), array)
        self.assertIsInstance(node, slicer.vtkMRMLScalarVolumeNode)

    def testVolumeWithoutImage(self):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        self.assertIsNone(node.GetDisplayNode())
        with self.assertRaisesRegex(AttributeError, "'NoneType' object has no attribute 'GetDimensions'"):
            slicer.util.arrayFromVolume(node)

    def testNamesAndAttributes(self):
        node = addVolume("clone")
        self.assertEqual(slicer.mrmlScene.GenerateUniqueName("clone"), "clone_1")
        self.assertIs(slicer.util.getNode(node.GetID()), node)
        with self.assertRaises(slicer.util.MRMLNodeNotFoundException):
            slicer.util.getNode("nosuch")
        with self.assertRaisesRegex(TypeError, "string or None required"):
            node.SetAttribute("A", 5)
        self.assertIsNone(node.GetAttribute("A"))

    def testClone(self):
        node = addVolume()
        clone = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, node, "copy")
        self.assertEqual(clone.GetName(), "copy")
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(clone), slicer.util.arrayFromVolume(node))

    def testRemovedNode(self):
        node = addVolume()
        nodeID = node.GetID()
        slicer.mrmlScene.RemoveNode(node)
        self.assertIsNone(node.GetScene())
        self.assertEqual(node.GetID(), nodeID)


class SegmentationTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def testSegmentGoesBackAndForth(self):
        volume = addVolume()
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        segmentID = node.GetSegmentation().AddEmptySegment("", "Lesion")
        mask = np.zeros((3, 4, 5), np.uint8)
        mask[1, 1:3, 2] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segmentID, volume)
        back = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, volume)
        self.assertEqual(back.shape, (3, 4, 5))
        np.testing.assert_array_equal(back, mask)
        labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        logic = slicer.modules.segmentations.logic()
        self.assertTrue(logic.ExportVisibleSegmentsToLabelmapNode(node, labelmap, volume))


class FileTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def testVolumeFile(self):
        node = addVolume("saved")
        node.SetIJKToRASDirections(0, -1, 0, 1, 0, 0, 0, 0, 1)
        node.SetOrigin(10, 20, 30)
        path = str(self.folder / "saved.nrrd")
        self.assertTrue(slicer.util.saveNode(node, path))
        loaded = slicer.util.loadVolume(path)
        self.assertIsNot(loaded, node)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(node))
        matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
        for volume, matrix in zip((node, loaded), matrices, strict=True):
            volume.GetIJKToRASMatrix(matrix)
        np.testing.assert_allclose(*[slicer.util.arrayFromVTKMatrix(matrix) for matrix in matrices])

    def testMissingFile(self):
        with self.assertRaisesRegex(RuntimeError, "Failed to load node from file"):
            slicer.util.loadVolume(str(self.folder / "nosuch.nrrd"))

    def testSceneFile(self):
        node = addVolume("inScene")
        node.SetAttribute("MedGAN.Test", "1")
        path = str(self.folder / "scene.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(path)
        loaded = slicer.util.getNode("inScene")
        self.assertEqual(loaded.GetAttribute("MedGAN.Test"), "1")
        self.assertEqual(slicer.util.arrayFromVolume(loaded).shape, (3, 4, 5))

    def testSceneFileKeepsTheSubjectHierarchy(self):
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "study")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(addVolume("inStudy")), folder)
        path = str(self.folder / "hierarchy.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(path)
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(slicer.util.getNode("inStudy"))
        self.assertEqual(hierarchy.GetItemName(hierarchy.GetItemParent(item)), "study")
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSubjectHierarchyNode"), 1)


class SceneTest(unittest.TestCase, VTKObservationMixin):
    def __init__(self, *args):
        unittest.TestCase.__init__(self, *args)
        VTKObservationMixin.__init__(self)

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def tearDown(self):
        self.removeObservers()

    def testObserverSeesTheNode(self):
        seen = []

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(caller, event, node):
            seen.append((event, node.GetName()))

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, added)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "T")
        self.assertIn(("NoEvent", "T"), seen)

    def testSubjectHierarchyPlacesOutputsBesideInputs(self):
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        first, second = addVolume("in"), addVolume("out")
        items = [hierarchy.GetItemByDataNode(node) for node in (first, second)]
        self.assertNotIn(hierarchy.GetInvalidItemID(), items)
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "study")
        hierarchy.SetItemParent(items[0], folder)
        hierarchy.SetItemParent(items[1], hierarchy.GetItemParent(items[0]))
        self.assertEqual(hierarchy.GetItemParent(items[1]), folder)
        slicer.mrmlScene.RemoveNode(second)
        self.assertEqual(hierarchy.GetItemByName("out"), hierarchy.GetInvalidItemID())

    def testSliceViews(self):
        node = addVolume()
        slicer.util.setSliceViewerLayers(background=node, foreground=None, fit=True)
        manager = slicer.app.layoutManager()
        self.assertEqual(set(manager.sliceViewNames()) & {"Red", "Green", "Yellow"}, {"Red", "Green", "Yellow"})
        widget = manager.sliceWidget("Red")
        widget.mrmlSliceNode().SetOrientation("Axial")  # other tests turn it
        self.assertEqual(widget.mrmlSliceNode().GetOrientation(), "Axial")
        self.assertEqual(widget.sliceLogic().GetSliceCompositeNode().GetBackgroundVolumeID(), node.GetID())
        self.assertIsNone(manager.sliceWidget("nosuch"))
        slicer.util.resetSliceViews()

    def testDialogsInTestingMode(self):
        self.assertIs(slicer.app.testingEnabled(), True)
        self.assertIsNone(slicer.util.infoDisplay("i"))
        for confirm in ("confirmOkCancelDisplay", "confirmYesNoDisplay", "confirmRetryCloseDisplay"):
            with self.subTest(confirm=confirm):
                self.assertIs(getattr(slicer.util, confirm)("?"), False)
        with self.assertRaisesRegex(ValueError, "inside"), slicer.util.tryWithErrorDisplay("outside"):
            raise ValueError("inside")
        self.assertTrue(slicer.util.showStatusMessage("text", 10))
