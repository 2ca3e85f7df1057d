"""The whole pipeline on the Slicer side: node, client, worker, gate, node; and what may happen on the way."""

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from client_fixtures import bundle as fakeBundle
from medgan.bundle import Bundle
from medgan.client import Client
from medgan.errors import BundleError, Cancelled, InputError, MedGANError, WorkerError
from medgan.masking import soft_weight
from MedGANSynthesisLib import dependencies
from MedGANSynthesisLib.engineClient import engineClient, stopEngine
from MedGANSynthesisLib.Gate import Gate
from MedGANSynthesisLib.nodes import geometryOfNode, volumeFromNode
from MedGANSynthesisLib.Prepared import Prepared
from MedGANSynthesisLib.QProcessTransport import QProcessTransport
from MedGANSynthesisLib.segmentMask import maskFromSegment
from MedGANSynthesisLib.SynthesisJob import SynthesisJob, Target
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from slicer_fixtures import (
    FAKE_WORKER,
    addSegment,
    addVolume,
    gridBits,
    nodeIDs,
    obliqueGeometry,
    processEventsUntil,
    randomArray,
    voxels,
)

TASK = "denoise-ct"


class SynthesisLogicTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.bundle = Bundle.create_identity(Path(cls.folder) / "identity", task=TASK)

    @classmethod
    def tearDownClass(cls):
        stopEngine()
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.logic = SynthesisLogic()

    def apply(self, node, **options):
        return self.logic.apply(TASK, node, model=self.bundle, **options)

    def test_identityKeepsEveryVoxelAndBit(self):
        for dtype in (np.int16, np.uint8, np.uint16, np.float32):
            array = randomArray(dtype=dtype)
            for leftHanded in (False, True):
                source = addVolume(array, obliqueGeometry(5, leftHanded), name="CT")
                output = self.apply(source)
                self.assertEqual(voxels(output).tobytes(), array.tobytes())
                self.assertEqual(voxels(output).dtype, array.dtype)
                self.assertEqual(gridBits(output), gridBits(source))
                self.assertEqual(voxels(source).tobytes(), array.tobytes())
                self.assertTrue(output.GetName().startswith("CT denoised"))

    def test_awkwardSizes(self):
        for shape in ((1, 40, 30), (3, 3, 3), (1, 1, 1), (7, 1, 65)):
            array = randomArray(shape)
            self.assertTrue(np.array_equal(voxels(self.apply(addVolume(array))), array), shape)

    def test_provenance(self):
        output = self.apply(addVolume(randomArray(), name="CT"))
        for key in ("Model", "Task", "Device", "MedGANVersion", "Created", "Note", "Source"):
            self.assertTrue(output.GetAttribute(f"MedGAN.{key}"), key)
        self.assertEqual(output.GetAttribute("MedGAN.Task"), TASK)
        self.assertIn("SYNTHETIC", output.GetAttribute("MedGAN.Note"))

    def test_sameParentInSubjectHierarchy(self):
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        source = addVolume(randomArray())
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(source), study)
        output = self.apply(source)
        self.assertEqual(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(output)), study)

    def test_inPlaceUndoRedo(self):
        array = randomArray()
        node = addVolume(array)
        self.assertIs(self.apply(node, inPlace=True), node)
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)
        self.assertTrue(np.array_equal(voxels(node), array))
        self.assertIs(self.logic.undo(), node)
        self.assertIsNone(node.GetAttribute("MedGAN.Task"))
        self.logic.redo(node)
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)
        self.assertRaises(InputError, self.logic.redo)

    def test_outputIntoGivenNode(self):
        source, target = addVolume(randomArray()), addVolume(np.zeros((2, 2, 2), np.float32), name="Mine")
        self.assertIs(self.apply(source, outputNode=target), target)
        self.assertTrue(np.array_equal(voxels(target), voxels(source)))
        self.logic.undo(target)
        self.assertEqual(voxels(target).shape, (2, 2, 2))

    def test_secondOutputIsWhatWasRemoved(self):
        source = addVolume(randomArray())
        output = self.apply(source, secondOutput=True)
        removed = output.GetNodeReference("MedGAN.Removed")
        self.assertEqual(removed.GetName(), "CT removed")
        self.assertEqual(np.abs(voxels(removed)).max(), 0.0)

    def test_maskIsSampledOnTheGridOfTheSource(self):
        """The mask of the gate is the segment, also where a transform moves both."""
        source = addVolume(randomArray())
        mask = np.zeros((5, 17, 23), bool)
        mask[1:4, 5:12, 6:15] = True
        segmentationNode, segmentID = addSegment(source, mask)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.array([[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, 7.0], [0.0, 0.0, 1.0, 9.0], [0.0, 0.0, 0.0, 1.0]])
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        for transformID in (None, transform.GetID()):
            source.SetAndObserveTransformNodeID(transformID)
            segmentationNode.SetAndObserveTransformNodeID(transformID)
            for mode in ("inside", "outside"):
                sampled = maskFromSegment(segmentationNode, segmentID, source, mode, 4.0)
                self.assertTrue(np.array_equal(sampled.array, mask))
                self.assertEqual(sampled.inside, mode == "inside")
        output = self.apply(source, segmentationNode=segmentationNode, segmentID=segmentID, softEdgeMm=4.0)
        self.assertIn("Lesion", output.GetAttribute("MedGAN.Mask"))
        self.assertEqual(output.GetTransformNodeID(), transform.GetID())

    def test_maskedResult(self):
        """Inside the segment the result, outside the source, between them a ramp."""
        source = addVolume(np.zeros((9, 20, 24), np.float32))
        inside = np.zeros((9, 20, 24), bool)
        inside[2:7, 5:15, 6:18] = True
        mask = maskFromSegment(*addSegment(source, inside), source, "inside", 3.0)
        result = volumeFromNode(source).with_array(np.full((9, 20, 24), 50.0, np.float32))
        output = Gate().writeNew(Prepared.of(source, result, {}, mask), "denoised")
        expected = 50.0 * soft_weight(inside, geometryOfNode(source), 3.0)
        self.assertLess(np.abs(voxels(output) - expected).max(), 1e-4)
        self.assertEqual((voxels(output)[4, 10, 12], voxels(output)[0, 0, 0]), (50.0, 0.0))

    def test_jobReportsProgressAndEnd(self):
        seen, ended = [], []
        source = addVolume(randomArray((16, 64, 64)))
        job = self.apply(source, wait=False, onProgress=lambda job: seen.append(job.progress), onDone=ended.append)
        self.assertTrue(processEventsUntil(lambda: job.finished))
        self.assertEqual((job.state, ended), ("done", [job]))
        self.assertTrue(all(0.0 <= fraction <= 1.0 for fraction in seen))
        self.assertEqual(seen, sorted(seen))
        self.assertTrue(np.array_equal(voxels(job.result()), voxels(source)))

    def test_jobsQueueUp(self):
        nodes = [addVolume(randomArray(seed=seed)) for seed in range(3)]
        jobs = [self.apply(node, wait=False) for node in nodes]
        for node, job in zip(nodes, jobs, strict=True):
            self.assertTrue(np.array_equal(voxels(job.wait()), voxels(node)))

    def test_sourceDeletedWhileRunning(self):
        source = addVolume(randomArray(), name="Gone")
        job = self.apply(source, wait=False)
        slicer.mrmlScene.RemoveNode(source)
        del source
        before = nodeIDs()
        with self.assertRaises(MedGANError) as caught:
            job.wait()
        self.assertIn("Gone", str(caught.exception))
        self.assertEqual((job.state, nodeIDs()), ("failed", before))

    def test_outputDeletedWhileRunning(self):
        source, target = addVolume(randomArray()), addVolume(randomArray(seed=1), name="Target")
        job = self.apply(source, outputNode=target, wait=False)
        slicer.mrmlScene.RemoveNode(target)
        before = nodeIDs()
        self.assertRaises(MedGANError, job.wait)
        self.assertEqual(nodeIDs(), before)

    def test_sceneClosedWhileRunning(self):
        """The IDs of a closed scene are given out again: the result must not land in a stranger."""
        job = self.apply(addVolume(randomArray(), name="Old"), inPlace=True, wait=False)
        slicer.mrmlScene.Clear(0)
        stranger = addVolume(np.zeros((5, 17, 23), np.int16), name="Stranger")
        with self.assertRaises(MedGANError) as caught:
            job.wait()
        self.assertIn("Old", str(caught.exception))
        self.assertEqual(np.abs(voxels(stranger)).max(), 0)
        self.assertTrue(np.array_equal(voxels(self.apply(stranger)), voxels(stranger)))

    def test_sourceChangedWhileRunning(self):
        for change in (
            lambda node: slicer.util.arrayFromVolume(node).__setitem__((0, 0, 0), 1234),
            lambda node: slicer.util.updateVolumeFromArray(node, np.ones((2, 2, 2), np.int16)),
            lambda node: node.SetAndObserveImageData(None),
        ):
            node = addVolume(np.zeros((5, 6, 7), np.int16), name="Edited")
            job = self.apply(node, inPlace=True, wait=False)
            change(node)
            after = None if node.GetImageData() is None else voxels(node)
            with self.assertRaises(MedGANError) as caught:
                job.wait()
            self.assertIn("Edited", str(caught.exception))
            if after is not None:
                self.assertTrue(np.array_equal(voxels(node), after))

    def fakeJob(self, client, kind, node, **callbacks):
        """A job whose generator behaves as ``fake_worker`` says for this kind, in a real worker process."""
        job = SynthesisJob(self.logic.gate, node, Target("denoised"))
        job.start(client, fakeBundle(kind), "cpu", 1.0, **callbacks)
        return job

    def test_cancelInTheMiddle(self):
        node, ended = addVolume(randomArray()), []
        with Client(QProcessTransport(command=FAKE_WORKER)) as client:
            job = self.fakeJob(client, "stuck", node, onDone=ended.append)
            self.assertTrue(processEventsUntil(lambda: job.progress > 0))
            before = nodeIDs()
            job.cancel()
            self.assertEqual((job.state, ended), ("cancelled", [job]))
            self.assertRaises(Cancelled, job.result)
            self.assertEqual(nodeIDs(), before)
            self.assertTrue(np.array_equal(voxels(self.fakeJob(client, "identity", node).wait()), voxels(node)))

    @unittest.skipUnless(hasattr(signal, "SIGKILL"), "needs SIGKILL")
    def test_killedWorkerIsOneSentenceAndTheNextCallWorks(self):
        node = addVolume(randomArray())
        before = nodeIDs()
        with Client(QProcessTransport(command=FAKE_WORKER)) as client:
            job = self.fakeJob(client, "crash", node)
            with self.assertRaises(WorkerError) as caught:
                job.wait()
            self.assertNotIn("\n", str(caught.exception))
            self.assertEqual((job.state, nodeIDs()), ("failed", before))
            self.assertTrue(np.array_equal(voxels(self.fakeJob(client, "identity", node).wait()), voxels(node)))

    @unittest.skipUnless(hasattr(signal, "SIGKILL"), "needs SIGKILL")
    def test_workerKilledBetweenCallsIsNotNoticed(self):
        node = addVolume(randomArray())
        self.apply(node)
        os.kill(engineClient().worker_pid, signal.SIGKILL)
        self.assertTrue(np.array_equal(voxels(self.apply(node)), voxels(node)))

    def test_badRequests(self):
        node = addVolume(randomArray())
        segmentationNode, segmentID = addSegment(node, np.ones((5, 17, 23), bool))
        nan = addVolume(np.full((3, 3, 3), np.nan, np.float32))
        before = nodeIDs()
        requests = (
            (InputError, None, {}),
            (InputError, nan, {}),
            (InputError, node, {"strength": 1.5}),
            (InputError, node, {"segmentationNode": segmentationNode, "segmentID": "none"}),
            (InputError, node, {"segmentationNode": segmentationNode, "segmentID": None}),
            (InputError, node, {"segmentationNode": segmentationNode, "segmentID": segmentID, "maskMode": "beside"}),
            (
                InputError,
                node,
                {"segmentationNode": segmentationNode, "segmentID": segmentID, "softEdgeMm": -1.0},
            ),
        )
        for error, volumeNode, options in requests:
            with self.assertRaises(error) as caught:
                self.apply(volumeNode, **options)
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaises(BundleError):
            self.logic.apply("no-such-task", node)
        self.assertEqual(nodeIDs(), before)

    def test_dependenciesAreLookedUpWithoutTorchAndNotInstalledInTests(self):
        dependencies.ensureEngineDependencies("no-such-file")  # would fail if it looked further in testing mode
        try:
            version = importlib.metadata.version("torch")
        except importlib.metadata.PackageNotFoundError:
            version = None
        self.assertEqual(dependencies.torchInstalled(), version is not None)

    def test_missingPyTorchExtensionIsOneSentence(self):
        if importlib.util.find_spec("PyTorchUtils"):
            self.skipTest("the PyTorch extension is installed")
        with self.assertRaises(MedGANError) as caught:
            dependencies._installTorch()
        self.assertIn("Extensions Manager", str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_modelByFolderAndName(self):
        node = addVolume(randomArray())
        self.assertTrue(np.array_equal(voxels(self.logic.apply(TASK, node, model=str(self.bundle.path))), voxels(node)))
        self.addCleanup(os.environ.pop, "MEDGAN_MODELS", None)
        os.environ["MEDGAN_MODELS"] = self.folder
        self.assertIn("identity", [bundle.name for bundle in self.logic.models(TASK)])
        self.assertTrue(np.array_equal(voxels(self.logic.apply(TASK, node, model="identity")), voxels(node)))
