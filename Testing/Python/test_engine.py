"""The engine under Qt's event loop: client and worker over QProcessTransport. Runs in Slicer and on the test host."""

import gc
import os
import signal
import sys
import tempfile
import time
import unittest
import weakref
from pathlib import Path
from unittest import mock

import numpy as np
import qt
from client_fixtures import LAUNCHED_WORKER, bundle, is_alive, oblique_volume, shared_blocks, wait_until
from medgan.bundle import Bundle
from medgan.client import Client
from medgan.errors import Cancelled, InputError, WorkerError
from MedGANSynthesisLib.QProcessTransport import QProcessTransport, interpreterPath
from slicer_fixtures import FAKE_WORKER


def runEventLoop(condition, timeoutS=60.0):
    """Let Qt work until ``condition()``, as it does while nobody waits in Python; whether it came true."""
    limit = time.monotonic() + timeoutS
    while not condition() and time.monotonic() < limit:
        qt.QApplication.instance().processEvents()
    return condition()


class QProcessEngineTest(unittest.TestCase):
    def setUp(self):
        self.blocksBefore = shared_blocks()
        self.client = Client(QProcessTransport(command=FAKE_WORKER))

    def tearDown(self):
        self.client.stop()
        self.assertLessEqual(shared_blocks(), self.blocksBefore, "shared memory was left behind")

    def apply(self, kind, **options):
        return self.client.apply(oblique_volume(), bundle(kind), **options)

    def waitUntilStuck(self, job):
        self.assertTrue(runEventLoop(lambda: job.message == "stuck"))
        return self.client.worker_pid

    @unittest.skipIf(sys.platform == "win32", "files that can be run")
    def test_interpreterIsNotItsLauncher(self):
        """In a build tree of Slicer the interpreter beside the launcher has another name than in an installed one."""
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"PATH": folder}):
            self.assertEqual(interpreterPath(), sys.executable)
            for name in ("PythonSlicer", "python", "python-real"):
                program = Path(folder) / name
                program.write_text("#!/bin/sh\n")
                program.chmod(0o755)
                self.assertEqual(interpreterPath(), str(program))

    def test_timersDoNotKeepATransportAlive(self):
        transport, rung = QProcessTransport(), []
        transport.set_alarm(0, lambda: rung.append(True))
        self.assertTrue(runEventLoop(lambda: rung))
        transport.set_alarm(600, lambda: None)
        reference = weakref.ref(transport)
        del transport
        gc.collect()
        self.assertIsNone(reference())

    def test_identityReturnsEveryVoxel(self):
        for dtype in (np.int16, np.float32, np.uint8):
            volume = oblique_volume(dtype)
            result = self.client.apply(volume, bundle("identity")).wait(60)
            np.testing.assert_array_equal(result.volume.array, volume.array)
            np.testing.assert_array_equal(result.volume.geometry.ijk_to_ras, volume.geometry.ijk_to_ras)

    def test_theEventLoopAloneFinishesJobs(self):
        seen = []
        jobs = [
            self.apply(kind, on_progress=lambda job: seen.append(job.fraction), on_done=lambda job: seen.append(job))
            for kind in ("slow", "negate")
        ]
        self.assertEqual([job.state for job in jobs], ["running", "queued"])
        self.assertTrue(runEventLoop(lambda: jobs[1].finished))
        self.assertEqual([entry for entry in seen if entry in jobs], jobs)
        self.assertGreater(len(seen), 4, "progress must come while the event loop runs")
        np.testing.assert_array_equal(jobs[1].result().volume.array, -oblique_volume().array)

    def test_waitingInsideACallback(self):
        inner = []
        job = self.apply("identity", on_done=lambda job: inner.append(self.apply("negate").wait(60)))
        self.assertTrue(runEventLoop(lambda: job.finished and inner))
        np.testing.assert_array_equal(inner[0].volume.array, -oblique_volume().array)

    def test_waitingWithATimeLimit(self):
        job = self.apply("slow")
        with self.assertRaises(TimeoutError):
            job.wait(0.2)
        job.wait(60)

    def test_errorOfTheWorker(self):
        with self.assertRaisesRegex(InputError, "upside down"):
            self.apply("input-error").wait(60)
        self.apply("identity").wait(60)

    @unittest.skipIf(sys.platform == "win32", "signals")
    def test_workerThatDies(self):
        job, after = self.apply("crash"), self.apply("identity")
        with self.assertRaisesRegex(WorkerError, r"ended unexpectedly \(killed by signal 9"):
            job.wait(60)
        self.assertIn("last words", job.detail)
        np.testing.assert_array_equal(after.wait(60).volume.array, oblique_volume().array)

    @unittest.skipIf(sys.platform != "linux", "looks into /proc")
    def test_workerThatDiedWhileIdle(self):
        self.client.ping()
        pid = self.client.worker_pid
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not is_alive(pid)))
        self.assertNotEqual(self.apply("identity").wait(60).provenance["PID"], str(pid))

    @unittest.skipIf(sys.platform != "linux", "looks into /proc")
    def test_cancelEndsTheWorkerAndTheNextJobWorks(self):
        done = []
        job = self.apply("stuck", on_done=done.append)
        pid = self.waitUntilStuck(job)
        job.cancel()
        self.assertEqual((job.state, done), ("cancelled", [job]))
        self.assertTrue(wait_until(lambda: not is_alive(pid)))
        with self.assertRaises(Cancelled):
            job.result()
        self.apply("identity").wait(60)

    @unittest.skipIf(sys.platform != "linux", "looks into /proc")
    def test_cancelEndsAWorkerBehindALauncher(self):
        self.client = Client(QProcessTransport(command=LAUNCHED_WORKER))
        job = self.apply("stuck")
        pid = self.waitUntilStuck(job)
        job.cancel()
        self.assertTrue(wait_until(lambda: not is_alive(pid)))

    def test_identityBundleThroughTheRealWorker(self):
        client = Client(QProcessTransport())
        with tempfile.TemporaryDirectory() as folder:
            identity = Bundle.create_identity(Path(folder) / "identity")
            volume = oblique_volume(np.int16, (19, 70, 45))
            result = client.apply(volume, identity, device="cpu").wait(60)
        client.stop()
        np.testing.assert_array_equal(result.volume.array, volume.array)

    @unittest.skipIf(sys.platform != "linux", "looks into /proc")
    def test_stopEndsEverything(self):
        job, queued = self.apply("stuck"), self.apply("identity")
        pid = self.waitUntilStuck(job)
        self.client.stop()
        self.assertEqual((job.state, queued.state), ("cancelled", "cancelled"))
        self.assertTrue(wait_until(lambda: not is_alive(pid)))
        self.assertLessEqual(shared_blocks(), self.blocksBefore)

    def test_programThatDoesNotExist(self):
        client = Client(QProcessTransport(python="/no/such/python"))
        job = client.apply(oblique_volume(), bundle("identity"))
        with self.assertRaisesRegex(WorkerError, "could not start .*'/no/such/python'"):
            job.wait(60)
        client.stop()

    def test_programThatIsNoWorker(self):
        python = interpreterPath()
        programs = {
            "import no_such_module": "could not start .*No module named 'no_such_module'",
            "print('Welcome!')": "unexpected, b'Welcome!'",
            "import time; time.sleep(600)": "did not start within 1",
        }
        for code, sentence in programs.items():
            transport = QProcessTransport(command=[python, "-c", code])
            client = Client(transport, start_timeout_s=1 if "sleep" in code else 60)
            with self.assertRaisesRegex(WorkerError, sentence):
                client.apply(oblique_volume(), bundle("identity")).wait(60)
            client.stop()


if __name__ == "__main__":
    unittest.main()
