"""``make demo`` on a fresh scene: what it writes, and that its numbers are right by SimpleITK and scikit-image."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

REPOSITORY = Path(__file__).resolve().parents[2]


class DemoTest(unittest.TestCase):
    def test_files_and_numbers(self):
        """On the slice inside the pydicom wheel, so that it is quick and needs neither network nor shared data."""
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "Testing/Host/run.py", "Testing/Demo/demo.py", folder, "--offline"]
            path = os.pathsep.join(["MedGANSynthesis", os.environ.get("PYTHONPATH", "")])
            environment = {**os.environ, "MEDGAN_DATA": str(Path(folder) / "none"), "PYTHONPATH": path}
            run = subprocess.run(
                command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600, check=False
            )
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            self.assertIn("pydicom wheel", run.stdout)
            folder = Path(folder)
            truth, noisy, denoised = (sitk.ReadImage(str(folder / f"{n}.nrrd")) for n in ("truth", "input", "denoised"))
            for image in (noisy, denoised):
                self.assertEqual(image.GetOrigin(), truth.GetOrigin())
                self.assertEqual(image.GetSpacing(), truth.GetSpacing())
                self.assertEqual(image.GetDirection(), truth.GetDirection())
            table = json.loads((folder / "metrics.json").read_text())
            for name, image in (("input, quarter dose", noisy), ("MedGAN", denoised)):
                self.check(table[name], sitk.GetArrayFromImage(truth), sitk.GetArrayFromImage(image))
            self.assertGreater((folder / "denoise-ct.png").stat().st_size, 20_000)
            self.assertIn(f"{table['MedGAN']['psnr_db']:.2f}", run.stdout)

    def check(self, row, truth, image):
        truth, image = (np.clip(array.astype(np.float64), -1024, 3071) for array in (truth, image))
        self.assertAlmostEqual(row["psnr_db"], peak_signal_noise_ratio(truth, image, data_range=4095), places=6)
        similar = [structural_similarity(a, b, data_range=4095) for a, b in zip(truth, image, strict=True)]
        self.assertAlmostEqual(row["ssim"], np.mean(similar), places=6)
        difference = sitk.GetImageFromArray((truth - image) ** 2)
        statistics = sitk.StatisticsImageFilter()
        statistics.Execute(difference)
        self.assertAlmostEqual(row["rmse"], np.sqrt(statistics.GetMean()), places=6)


if __name__ == "__main__":
    unittest.main()
