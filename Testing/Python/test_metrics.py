"""Metrics against SimpleITK and scikit-image, which know nothing of ours."""

import unittest

import numpy as np
import SimpleITK as sitk
from medgan import metrics
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


class MetricsTest(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(0)
        self.reference = generator.integers(-1024, 2000, (3, 32, 40)).astype(np.int16)
        self.image = (self.reference + generator.normal(0, 30, self.reference.shape)).astype(np.int16)

    def test_rmse_agrees_with_simpleitk(self):
        measure = sitk.StatisticsImageFilter()
        difference = (self.image.astype(np.float64) - self.reference) ** 2
        measure.Execute(sitk.GetImageFromArray(difference))
        self.assertAlmostEqual(metrics.rmse(self.reference, self.image), np.sqrt(measure.GetMean()), places=9)

    def test_psnr_and_ssim_agree_with_scikit_image(self):
        reference, image = (np.clip(a, -1024, 3071).astype(np.float64) for a in (self.reference, self.image))
        self.assertAlmostEqual(
            metrics.psnr_db(self.reference, self.image), peak_signal_noise_ratio(reference, image, data_range=4095), 9
        )
        expected = np.mean(
            [structural_similarity(a, b, data_range=4095) for a, b in zip(reference, image, strict=True)]
        )
        self.assertAlmostEqual(metrics.ssim(self.reference, self.image), expected, places=12)

    def test_equal_images_are_perfect(self):
        self.assertEqual(metrics.psnr_db(self.reference, self.reference), float("inf"))
        self.assertAlmostEqual(metrics.ssim(self.reference, self.reference), 1.0)

    def test_values_outside_the_range_do_not_count(self):
        far = self.reference.astype(np.float64)
        far[0, 0, 0] = -3000.0
        near = far.copy()
        near[0, 0, 0] = -1024.0
        self.assertEqual(metrics.psnr_db(self.reference, far), metrics.psnr_db(self.reference, near))


if __name__ == "__main__":
    unittest.main()
