"""Coarse MR from fine MR: where the voxels lie, what they hold, and that patches and volumes agree."""

import unittest

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medgan.degrade_mr import REACH, Degradation, degrade, divisible, noisy, parse_factor
from medgan.errors import InputError
from medgan.volume import Geometry, Volume


def oblique(array, spacing=(0.8, 1.1, 1.3)):
    """A volume whose axes are turned and whose voxels are no cubes."""
    directions = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    return Volume(array, Geometry((12.0, -40.0, 7.0), spacing, directions), modality="MR")


def ball(shape=(32, 36, 40), centre=(15.3, 17.1, 20.6), radius=9.0):
    """A smooth ball, away from the borders."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid - centre, axis=-1)
    return (100.0 / (1.0 + np.exp(2.0 * (distance - radius)))).astype(np.float32)


def centroid_ras(volume):
    """Centre of mass in mm."""
    index = np.array([np.average(axis, weights=volume.array) for axis in np.indices(volume.array.shape)])
    return volume.geometry.ijk_to_ras @ [*index[::-1], 1.0]


KINDS = (("kspace", (2, 2, 2)), ("kspace", (4, 4, 4)), ("kspace", (4, 1, 1)), ("blur", (2, 2, 2)), ("blur", (4, 2, 1)))


class Grids(unittest.TestCase):
    def test_the_refined_grid_is_that_of_the_fine_volume(self):
        fine = oblique(ball())
        for kind, factor in KINDS:
            coarse = degrade(fine, factor, kind)
            refined = coarse.geometry.shifted((0, 0, 0), factor[::-1])
            self.assertTrue(refined.is_close(fine.geometry, 1e-9))
            self.assertEqual(coarse.grid_shape, tuple(n // f for n, f in zip(fine.grid_shape, factor, strict=True)))

    def test_things_stay_where_they_are(self):
        fine = oblique(ball())
        for kind, factor in KINDS:
            for profile in ("gaussian", "box"):
                coarse = degrade(fine, factor, kind, profile=profile)
                np.testing.assert_allclose(
                    centroid_ras(coarse), centroid_ras(fine), atol=0.08
                )  # a tenth of the smallest voxel

    @settings(max_examples=25, deadline=None)
    @given(st.tuples(*[st.integers(5, 13)] * 3), st.tuples(*[st.sampled_from((1, 2, 3, 4))] * 3))
    def test_sizes_that_are_no_multiple(self, shape, factor):
        fine = oblique(np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32))
        coarse = degrade(fine, factor)
        self.assertEqual(coarse.grid_shape, tuple(-(-n // f) for n, f in zip(shape, factor, strict=True)))
        target = divisible(fine, factor)
        self.assertEqual(target.grid_shape, tuple(n // f * f for n, f in zip(shape, factor, strict=True)))
        self.assertTrue(target.geometry.is_close(fine.geometry, 1e-12))


class Values(unittest.TestCase):
    def test_a_constant_stays_and_so_does_the_mean(self):
        flat = Volume(np.full((12, 16, 20), 7.0, np.float32))
        for kind, factor in KINDS:
            np.testing.assert_allclose(degrade(flat, factor, kind).array, 7.0, rtol=1e-5)
        fine = Volume(ball())
        for factor in ((2, 2, 2), (4, 4, 4)):
            self.assertAlmostEqual(degrade(fine, factor).array.mean(), fine.array.mean(), places=3)

    def test_k_space_beyond_the_coarse_grid_is_gone_and_below_is_kept(self):
        fine = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float32)
        coarse = Degradation(apodisation=0.0).coarse(fine, (2, 2, 2))
        before, after = np.fft.fftn(fine), np.fft.fftn(coarse) * 8
        kept = np.abs(np.fft.fftfreq(16)) < 0.5
        inner = np.ix_(*[np.r_[0:8, 25:32]] * 3)
        np.testing.assert_allclose(np.abs(after[np.ix_(kept, kept, kept)]), np.abs(before[inner]), rtol=1e-3, atol=1e-2)
        tapered = np.fft.fftn(Degradation(apodisation=1.0).coarse(fine, (2, 2, 2)))
        self.assertLess(np.abs(tapered[7]).max(), 0.1 * np.abs(after[7] / 8).max())

    def test_tapering_stops_the_ringing(self):
        step = np.zeros((8, 8, 128), np.float32)
        step[..., 33:96] = 1.0
        overshoot = [Degradation(apodisation=share).coarse(step, (2, 2, 2)).max() - 1.0 for share in (0.0, 1.0)]
        self.assertGreater(overshoot[0], 0.05)
        self.assertLess(overshoot[1], 0.01)

    def test_slice_profiles_average_over_the_thickness(self):
        point = np.zeros((65, 4, 4), np.float32)[:64]
        point[34] = 1.0
        box = Degradation(profile="box").coarse(point, (4, 1, 1))[:, 0, 0]
        np.testing.assert_allclose(box[8], 0.25, rtol=1e-5)
        np.testing.assert_allclose(np.delete(box, 8), 0.0, atol=1e-6)
        wide = Degradation(thickness=2.0).operator(64, 4, slices=True)[8]
        half = np.interp(wide.max() / 2, wide[33:48][::-1], np.arange(33, 48)[::-1])
        self.assertAlmostEqual(2 * (half - 33.5), 8.0, delta=0.3)

    def test_a_patch_with_margin_equals_the_whole(self):
        fine = np.random.default_rng(3).normal(size=(80, 80, 80)).astype(np.float32)
        for kind, factor in (("kspace", (2, 2, 2)), ("blur", (2, 2, 2)), ("kspace", (4, 1, 1))):
            degradation = Degradation(kind)
            whole = degradation.coarse(fine, factor)
            start = [8 if step > 1 else 0 for step in factor]
            length = [size - 2 * s for size, s in zip(whole.shape, start, strict=True)]
            cut = tuple(
                slice((s - REACH * (f > 1)) * f, (s + n + REACH * (f > 1)) * f)
                for s, n, f in zip(start, length, factor, strict=True)
            )
            patch = degradation.coarse(torch.from_numpy(fine[cut].copy()), factor)
            inside = patch[tuple(slice(REACH, -REACH) if f > 1 else slice(None) for f in factor)]
            expected = whole[tuple(slice(s, s + n) for s, n in zip(start, length, strict=True))]
            difference = inside.numpy() - expected
            self.assertLess(difference.std(), 0.02 * expected.std(), (kind, factor))

    def test_numpy_and_torch_agree(self):
        fine = ball().astype(np.int16)
        for kind, factor in KINDS:
            degradation = Degradation(kind)
            np.testing.assert_allclose(
                degradation.coarse(torch.from_numpy(fine), factor).numpy(), degradation.coarse(fine, factor), atol=1e-3
            )

    def test_noise_is_of_the_size_asked_for_and_rician(self):
        bright, dark = (
            noisy(np.full((40, 40, 40), level, np.float32), 2.0, np.random.default_rng(0)) for level in (100, 0)
        )
        self.assertAlmostEqual(bright.std(), 2.0, delta=0.05)
        self.assertAlmostEqual(dark.mean(), 2.0 * np.sqrt(np.pi / 2), delta=0.05)
        fine = Volume(np.full((16, 16, 16), 100.0, np.float32))
        drawn = [degrade(fine, (2, 2, 2), rng=np.random.default_rng(seed), noise=0.02).array for seed in (1, 1, 2)]
        np.testing.assert_array_equal(drawn[0], drawn[1])
        self.assertGreater(np.abs(drawn[0] - drawn[2]).max(), 0.1)

    def test_relatives_differ_within_bounds(self):
        generator, plain = np.random.default_rng(0), Degradation("blur", blur_sigma=1.0)
        draws = [plain.varied(generator, 0.2, 0.01) for _ in range(50)]
        sigmas = [draw.blur_sigma for draw in draws]
        self.assertGreater(max(sigmas) - min(sigmas), 0.2)
        self.assertTrue(all(0.8 <= sigma <= 1.2 for sigma in sigmas))
        self.assertTrue(all(0 <= draw.noise <= 0.01 for draw in draws))
        self.assertEqual(plain.varied(generator, 0.0), plain)


class BadInput(unittest.TestCase):
    def test_sentences(self):
        fine = Volume(np.ones((8, 8, 8), np.float32))
        cases = (
            (lambda: degrade(fine, (9, 1, 1)), "whole number from 1 to 8"),
            (lambda: degrade(fine, (2, 2, 2), "sharpen"), "one of kspace, blur"),
            (lambda: degrade(fine, (2, 2, 2), profile="wedge"), "gaussian, box"),
            (lambda: degrade(fine, (2, 2, 2), noise=0.1), "random generator"),
            (lambda: degrade(fine, (2, 2, 2), apodisation=1.5), "between 0 and 1"),
            (lambda: degrade(Volume(np.ones((8, 8, 8, 3))), (2, 2, 2)), "Only scalar"),
            (lambda: divisible(Volume(np.ones((3, 8, 8))), (4, 1, 1)), "choose a smaller factor"),
            (lambda: parse_factor("2x2"), "three whole numbers"),
            (lambda: parse_factor("2x2x0"), "three whole numbers"),
        )
        for call, sentence in cases:
            with self.assertRaisesRegex(InputError, sentence):
                call()

    def test_factors_are_written_as_spacings_are(self):
        self.assertEqual(parse_factor("1x2x4"), (4, 2, 1))


if __name__ == "__main__":
    unittest.main()
