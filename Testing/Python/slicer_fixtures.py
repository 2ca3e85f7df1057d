"""What the tests of the Slicer side share: volumes on awkward grids, segments, a look at bits."""

import os
import signal
import time

import client_fixtures
import numpy as np
import slicer
import vtk
import vtk.util.numpy_support
from medgan.volume import Geometry
from MedGANSynthesisLib.nodes import Contents, geometryOfNode, setGeometryOfNode, setHounsfieldUnits
from MedGANSynthesisLib.QProcessTransport import interpreterPath

# In Slicer sys.executable is a launcher, which turns the death of what it started into an ordinary exit code.
FAKE_WORKER = [interpreterPath(), *client_fixtures.FAKE_WORKER[1:]]


def obliqueGeometry(seed=0, leftHanded=False):
    """An anisotropic grid along no axis of the patient, with numbers that do not survive a product of matrices."""
    rng = np.random.default_rng(seed)
    rotation, _triangle = np.linalg.qr(rng.normal(size=(3, 3)))
    sign = np.sign(np.linalg.det(rotation)) * (-1 if leftHanded else 1)
    return Geometry((-101.3, 47.900000000000006, 1203.456), (0.7, 0.9000000000000001, 3.1), rotation * [1, 1, sign])


def addVolume(array, geometry=None, name="CT", hounsfield=True):
    """A scalar or color volume node in the scene, with a display node that has a window of its own."""
    className = "vtkMRMLVectorVolumeNode" if array.ndim == 4 else "vtkMRMLScalarVolumeNode"
    node = slicer.mrmlScene.AddNewNodeByClass(className, name)
    slicer.util.updateVolumeFromArray(node, array)
    setGeometryOfNode(node, geometry or obliqueGeometry())
    node.CreateDefaultDisplayNodes()
    if array.ndim == 3:
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(350.0, 40.0)
    if hounsfield:
        setHounsfieldUnits(node)
    return node


def setDicomModality(node, modality):
    """Say in the subject hierarchy that a node is a DICOM series of a modality."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", modality)


def randomArray(shape=(5, 17, 23), dtype=np.int16, seed=0):
    """Voxels over the whole range of a type."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 1000, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def addSegment(volumeNode, mask, name="Lesion"):
    """A segmentation with one segment of the given voxels. Returns (segmentation node, segment ID)."""
    segmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentID = segmentationNode.GetSegmentation().AddEmptySegment(name, name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentationNode, segmentID, volumeNode)
    return segmentationNode, segmentID


def addLinearTransform(matrix):
    """A linear transform node with a 4x4 matrix to its parent."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def addGridTransform(volumeNode, shiftMm=2.5):
    """A transform node that bends space around a volume: displacements of up to ``shiftMm`` on a coarse grid."""
    ijkToRas, size = geometryOfNode(volumeNode).ijk_to_ras, slicer.util.arrayFromVolume(volumeNode).shape[2::-1]
    corners = np.array([[*(np.array(ends) * size), 1.0] for ends in np.ndindex(2, 2, 2)]) @ ijkToRas[:3].T
    low, high = corners.min(axis=0) - 20.0, corners.max(axis=0) + 20.0
    displacements = vtk.vtkImageData()
    displacements.SetDimensions(4, 4, 4)
    displacements.SetOrigin(low)
    displacements.SetSpacing((high - low) / 3.0)
    displacements.AllocateScalars(vtk.VTK_DOUBLE, 3)
    values = vtk.util.numpy_support.vtk_to_numpy(displacements.GetPointData().GetScalars())
    values[:] = np.random.default_rng(4).uniform(-shiftMm, shiftMm, values.shape)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(displacements)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformFromParent(transform)
    return node


def addRoi(volumeNode, sizeMm, angleDegrees=0.0, parent=None, name="Box"):
    """A box around the middle of a volume as it lies in the world, turned about an axis that is none of the grid's."""
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    turn = vtk.vtkTransform()
    turn.Translate([(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)])
    turn.RotateWXYZ(angleDegrees, 1.0, 2.0, 3.0)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    node.SetSize(*sizeMm)
    matrix = turn.GetMatrix()
    if parent is not None:
        worldToParent = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformFromWorld(worldToParent)
        vtk.vtkMatrix4x4.Multiply4x4(worldToParent, matrix, matrix)
        node.SetAndObserveTransformNodeID(parent.GetID())
    node.GetObjectToNodeMatrix().DeepCopy(matrix)
    return node


def voxels(node):
    """A copy of what a volume node holds."""
    return slicer.util.arrayFromVolume(node).copy()


def gridBits(node):
    """Origin, spacing and directions of a node as bytes: equal only if every bit is."""
    geometry = Contents.of(node).geometry
    return [array.tobytes() for array in (geometry.origin_mm, geometry.spacing_mm, geometry.directions)]


def nodeIDs():
    """The IDs of all nodes in the scene."""
    collection = slicer.mrmlScene.GetNodes()
    return {collection.GetItemAsObject(index).GetID() for index in range(collection.GetNumberOfItems())}


def freeze(pid):
    """Stop a process without ending it, so that a job stays in the middle for as long as a test likes (POSIX only)."""
    os.kill(pid, signal.SIGSTOP)


def processEventsUntil(condition, timeoutSeconds=60.0):
    """Let the application run until ``condition()`` is true. Returns whether it became true in time."""
    deadline = time.monotonic() + timeoutSeconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        slicer.app.processEvents()
        time.sleep(0.005)
    return True
