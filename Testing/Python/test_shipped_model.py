"""The shipped generator: whole, small, and better than noise and classical filters on slices it has never seen.

PSNR and SSIM are computed here by scikit-image, not by the code that made the model card.
"""

import unittest

import numpy as np
import SimpleITK as sitk
from medgan import Synthesizer
from medgan.baselines import GAUSSIAN_WIDTHS, NLM_NOISES_HU, gaussian, non_local_means
from medgan.bundle import Bundle
from medgan.bundle_search import search_folders
from medgan.volume import Volume
from shared_data import dataFile
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

FULL = "ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz"
QUARTER = "ldct/chest_andrei_z072-083_lowdose25_sim.nii.gz"
SLICES = (1, 6, 11)  # of the pair, to keep the test short
MOST_BYTES = 8 * 2**20


def shipped(name="denoise-ct-multi"):
    return Bundle.load(next(folder / name for folder in search_folders() if (folder / name).is_dir()))


def quality(truth, image):
    """PSNR in dB and SSIM, range [-1024, 3071] HU, whole slices."""
    truth, image = (np.clip(array.astype(np.float64), -1024, 3071) for array in (truth, image))
    similar = [structural_similarity(a, b, data_range=4095) for a, b in zip(truth, image, strict=True)]
    return peak_signal_noise_ratio(truth, image, data_range=4095), float(np.mean(similar))


class ShippedModelTest(unittest.TestCase):
    def test_whole_and_small(self):
        bundle = shipped()
        bundle.verify()
        size = sum(path.stat().st_size for path in bundle.path.rglob("*") if path.is_file())
        self.assertLess(size, MOST_BYTES)
        self.assertEqual(bundle.licence, "Apache-2.0")

    def test_the_card_says_on_what_it_was_measured(self):
        bundle = shipped()
        card = (bundle.path / "docs" / "README.md").read_text(encoding="utf-8")
        scans = {row["case"] for row in bundle.manifest.results}
        self.assertGreaterEqual(len(scans), 3)
        for text in (*scans, "Not measured on", "non-local means", "rmse", "Apache-2.0"):
            self.assertIn(text, card)

    def test_beats_noise_and_classical_filters_on_the_shared_pair(self):
        truth = self.read(FULL)[8:20][list(SLICES)]
        noisy = Volume(self.read(QUARTER)[list(SLICES)], units="HU", modality="CT")
        result = Synthesizer(shipped(), "cpu")(noisy).volume.array
        classical = [gaussian(noisy, width).array for width in GAUSSIAN_WIDTHS]
        classical += [non_local_means(noisy, noise).array for noise in NLM_NOISES_HU]
        classical_psnr, classical_ssim = (
            max(values) for values in zip(*(quality(truth, c) for c in classical), strict=True)
        )
        input_psnr, _ = quality(truth, noisy.array)
        psnr, ssim = quality(truth, result)
        self.assertGreater(psnr, input_psnr + 3.5)
        self.assertGreater(psnr, classical_psnr + 1.0)
        self.assertGreater(ssim, classical_ssim)

    @staticmethod
    def read(name):
        return sitk.GetArrayFromImage(sitk.ReadImage(str(dataFile(name))))


if __name__ == "__main__":
    unittest.main()
