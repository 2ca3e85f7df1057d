"""Two processes on one machine train what one process with the doubled batch trains."""

import json
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import medgan
import torch
from client_fixtures import python_environment
from training_fixtures import tiny_dataset, tiny_recipe

SETTINGS = {"epochs": 2, "precision": "32", "balance_noise": False, "averaging": 0.5, "adversarial_start": 0}
PROCESS = """
import sys
import medgan
from training_fixtures import tiny_recipe
settings = {settings!r}
medgan.train(tiny_recipe(batch_size=2, **settings), sys.argv[1], sys.argv[2], device="cpu")
"""


class DistributedTest(unittest.TestCase):
    def test_two_processes_equal_one_with_the_doubled_batch(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tiny_dataset(folder / "dataset")
            medgan.train(tiny_recipe(batch_size=4, **SETTINGS), folder / "dataset", folder / "one", device="cpu")
            (folder / "process.py").write_text(PROCESS.format(settings=SETTINGS))
            self.launch(folder / "process.py", folder / "dataset", folder / "two")
            curves = [json.loads((folder / run / "history.json").read_text()) for run in ("one", "two")]
            for one, two in zip(*curves, strict=True):
                for key in ("l1", "generator_adversarial", "discriminator", "validation_output_psnr_db"):
                    self.assertAlmostEqual(one[key], two[key], delta=1e-3 * max(1.0, abs(one[key])), msg=key)
            weights = [
                torch.load(folder / run / "checkpoint.pt", weights_only=True)["generator"] for run in ("one", "two")
            ]
            for key, value in weights[0].items():
                torch.testing.assert_close(value, weights[1][key], rtol=0.01, atol=1e-4)
            medgan.Bundle.load(folder / "two" / "bundle").verify()

    def launch(self, *arguments):
        """Under torchrun, with gloo."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
        environment = {**python_environment(), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])


if __name__ == "__main__":
    unittest.main()
