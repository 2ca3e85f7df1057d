"""What the tests of the preview share: slice views that show a volume, and a look at their pixels."""

import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from medgan.bundle import Bundle
from medgan.client import Client
from medgan.options import ApplyOptions
from MedGANSynthesisLib import engineClient
from MedGANSynthesisLib.nodes import geometryOfNode
from MedGANSynthesisLib.preview.PreviewController import PreviewController
from MedGANSynthesisLib.preview.SliceRegion import sliceRegion
from MedGANSynthesisLib.QProcessTransport import QProcessTransport, interpreterPath
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from MedGANSynthesisLib.SynthesisParameterNode import PreviewMode
from slicer_fixtures import addVolume, processEventsUntil, randomArray, voxels
from vtk.util.numpy_support import vtk_to_numpy

WORKER = [interpreterPath(), str(Path(__file__).with_name("preview_worker.py"))]
TASK = "denoise-ct"


def sliceLogic(name="Red"):
    """The logic of a slice view."""
    return slicer.app.layoutManager().sliceWidget(name).sliceLogic()


def showIn(volumeNode, names=("Red", "Green", "Yellow"), pixels=(120, 90)):
    """Show a volume as background of these slice views, and nothing else in any; each shows all of its extent."""
    for name, orientation in {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}.items():
        logic = sliceLogic(name)
        logic.GetSliceNode().SetOrientation(orientation)
        composite = logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(volumeNode.GetID() if name in names else None)
        composite.SetForegroundVolumeID(None)
        composite.SetForegroundOpacity(0.0)
        logic.GetSliceNode().SetSlabReconstructionEnabled(False)
        logic.GetSliceNode().SetDimensions(*pixels, 1)
        logic.GetSliceNode().RotateToVolumePlane(volumeNode)
        logic.FitSliceToBackground()
        logic.SnapSliceOffsetToIJK()


def zoom(name, factor, shiftMm=(0.0, 0.0)):
    """Look at a part of what a view shows: smaller by ``factor``, moved within the plane."""
    node = sliceLogic(name).GetSliceNode()
    x, y, z = node.GetFieldOfView()
    node.SetFieldOfView(x / factor, y / factor, z)
    node.SetXYZOrigin(*shiftMm, 0.0)


def pixels(layerLogic):
    """What a layer of a slice view is resliced to: array (z, y, x[, c])."""
    reslice = layerLogic.GetReslice()
    reslice.Update()
    image = reslice.GetOutput()
    x, y, z = image.GetDimensions()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).copy()
    return np.squeeze(values.reshape(z, y, x, -1), axis=-1) if values.ndim == 1 else values.reshape(z, y, x, -1)


class PreviewCase(unittest.TestCase):
    """Tests with a preview of a volume that three slice views show, and an engine that tells what it was asked for."""

    worker = WORKER  # None: the one that Slicer starts

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        kinds = ("negates", "slow", "fails")
        cls.bundles = {kind: Bundle.create_identity(Path(cls.folder) / kind, task=TASK) for kind in kinds}
        cls.engineBefore = engineClient._client
        engineClient._client = Client(QProcessTransport(command=cls.worker))

    @classmethod
    def tearDownClass(cls):
        engineClient._client.stop()
        engineClient._client = cls.engineBefore
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.statuses = []
        self.logic = SynthesisLogic()
        self.controller = PreviewController(self.logic, self.statuses.append)
        self.addCleanup(self.controller.cleanup)
        self.source = addVolume(randomArray((12, 20, 26)))
        showIn(self.source)

    def preview(self, kind="negates", mask=None, mode=PreviewMode.VisibleSlices, roiNode=None, **options):
        """Switch the preview on, or change its context, and wait until all views show it."""
        bundle = self.bundles.get(kind) or kind
        self.controller.setContext(None, bundle, self.source, ApplyOptions(**options), mask or {}, "cpu")
        self.controller.setMode(mode, roiNode)
        self.settle()

    def settle(self):
        """Wait until the preview is as it should be."""
        self.assertTrue(processEventsUntil(lambda: self.controller.isIdle), self.statuses[-5:])

    def node(self, name="Red"):
        """What a view shows as foreground."""
        return slicer.mrmlScene.GetNodeByID(composite(name).GetForegroundVolumeID() or "")

    def scroll(self, layers, name="Red"):
        """Move a view by some layers of voxels."""
        logic = sliceLogic(name)
        spacing = logic.GetLowestVolumeSliceSpacing()[2]
        logic.SetSliceOffset(logic.GetSliceOffset() + layers * spacing)

    def region(self, name="Red"):
        return sliceRegion(sliceLogic(name).GetSliceNode(), self.source)

    def expect(self, name="Red", strength=1.0, sourceNode=None):
        """The view shows minus the strength times the part of the source it needs, exactly where that part lies."""
        node, region, array = self.node(name), self.region(name), voxels(sourceNode or self.source)
        self.assertIsNotNone(node, f"{name} shows no preview: {self.statuses[-3:]}")
        expected = np.clip(np.rint(-strength * array[region.slices].astype(float)), -32768, 32767)
        np.testing.assert_array_equal(voxels(node), expected)
        shifted = geometryOfNode(self.source).shifted(region.start[::-1])
        self.assertTrue(geometryOfNode(node).is_close(shifted, 1e-9))


def composite(name):
    """The composite node of a slice view."""
    return sliceLogic(name).GetSliceCompositeNode()
