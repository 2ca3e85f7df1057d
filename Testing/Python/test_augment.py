"""Training patches: reproducible, physical, and of the sizes the networks expect."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from medgan import augment
from medgan.sampling import PatchSampler
from scipy import ndimage
from training_fixtures import tiny_dataset, tiny_recipe


class AugmentTest(unittest.TestCase):
    def setUp(self):
        self.generator = np.random.default_rng(0)

    def noise(self, *shape, deviation=1.0):
        return torch.from_numpy(self.generator.normal(0, deviation, shape).astype(np.float32))

    def test_foreign_structure_has_the_shape_and_range_asked_for(self):
        region = self.noise(1, 1, 96, 100, deviation=800)
        shrunk = 0
        for _ in range(20):
            patch = augment.structure(region, (3, 32, 32), self.generator).numpy()
            self.assertEqual((patch.shape, patch.dtype), ((1, 3, 32, 32), np.float32))
            self.assertTrue(patch.min() >= -1024 and patch.max() <= 3071)
            same = np.corrcoef(patch[0, 0].ravel(), region[0, 0, :32, :32].numpy().ravel())[0, 1]
            shrunk += abs(same) < 0.9
        self.assertTrue(0 < shrunk < 20)  # shrunk in some draws, of the same size in others

    def test_regions_too_small_to_shrink_are_used_as_they_are(self):
        region = torch.zeros(1, 1, 40, 40)
        self.assertEqual(augment.structure(region, (1, 32, 32), self.generator).shape, (1, 1, 32, 32))

    def test_another_kernel_is_smoother_and_leaves_air_alone(self):
        clean = self.noise(1, 1, 64, 64, deviation=100)
        clean[..., :32] = -1000.0
        noise = self.noise(1, 1, 64, 64, deviation=30)
        for _ in range(10):
            softer, _noise = augment.another_kernel(clean.clone(), noise, self.generator)
            self.assertLess(softer[..., 40:].std(), 100.0)
            np.testing.assert_allclose(softer[..., :20], -1000.0, atol=0.5)

    def test_smoothing_is_the_gaussian_of_scipy(self):
        patch = self.noise(2, 3, 40, 48)
        expected = ndimage.gaussian_filter(patch.numpy(), (0, 0, 1.3, 1.3), mode="mirror")
        np.testing.assert_allclose(augment.smoothed(patch, 1.3), expected, atol=1e-5)

    def test_rotation_turns_every_channel_about_the_center(self):
        patch = torch.zeros(2, 3, 33, 65)
        patch[:, :, 16, 48] = 1.0
        turned = augment.rotated(patch, 90.0)
        rows, columns = np.nonzero(turned[1, 2].numpy() > 0.5)
        self.assertEqual((len(rows), abs(int(rows[0]) - 16), int(columns[0])), (1, 16, 32))
        torch.testing.assert_close(augment.rotated(patch, 360.0), patch, atol=1e-4, rtol=0)

    def test_random_doses_lie_between_the_lowest_and_95_percent(self):
        for lowest in (0.05, 0.1):
            factors = np.array([augment.noise_factor(self.generator, lowest) for _ in range(2000)])
            # sqrt((1 - a) / a / 3) for a dose a
            self.assertAlmostEqual(factors.min(), np.sqrt(0.05 / 0.95 / 3), delta=0.02)
            self.assertAlmostEqual(factors.max(), np.sqrt((1 - lowest) / lowest / 3), delta=0.05)


class SamplerTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.dataset = tiny_dataset(Path(temporary.name) / "dataset")

    def test_batches_depend_on_seed_and_step_only(self):
        recipe = tiny_recipe(context_slices=1, kernel_augmentation=1.0, structure_augmentation=1.0)
        first, again = PatchSampler(self.dataset, recipe), PatchSampler(self.dataset, recipe)
        batch = first.batch(7)
        self.assertEqual((batch.source.shape, batch.target.shape), ((4, 3, 48, 48), (4, 1, 48, 48)))
        torch.testing.assert_close(batch.source, again.batch(7).source, rtol=0, atol=0)
        self.assertFalse(torch.equal(batch.source, first.batch(8).source))

    def test_two_processes_share_the_batch_of_one(self):
        whole = PatchSampler(self.dataset, tiny_recipe(batch_size=4)).batch(3)
        half = tiny_recipe(batch_size=2)
        parts = [PatchSampler(self.dataset, half, "cpu", process, 2).batch(3) for process in (0, 1)]
        for name in ("source", "target"):
            joined = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(getattr(whole, name), joined, rtol=0, atol=0)

    def test_without_augmentation_patches_are_cut_from_the_images(self):
        recipe = tiny_recipe(dose_augmentation=0.0, flips=False)
        batch = PatchSampler(self.dataset, recipe).batch(0)
        source, target = batch.source.numpy(), batch.target.numpy()
        low, full = (volume.array / 1000 for volume in self.dataset.volumes(self.dataset.split("train")[0]))
        for index in range(len(source)):
            windows = np.lib.stride_tricks.sliding_window_view(full, (1, 48, 48))[..., 0, :, :]
            places = np.argwhere(np.isclose(windows, target[index, 0]).all(axis=(-1, -2)))
            self.assertTrue(
                any(np.allclose(low[k, j : j + 48, i : i + 48], source[index, 0], atol=1e-6) for k, j, i in places)
            )

    def test_source_and_target_turn_alike(self):
        """Flipped, transposed and rotated patches still differ by the noise alone."""
        recipe = tiny_recipe(dose_augmentation=0.0, rotation_degrees=20.0)
        batch = PatchSampler(self.dataset, recipe).batch(1)
        difference = (batch.source - batch.target).numpy() * 1000
        self.assertLess(difference.std(), 70.0)  # the noise of the fixture is 60 HU; a shifted edge would be 1000


if __name__ == "__main__":
    unittest.main()
