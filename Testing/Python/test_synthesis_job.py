"""Jobs: one after the other, each by itself, whatever becomes of its nodes, its process or its scene."""

import gc
import os
import shutil
import signal
import tempfile
import unittest
import weakref
from pathlib import Path
from unittest import mock

import numpy as np
import slicer
from client_fixtures import bundle as fakeBundle
from medgan.bundle import Bundle
from medgan.client import Client
from medgan.errors import Cancelled, InputError, MedGANError, WorkerError
from medgan.network import NetworkSpec
from medgan.options import ApplyOptions
from MedGANSynthesisLib import Gate as gateModule
from MedGANSynthesisLib.engineClient import engineClient, stopEngine
from MedGANSynthesisLib.masks import Mask, maskOf
from MedGANSynthesisLib.nodes import geometryOfNode
from MedGANSynthesisLib.QProcessTransport import QProcessTransport
from MedGANSynthesisLib.SynthesisJob import SynthesisJob, Target
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from slicer_fixtures import (
    FAKE_WORKER,
    addRoi,
    addVolume,
    freeze,
    nodeIDs,
    processEventsUntil,
    randomArray,
    voxels,
)

TASK = "denoise-ct"


class SynthesisJobTest(unittest.TestCase):
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

    def fakeJob(self, client, kind, node, options=None, mask=None, removed=False, **callbacks):
        """A job whose generator behaves as ``fake_worker`` says for this kind, in a real worker process."""
        target = Target("denoised", removedTitle="removed" if removed else "")
        job = SynthesisJob(
            self.logic.gate, node, "denoise-ct", fakeBundle(kind), options or ApplyOptions(), target, mask
        )
        job.start(client, "cpu", **callbacks)
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

    def test_jobTellsWhatItIs(self):
        node = addVolume(randomArray(), name="CT")
        job = self.apply(node, wait=False)
        self.assertIs(job.sourceNode, node)
        self.assertEqual((job.sourceName, job.effectKey, job.bundle), ("CT", "denoise-ct", self.bundle))
        self.assertIsNone(job.spreadNode)
        job.wait()
        self.assertIs(self.logic.apply("custom", node, model=self.bundle, wait=False).effectKey, "custom")
        self.logic.cancelAll()

    def test_jobsOfTheLogic(self):
        """They are listed until they end, the running one first, and nobody keeps them after that."""
        first, second = (addVolume(randomArray(seed=seed)) for seed in range(2))
        self.apply(first)  # the worker runs
        freeze(engineClient().worker_pid)
        jobs = [self.apply(node, wait=False) for node in (first, second, first)]
        self.assertEqual(self.logic.jobs, tuple(jobs))
        self.assertEqual([job.state for job in jobs], ["running", "queued", "queued"])
        jobs[1].cancel()
        self.assertEqual(self.logic.jobs, (jobs[0], jobs[2]))
        before = nodeIDs()
        self.logic.cancelAll()
        self.assertEqual({job.state for job in jobs}, {"cancelled"})
        self.assertEqual((self.logic.jobs, nodeIDs()), ((), before))
        self.assertIsNone(engineClient().worker_pid)  # cancelling the queue started nothing anew
        reference = weakref.ref(jobs[0])
        del jobs
        gc.collect()
        self.assertIsNone(reference())

    def test_unfinishedJobsAreKeptAlive(self):
        """As when nobody on the console looks at what ``apply`` returned."""
        node, ended = addVolume(randomArray()), []
        self.apply(node, wait=False, onDone=lambda job: ended.append(job.state))
        gc.collect()
        self.assertEqual(len(self.logic.jobs), 1)
        self.assertTrue(processEventsUntil(lambda: ended))
        self.assertEqual((ended, self.logic.jobs), (["done"], ()))

    def test_queuedJobsDoNotHarmEachOther(self):
        """One loses its source, one its output, one fails in the scene: the others come through."""
        nodes = [addVolume(randomArray(seed=seed), name=f"CT{seed}") for seed in range(5)]
        output = addVolume(randomArray(seed=7), name="Output")
        jobs = [self.apply(node, wait=False, outputNode=output if node is nodes[2] else None) for node in nodes]
        slicer.mrmlScene.RemoveNode(nodes[1])
        slicer.mrmlScene.RemoveNode(output)
        jobs[3].cancel()
        self.assertTrue(processEventsUntil(lambda: all(job.finished for job in jobs)))
        self.assertEqual([job.state for job in jobs], ["done", "failed", "failed", "cancelled", "done"])
        for index in (0, 4):
            self.assertTrue(np.array_equal(voxels(jobs[index].result()), voxels(nodes[index])))
        with self.assertRaises(InputError) as caught:
            jobs[1].result()
        self.assertIn("CT1", str(caught.exception))
        self.assertIsNone(jobs[1].sourceNode)

    def test_spreadLooksLikeOne(self):
        node = addVolume(randomArray(), name="CT")
        with Client(QProcessTransport(command=FAKE_WORKER)) as client:
            job = self.fakeJob(client, "identity", node, ApplyOptions(spread="flips"), removed=True)
            output = job.wait()
        spread = job.spreadNode
        self.assertIs(output.GetNodeReference("MedGAN.Spread"), spread)
        self.assertIs(output.GetNodeReference("MedGAN.Removed"), job.removedNode)
        self.assertTrue(np.array_equal(voxels(spread), np.full((5, 17, 23), 0.5, np.float32)))
        self.assertIn("standard deviation", spread.GetAttribute("MedGAN.Content"))
        self.assertIsNone(output.GetAttribute("MedGAN.Content"))
        self.assertEqual(spread.GetAttribute("MedGAN.Loaded"), "1")
        slicer.mrmlScene.RemoveNode(spread)
        self.assertIsNone(job.spreadNode)

    def test_whereTheSourceIsLeftThereIsNoSpread(self):
        node = addVolume(randomArray())
        mask = maskOf(node, roiNode=addRoi(node, sizeMm=(6.0, 6.0, 6.0)), softEdgeMm=3.0)
        with Client(QProcessTransport(command=FAKE_WORKER)) as client:
            job = self.fakeJob(client, "identity", node, ApplyOptions(spread="flips"), mask)
            job.wait()
        self.assertTrue(np.allclose(voxels(job.spreadNode), 0.5 * mask.weight))
        self.assertIn("Box", job.spreadNode.GetAttribute("MedGAN.Mask"))

    def test_allOfItOrNothing(self):
        """Wherever writing fails: no node is left over, and the job says why in one sentence."""
        for failing in range(3):
            node = addVolume(randomArray())
            before, real, calls = nodeIDs(), gateModule._placeBeside, []

            def placeBeside(*arguments, calls=calls, real=real, failing=failing):
                calls.append(arguments)
                if len(calls) > failing:
                    raise RuntimeError("no")
                real(*arguments)

            with (
                Client(QProcessTransport(command=FAKE_WORKER)) as client,
                mock.patch.object(gateModule, "_placeBeside", placeBeside),
            ):
                job = self.fakeJob(client, "identity", node, ApplyOptions(spread="flips"), removed=True)
                self.assertRaises(MedGANError, job.wait)
            self.assertEqual((len(calls), nodeIDs()), (failing + 1, before))
            self.assertEqual((job.removedNode, job.spreadNode), (None, None))

    def test_whatCannotBeWrittenIsRefusedBeforeComputing(self):
        """A model that changes grid or unit: in one sentence, and no process is started for it."""
        stopEngine()
        folder = Path(self.folder)
        network = {"dimensions": 3, "scale": (1, 2, 2)}
        finer = Bundle.create_identity(folder / "finer", task=TASK, network=NetworkSpec(**network))
        synthetic = Bundle.create_identity(folder / "synthetic", task=TASK, target={"modality": "CT", "units": "HU"})
        node = addVolume(randomArray(), hounsfield=False, name="MR")
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        roiNode = addRoi(node, sizeMm=(6.0, 6.0, 6.0))
        before = nodeIDs()
        for bundle in (finer, synthetic):
            for options, words in (
                ({"roiNode": roiNode}, "masked"),
                ({"secondOutput": True}, "removed"),
                ({"inPlace": True}, "MR"),
                ({"outputNode": labels}, "Labels"),
                ({"strength": 0.5}, "strength"),
            ):
                with self.assertRaises(InputError) as caught:
                    self.logic.apply(TASK, node, model=bundle, **options)
                self.assertIn(words, str(caught.exception))
                self.assertNotIn("\n", str(caught.exception))
        self.assertEqual((nodeIDs(), engineClient().worker_pid), (before, None))
        self.assertFalse(engineClient().busy)

    def test_finishedJobsHoldNoMask(self):
        node = addVolume(randomArray())
        mask = Mask(np.ones((5, 17, 23), bool), geometryOfNode(node))
        reference = weakref.ref(mask)
        with Client(QProcessTransport(command=FAKE_WORKER)) as client:
            job = self.fakeJob(client, "identity", node, mask=mask)
            del mask
            job.wait()
        gc.collect()
        self.assertIsNone(reference())
