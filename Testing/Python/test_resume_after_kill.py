"""A training killed at any moment goes on as if nothing had happened: same weights, same curve, bit for bit."""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import medgan
import torch
from client_fixtures import python_environment
from training_fixtures import tiny_dataset, tiny_recipe

SETTINGS = {"epochs": 4, "averaging": 0.9, "label_smoothing": 0.1, "schedule": "plateau"}
PROCESS = """
import sys
import medgan
from training_fixtures import tiny_recipe
medgan.train(tiny_recipe(**{settings!r}), sys.argv[1], sys.argv[2], device="cpu")
"""


class KillTest(unittest.TestCase):
    def test_killed_runs_equal_a_straight_one(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tiny_dataset(folder / "dataset")
            medgan.train(tiny_recipe(**SETTINGS), folder / "dataset", folder / "straight", device="cpu")
            (folder / "process.py").write_text(PROCESS.format(settings=SETTINGS))
            killed = self.kill_until_done(folder)
            self.assertGreaterEqual(killed, 2)
            left, right = (self.outcome(folder / run) for run in ("straight", "killed"))
            self.assertEqual(left["history"], right["history"])
            self.assertEqual(left["best"], right["best"])
            for part in ("generator", "discriminator", "average"):
                for key, value in left[part].items():
                    torch.testing.assert_close(right[part][key], value, rtol=0, atol=0)
            self.assertEqual([path.name for path in (folder / "killed").iterdir() if path.name.startswith(".")], [])

    def kill_until_done(self, folder) -> int:
        """Start the training again and again, killing it soon after each new checkpoint; how many were killed."""
        environment = {**python_environment(), "OMP_NUM_THREADS": str(torch.get_num_threads())}
        command = [sys.executable, str(folder / "process.py"), str(folder / "dataset"), str(folder / "killed")]
        chance, killed = random.Random(0), 0
        checkpoint = folder / "killed" / "checkpoint.pt"
        while True:
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
            while process.poll() is None:
                if killed < 3 and checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                    time.sleep(chance.uniform(0.0, 0.3))  # into the next epoch, its validation or its writing
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    killed += 1
                time.sleep(0.005)
            if process.returncode == 0:
                return killed
            self.assertEqual(process.returncode, -signal.SIGKILL, process.stderr.read()[-2000:])

    def outcome(self, folder):
        """What is to be equal; times are not."""
        state = torch.load(folder / "checkpoint.pt", weights_only=True)
        rows = json.loads((folder / "history.json").read_text())
        state["history"] = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
        return state


if __name__ == "__main__":
    unittest.main()
