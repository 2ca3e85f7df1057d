"""Metrics against SimpleITK, scikit-image and MONAI, which know nothing of ours, and against closed forms."""

import unittest

import numpy as np
import SimpleITK as sitk
from medgan import metrics
from medgan.bootstrap import mean_interval
from medgan.metrics import catalogue, head, judges, multiscale, perceptual
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


class BasicTest(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(0)
        self.reference = generator.integers(-1024, 2000, (3, 32, 40)).astype(np.int16)
        self.image = (self.reference + generator.normal(0, 30, self.reference.shape)).astype(np.int16)
        self.mask = generator.random(self.reference.shape) < 0.3

    def test_rmse_agrees_with_simpleitk(self):
        measure = sitk.StatisticsImageFilter()
        difference = (self.image.astype(np.float64) - self.reference) ** 2
        measure.Execute(sitk.GetImageFromArray(difference))
        self.assertAlmostEqual(metrics.rmse(self.reference, self.image), np.sqrt(measure.GetMean()), places=9)

    def test_mae_rmse_and_psnr_agree_with_monai(self):
        import torch
        from monai.metrics import MAEMetric, PSNRMetric, RMSEMetric

        a, b = (torch.from_numpy(array.astype(np.float64))[None, None] for array in (self.reference, self.image))
        self.assertAlmostEqual(metrics.mae(self.reference, self.image), MAEMetric()(b, a).item(), places=6)
        self.assertAlmostEqual(metrics.rmse(self.reference, self.image), RMSEMetric()(b, a).item(), places=6)
        wide = (-5000.0, 5000.0)  # MONAI does not clip
        expected = PSNRMetric(max_val=10000.0)(b, a).item()
        self.assertAlmostEqual(metrics.psnr_db(self.reference, self.image, wide), expected, places=4)

    def test_psnr_and_ssim_agree_with_scikit_image(self):
        reference, image = (np.clip(a, -1024, 3071).astype(np.float64) for a in (self.reference, self.image))
        self.assertAlmostEqual(
            metrics.psnr_db(self.reference, self.image), peak_signal_noise_ratio(reference, image, data_range=4095), 9
        )
        expected = np.mean(
            [structural_similarity(a, b, data_range=4095) for a, b in zip(reference, image, strict=True)]
        )
        self.assertAlmostEqual(metrics.ssim(self.reference, self.image), expected, places=12)

    def test_ssim_of_color_averages_the_components(self):
        generator = np.random.default_rng(1)
        a = generator.integers(0, 256, (1, 20, 24, 3)).astype(np.uint8)
        b = np.clip(a + generator.normal(0, 20, a.shape), 0, 255)
        single = [metrics.ssim(a[..., c], b[..., c], (0, 255)) for c in range(3)]
        self.assertAlmostEqual(metrics.ssim(a, b, (0, 255)), np.mean(single), places=12)

    def test_what_lies_outside_the_mask_does_not_count(self):
        spoilt = np.where(self.mask, self.image, 0)
        for measure in (metrics.mae, metrics.rmse, metrics.bias):
            expected = measure(self.reference[self.mask], self.image[self.mask])
            self.assertEqual(measure(self.reference, spoilt, self.mask), expected)
            self.assertNotEqual(measure(self.reference, spoilt), expected)
        inside = metrics.psnr_db(self.reference, spoilt, mask=self.mask)
        self.assertEqual(inside, metrics.psnr_db(self.reference[self.mask], self.image[self.mask]))

    def test_masked_ssim_is_the_mean_of_the_map(self):
        a, b = (np.clip(x[1].astype(np.float64), -1024, 3071) for x in (self.reference, self.image))
        similarity = structural_similarity(a, b, data_range=4095, full=True)[1]
        mask = np.zeros_like(self.mask)
        mask[1, 10:20, 8:30] = True
        self.assertAlmostEqual(
            metrics.ssim(self.reference, self.image, mask=mask), similarity[10:20, 8:30].mean(), places=12
        )

    def test_bias_has_the_sign_of_the_result(self):
        self.assertEqual(metrics.bias(self.reference, self.reference.astype(int) + 7), 7.0)
        self.assertEqual(metrics.mae(self.reference, self.reference.astype(int) - 7), 7.0)

    def test_equal_images_are_perfect(self):
        self.assertEqual(metrics.psnr_db(self.reference, self.reference), float("inf"))
        self.assertAlmostEqual(metrics.ssim(self.reference, self.reference), 1.0)

    def test_nothing_to_measure_is_not_a_number_rather_than_zero(self):
        nothing = np.zeros_like(self.mask)
        for measure in (metrics.mae, metrics.rmse, metrics.bias):
            self.assertTrue(np.isnan(measure(self.reference, self.image, nothing)))
        self.assertTrue(np.isnan(metrics.ssim(self.reference, self.image, mask=nothing)))
        self.assertTrue(np.isnan(metrics.ssim(self.reference[:, :6], self.image[:, :6])))

    def test_values_outside_the_range_do_not_count(self):
        far = self.reference.astype(np.float64)
        far[0, 0, 0] = -3000.0
        near = far.copy()
        near[0, 0, 0] = -1024.0
        self.assertEqual(metrics.psnr_db(self.reference, far), metrics.psnr_db(self.reference, near))


class HeadTest(unittest.TestCase):
    def test_a_factor_of_the_scanner_does_not_change_the_numbers(self):
        generator = np.random.default_rng(0)
        truth = generator.random((4, 24, 24)) * 100
        image = truth + generator.normal(0, 3, truth.shape)
        mask = np.zeros(truth.shape, bool)
        mask[:, 4:20, 4:20] = True
        values = head.inside_head(truth, image, mask, head.intensity_range(truth, mask))
        scaled = head.inside_head(truth * 50, image * 50, mask, head.intensity_range(truth * 50, mask))
        for name, value in values.items():
            self.assertAlmostEqual(value, scaled[name], places=9, msg=name)
        self.assertLess(head.intensity_range(truth, mask)[0], 1.0)


class MultiscaleTest(unittest.TestCase):
    def test_it_is_one_for_equal_slices_and_falls_with_noise(self):
        generator = np.random.default_rng(0)
        reference = generator.normal(0, 300, (1, 180, 177))
        little, much = (reference + generator.normal(0, noise, reference.shape) for noise in (20, 200))
        self.assertAlmostEqual(multiscale.ms_ssim(reference, reference), 1.0, places=5)
        self.assertGreater(multiscale.ms_ssim(reference, little), multiscale.ms_ssim(reference, much))
        self.assertTrue(np.isnan(multiscale.ms_ssim(reference[:, :175], reference[:, :175])))


class BootstrapTest(unittest.TestCase):
    def test_the_interval_holds_the_mean_about_as_often_as_it_says(self):
        generator = np.random.default_rng(0)
        inside = 0
        for number in range(400):
            low, high = mean_interval(generator.normal(10.0, 3.0, 30), resamples=500, seed=number)
            inside += low <= 10.0 <= high
        self.assertTrue(0.91 <= inside / 400 <= 0.98, inside / 400)

    def test_it_is_reproducible_and_narrows_with_more_patients(self):
        values = np.random.default_rng(0).normal(0.0, 1.0, 200)
        few, many = mean_interval(values[:10]), mean_interval(values)
        self.assertEqual(mean_interval(values), many)
        self.assertLess(many[1] - many[0], few[1] - few[0])

    def test_one_patient_says_nothing_about_others(self):
        self.assertIsNone(mean_interval([41.0]))
        self.assertIsNone(mean_interval([41.0, np.nan]))
        self.assertEqual(mean_interval([np.inf, np.inf]), (np.inf, np.inf))


class PerceptualTest(unittest.TestCase):
    def test_absent_weights_are_a_sentence_and_never_a_number(self):
        import os
        from unittest import mock

        from medgan.errors import MedGANError

        image = np.zeros((1, 64, 64))
        with mock.patch.dict(os.environ, {"TORCH_HOME": os.devnull}):
            for metric, measure in (("LPIPS", perceptual.lpips), ("FID", perceptual.inception_features)):
                self.assertRegex(perceptual.missing(metric), f"^{metric} was not computed: [^.]*.+\\.$")
                with self.assertRaises(MedGANError):
                    measure(image, *([image] if metric == "LPIPS" else []), (0.0, 1.0))

    def test_frechet_distance_agrees_with_monai(self):
        import torch
        from monai.metrics import FIDMetric

        generator = np.random.default_rng(0)
        one, other = generator.normal(0, 1, (200, 5)), generator.normal(0.5, 2, (150, 5))
        expected = FIDMetric()(torch.from_numpy(one), torch.from_numpy(other)).item()
        self.assertAlmostEqual(perceptual.frechet_distance(one, other), expected, places=4)
        self.assertAlmostEqual(perceptual.frechet_distance(one, one), 0.0, places=6)


class CatalogueTest(unittest.TestCase):
    def test_every_metric_a_task_gives_is_explained(self):
        from medgan.volume import Volume

        generator = np.random.default_rng(0)
        ct = Volume(generator.normal(40, 300, (8, 48, 48)), units="HU", modality="CT")
        slide = Volume(generator.integers(0, 200, (1, 48, 48, 3)).astype(np.uint8))
        mr = Volume(generator.random((8, 48, 48)) * 100, modality="MR")
        for task, how in judges.TASKS.items():
            truth = {"stain": slide, "superres-mr": mr}.get(task, ct)
            reference = judges.Reference(truth, truth, np.ones(truth.grid_shape, bool))
            names = [set(prepare(reference)(truth.array)) for prepare in (how.full, how.fast)]
            for name in names[0] | names[1]:
                self.assertIn(name, catalogue.CATALOGUE)
            self.assertIn(how.primary, names[0])
            self.assertLessEqual({"psnr_db", "ssim", "rmse"}, names[1], "what a training is steered by")

    def test_loss_is_lower_where_the_value_is_better(self):
        better = {"psnr_db": (40, 30), "rmse": (1, 2), "bias_hu_body": (-1, 3), "noise_ratio": (0.9, 1.5)}
        for name, (good, bad) in better.items():
            self.assertLess(catalogue.CATALOGUE[name].loss(good), catalogue.CATALOGUE[name].loss(bad), name)


if __name__ == "__main__":
    unittest.main()
