"""Previews under Qt's event loop: held volumes and dropped jobs over QProcess. Runs in Slicer and on the test host."""

import os
import signal
import sys
import unittest

import numpy as np
from client_fixtures import bundle, is_alive, oblique_volume, shared_blocks, wait_until
from medgan.client import Client
from medgan.tile_plan import Box
from MedGANSynthesisLib.QProcessTransport import QProcessTransport
from slicer_fixtures import FAKE_WORKER, processEventsUntil


class PreviewEngineTest(unittest.TestCase):
    def setUp(self):
        self.blocksBefore = shared_blocks()
        self.client = Client(QProcessTransport(command=FAKE_WORKER))
        self.volume = oblique_volume(shape=(30, 17, 23))

    def tearDown(self):
        self.client.stop()
        self.assertLessEqual(shared_blocks(), self.blocksBefore, "shared memory was left behind")

    def previewOfSlice(self, source, k, kind="identity", **options):
        return self.client.apply(source, bundle(kind), region=Box((k, 0, 0), (k + 1, 17, 23)), **options)

    def test_slicesOfAHeldVolume(self):
        held = self.client.hold(self.volume)
        for k in (0, 7, 29):
            result = self.previewOfSlice(held, k).wait(60)
            np.testing.assert_array_equal(result.volume.array, self.volume.array[k : k + 1])
        self.assertEqual(result.provenance["Seen"], "2")
        held.release()
        self.client.ping()
        self.assertEqual(self.client.apply(self.volume, bundle("identity")).wait(60).provenance["Held volumes"], "1")

    def test_newestWins(self):
        held, shown = self.client.hold(self.volume), []
        self.client.ping()
        pid = self.client.worker_pid
        job = self.previewOfSlice(held, 0, "tiles")
        for k in range(30):
            job.drop()
            job = self.previewOfSlice(held, k, "tiles", consume=lambda _result, k=k: shown.append(k))
            if k % 3 == 0:
                self.client.pump(0.01)
        self.assertTrue(processEventsUntil(lambda: job.finished))
        self.assertEqual((shown, job.state, self.client.worker_pid), ([29], "done", pid))

    def test_droppedJobTellsItsOwnerAtOnceAndNeverAgain(self):
        ended, consumed = [], []
        job = self.previewOfSlice(self.volume, 3, "deaf", on_done=ended.append, consume=consumed.append)
        self.assertTrue(processEventsUntil(lambda: job.message == "deaf"))
        job.drop()
        self.assertEqual((job.state, ended), ("cancelled", [job]))
        after = self.previewOfSlice(self.volume, 4)
        self.assertTrue(processEventsUntil(lambda: after.finished))
        self.assertEqual((after.state, ended, consumed), ("done", [job], []))

    @unittest.skipIf(sys.platform != "linux", "looks into /proc")
    def test_heldVolumeOutlivesItsWorker(self):
        held = self.client.hold(self.volume)
        self.previewOfSlice(held, 3).wait(60)
        pid = self.client.worker_pid
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not is_alive(pid)))
        result = self.previewOfSlice(held, 4).wait(60)
        np.testing.assert_array_equal(result.volume.array, self.volume.array[4:5])

    def test_devices(self):
        answers = []
        self.client.devices(answers.append)
        self.assertTrue(processEventsUntil(lambda: answers))
        self.assertEqual(answers[0][-1].name, "cpu")


if __name__ == "__main__":
    unittest.main()
