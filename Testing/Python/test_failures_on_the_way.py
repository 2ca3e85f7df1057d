"""What goes wrong on the way, with real networks: full disks, dead workers, changing bundles, nodes that are gone."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from client_fixtures import python_environment, shared_blocks
from medgan.bundle import Bundle
from medgan.bundle_writer import write_bundle
from medgan.client import Client
from medgan.dataset import Dataset
from medgan.errors import BundleError, Cancelled, InputError, MedGANError, WorkerError
from medgan.volume import Volume
from MedGANSynthesisLib.engineClient import stopEngine
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from slicer_fixtures import addVolume, nodeIDs
from training_fixtures import tiny_bundle, tiny_recipe


@unittest.skipUnless(sys.platform == "linux", "limits the size of files as Linux does, and looks into /dev/shm")
class FailuresOnTheWayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.model = tiny_bundle(cls.root / "tiny")
        cls.dataset = cls.root / "tiny-dataset"

    def limited(self, code, most_bytes):
        """Standard error of Python code that can write no larger files (as if the disk were full)."""
        limit = f"import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); n = {most_bytes}\n"
        limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n"
        run = subprocess.run(
            [sys.executable, "-c", limit + code],
            env={**python_environment(), "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        return (run.stderr.strip().splitlines() or [""])[-1]

    def test_full_disk_at_the_checkpoint_keeps_the_one_before(self):
        out = self.root / "run"
        code = (
            "from training_fixtures import tiny_recipe\nfrom medgan.trainer import train\n"
            f"train(tiny_recipe(epochs=2, steps_per_epoch=1), {str(self.dataset)!r}, {str(out)!r}, device='cpu')"
        )
        out.mkdir()
        (out / "history.json").write_text("[]")
        self.assertRegex(
            self.limited(code, 100_000), r"InputError: .*(best|checkpoint).pt could not be written.*free disk"
        )
        self.assertEqual([path.name for path in out.iterdir()], ["history.json"])

    def test_full_disk_at_the_bundle_keeps_the_one_before(self):
        target = self.root / "kept"
        shutil.copytree(self.model.path, target)
        before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
        code = (
            "from pathlib import Path\nfrom medgan.bundle_writer import write_bundle\n"
            "from medgan.dataset import Dataset\nfrom training_fixtures import tiny_recipe\n"
            "recipe = tiny_recipe()\ngenerator = recipe.build_generator()\n"
            f"write_bundle(Path({str(target)!r}), 'kept', recipe, recipe.measured_spec(generator), generator, "
            f"Dataset.load({str(self.dataset)!r}), [])"
        )
        self.assertRegex(self.limited(code, 20_000), "InputError: The bundle could not be written.*free disk")
        self.assertEqual({path: path.read_bytes() for path in target.rglob("*") if path.is_file()}, before)
        self.assertEqual(sorted(path.name for path in self.root.glob(".*")), [])
        recipe = tiny_recipe()
        generator, dataset = recipe.build_generator(), Dataset.load(self.dataset)
        write_bundle(target, "kept", recipe, recipe.measured_spec(generator), generator, dataset, [])
        changed = {path for path in before if path.read_bytes() != before[path]}
        self.assertIn(target / "models" / "model.safetensors", changed)
        Bundle.load(target).verify()

    def test_worker_killed_and_cancelled_in_the_middle_of_a_real_network(self):
        volume = Volume(
            np.random.default_rng(0).normal(0, 300, (256, 128, 128)).astype(np.int16), units="HU", modality="CT"
        )
        small = Volume(volume.array[:2], units="HU", modality="CT")
        before = shared_blocks()
        ends = (
            (lambda client, job: os.kill(client.worker_pid, signal.SIGKILL), WorkerError, "killed by signal 9"),
            (lambda client, job: job.cancel(), Cancelled, "Cancelled"),
        )
        with Client() as client:
            for end, error, words in ends:
                job = client.apply(volume, self.model, device="cpu")
                while not job.finished and job.fraction == 0.0:
                    client.pump(10)
                self.assertFalse(job.finished)
                end(client, job)
                with self.assertRaisesRegex(error, words) as caught:
                    job.wait(60)
                self.assertNotIn("\n", str(caught.exception))
                self.assertLessEqual(shared_blocks(), before)
                result = client.apply(small, self.model, device="cpu").wait(60)
                self.assertEqual(result.volume.array.shape, small.array.shape)
                before = shared_blocks()
        self.assertEqual(shared_blocks() & before, set())

    def test_bundle_that_vanishes_or_changes_between_calls(self):
        folder = Path(shutil.copytree(self.model.path, self.root / "changing"))
        volume = Volume(np.zeros((2, 16, 16), np.int16), units="HU", modality="CT")
        with Client() as client:
            client.apply(volume, folder, device="cpu").wait(60)
            bundle = Bundle.load(folder)
            weights = folder / "models" / "model.safetensors"
            content = weights.read_bytes()
            weights.write_bytes(content[:-1] + b"x")
            with self.assertRaisesRegex(BundleError, "SHA-256 differs"):
                client.apply(volume, folder, device="cpu").wait(60)
            shutil.rmtree(folder)
            with self.assertRaisesRegex(MedGANError, "no bundle"):
                client.apply(volume, bundle, device="cpu").wait(60)
            client.apply(volume, self.model, device="cpu").wait(60)


class SlicerSideTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.addClassCleanup(stopEngine)
        cls.logic = SynthesisLogic()

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_node_that_was_deleted_before(self):
        node = addVolume(np.zeros((2, 9, 9), np.int16), name="CT")
        slicer.mrmlScene.RemoveNode(node)
        with self.assertRaisesRegex(InputError, "'CT' was deleted; choose another volume"):
            self.logic.apply("denoise-ct", node)

    def test_unlike_the_training_data_is_told_on_the_console_too(self):
        percentiles = {"1": -1000.0, "5": -990.0, "50": -50.0, "95": 300.0, "99": 1000.0}
        bundle = Bundle.create_identity(self.root / "ct", units="HU", fingerprint={"percentiles": percentiles})
        node = addVolume(np.full((2, 9, 9), 400, np.int16), name="T1", hounsfield=False)
        with self.assertLogs(level="WARNING") as logs:
            self.assertIsNotNone(self.logic.apply("denoise-ct", node, model=bundle))
        self.assertRegex(logs.output[0], "T1: .*looks like an MR")

    def test_expected_failures_leave_no_traceback_in_the_log(self):
        bundle = tiny_bundle(self.root / "tiny")
        weights = bundle.path / "models" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        node, before = addVolume(np.zeros((2, 16, 16), np.int16)), nodeIDs()
        with self.assertNoLogs(level="ERROR"), self.assertRaisesRegex(BundleError, "SHA-256 differs"):
            self.logic.apply("denoise-ct", node, model=bundle, device="cpu")
        self.assertEqual(nodeIDs() - before, set())


if __name__ == "__main__":
    unittest.main()
