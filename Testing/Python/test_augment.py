"""Training patches: reproducible, physical, and of the sizes the networks expect."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
from medgan import augment
from medgan.sampling import PatchSampler
from training_fixtures import tiny_dataset, tiny_recipe


class AugmentTest(unittest.TestCase):
    def setUp(self):
        self.generator = np.random.default_rng(0)

    def test_foreign_structure_has_the_shape_and_range_asked_for(self):
        region = self.generator.normal(0, 800, (1, 96, 100)).astype(np.float32)
        shrunk = 0
        for _ in range(20):
            patch = augment.structure(region, (3, 32, 32), self.generator)
            self.assertEqual((patch.shape, patch.dtype), ((3, 32, 32), np.float32))
            self.assertTrue(patch.min() >= -1024 and patch.max() <= 3071)
            matches = [np.abs(np.corrcoef(patch[0].ravel(), region[0, :32, :32].ravel())[0, 1]) > 0.9]
            shrunk += not any(matches)
        self.assertTrue(0 < shrunk < 20)  # shrunk in some draws, of the same size in others

    def test_regions_too_small_to_shrink_are_used_as_they_are(self):
        region = np.zeros((1, 40, 40), np.int16)
        self.assertEqual(augment.structure(region, (1, 32, 32), self.generator).shape, (1, 32, 32))

    def test_another_kernel_is_smoother_and_leaves_air_alone(self):
        clean = self.generator.normal(0, 100, (1, 64, 64)).astype(np.float32)
        clean[:, :, :32] = -1000.0
        noise = self.generator.normal(0, 30, clean.shape).astype(np.float32)
        for _ in range(10):
            softer, _noise = augment.another_kernel(clean.copy(), noise, self.generator)
            self.assertLess(softer[:, :, 40:].std(), 100.0)
            np.testing.assert_allclose(softer[:, :, :20], -1000.0, atol=0.5)

    def test_a_quarter_dose_is_the_main_case_and_others_surround_it(self):
        factors = np.array([augment.noise_factor(self.generator) for _ in range(2000)])
        self.assertAlmostEqual((factors == 1.0).mean(), 0.4, delta=0.05)
        # sqrt((1 - a) / a / 3) for doses of 95 and 10 %
        self.assertAlmostEqual(factors.min(), np.sqrt(0.05 / 0.95 / 3), delta=0.02)
        self.assertAlmostEqual(factors.max(), np.sqrt(3.0), delta=0.05)


class SamplerTest(unittest.TestCase):
    def test_batches_depend_on_seed_and_step_only(self):
        with tempfile.TemporaryDirectory() as folder:
            dataset = tiny_dataset(Path(folder) / "dataset")
            recipe = tiny_recipe(context_slices=1, kernel_augmentation=True, structure_augmentation=True)
            first, again = PatchSampler(dataset, recipe), PatchSampler(dataset, recipe)
            source, target = first.batch(7)
            self.assertEqual((source.shape, target.shape), ((4, 3, 48, 48), (4, 1, 48, 48)))
            np.testing.assert_array_equal(source, again.batch(7)[0])
            self.assertFalse(np.array_equal(source, first.batch(8)[0]))

    def test_without_augmentation_patches_are_cut_from_the_images(self):
        with tempfile.TemporaryDirectory() as folder:
            dataset = tiny_dataset(Path(folder) / "dataset")
            recipe = tiny_recipe(dose_augmentation=False, flips=False)
            source, target = PatchSampler(dataset, recipe).batch(0)
            low, full = (volume.array / 1000 for volume in dataset.volumes(dataset.split("train")[0]))
            for index in range(len(source)):
                windows = np.lib.stride_tricks.sliding_window_view(full, (1, 48, 48))[..., 0, :, :]
                places = np.argwhere(np.isclose(windows, target[index, 0]).all(axis=(-1, -2)))
                self.assertTrue(
                    any(np.allclose(low[k, j : j + 48, i : i + 48], source[index, 0], atol=1e-6) for k, j, i in places)
                )


if __name__ == "__main__":
    unittest.main()
