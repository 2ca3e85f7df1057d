"""Baselines do what they are named after, are set on data they may see, and lie exactly on the grid of the result."""

import tempfile
import unittest
from pathlib import Path

import evaluation_fixtures as fixtures
import numpy as np
from medgan import baselines, baselines_tasks, metrics
from medgan.baselines_ct import IntensityRegression, water
from medgan.baselines_stain import StainNormalizer
from medgan.body_mask import body_mask
from medgan.metrics.staining import Look, against_look
from medgan.volume import Volume


class DenoiserTest(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(0)
        self.truth = fixtures.ct_disc(generator)
        self.noisy = self.truth + generator.normal(0, 40, self.truth.shape)

    def test_the_setting_is_the_best_of_those_offered(self):
        pair = [(Volume(self.noisy), Volume(self.truth))]
        widths = baselines.GAUSSIAN_WIDTHS
        setting = baselines.tuned(baselines.gaussian, widths, pair)
        middle = slice(1, 2)
        scores = {
            width: metrics.psnr_db(self.truth[middle], baselines.gaussian(Volume(self.noisy[middle]), width).array)
            for width in widths
        }
        self.assertEqual(setting, max(scores, key=scores.get))

    def test_best_gives_the_whole_volume(self):
        made, setting = baselines.best(baselines.non_local_means, (20.0, 40.0), Volume(self.noisy), Volume(self.truth))
        self.assertEqual(made.array.shape, self.truth.shape)
        self.assertIn(setting, (20.0, 40.0))
        self.assertGreater(metrics.psnr_db(self.truth, made.array), metrics.psnr_db(self.truth, self.noisy) + 3)


class ForTaskTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "data"

    def apply(self, task, dataset, split="test"):
        methods, missing = baselines_tasks.for_task(task, dataset)
        self.assertEqual(missing, [])
        source, truth = dataset.volumes(dataset.split(split)[0])
        return source, truth, {name: own.apply(source, truth) for name, own in methods.items()}

    def test_denoisers_are_tuned_without_the_test_split(self):
        dataset = fixtures.denoising(self.folder, patients=1)
        methods, _ = baselines_tasks.for_task("denoise-ct", dataset)
        case = dataset.split("validation")[0]
        setting = baselines.tuned(baselines.gaussian, baselines.GAUSSIAN_WIDTHS, [dataset.volumes(case)])
        self.assertEqual(methods["gaussian"].label, f"Gaussian, {setting:g} pixels")
        self.assertIn("validation", methods["nlm"].note)
        source, truth = dataset.volumes(dataset.split("test")[0])
        self.assertIs(methods["input"].apply(source, truth), source)

    def test_interpolation_lies_on_the_exact_grid(self):
        _source, truth, made = self.apply("superres-mr", fixtures.coarse_and_fine(self.folder))
        self.assertEqual(list(made), ["input", "linear"])
        for name, image in made.items():
            self.assertTrue(image.geometry.is_close(truth.geometry, 1e-9), name)
            self.assertEqual(image.array.shape, truth.array.shape)

    def test_interpolation_keeps_a_ramp_where_it_is_in_space(self):
        geometry = fixtures.GRID
        coarse = Volume(np.zeros((10, 12, 14), np.float32), geometry, "", "MR")
        fine = Volume(np.zeros((20, 24, 42), np.float32), geometry.shifted((0, 0, 0), (3, 2, 2)), "", "MR")

        def ramp(volume):
            k, j, i = np.indices(volume.grid_shape)
            x, y, z = (volume.geometry.ijk_to_ras @ np.stack([i, j, k, np.ones_like(i)]).reshape(4, -1))[:3]
            return volume.with_array((2 * x - y + 0.5 * z).reshape(volume.grid_shape).astype(np.float32))

        for own in (*baselines_tasks.trivial("superres-mr").values(), *baselines_tasks._interpolators(None).values()):
            made = own.apply(ramp(coarse), fine).array
            # at the very border there is nothing to interpolate to
            inner = (slice(8, -8), slice(8, -8), slice(12, -12))
            np.testing.assert_allclose(made[inner], ramp(fine).array[inner], atol=0.1, err_msg=own.label)

    def test_mr_to_ct_by_water_and_by_intensity(self):
        source, truth, made = self.apply("mr-to-ct", fixtures.mr_and_ct(self.folder))
        body = body_mask(source)
        self.assertEqual(set(np.unique(made["water"].array[body])), {0})
        self.assertEqual(set(np.unique(made["regression"].array[~body])), {-1024})
        self.assertEqual((made["water"].units, made["water"].modality), ("HU", "CT"))
        errors = {name: metrics.mae(truth.array, image.array, body_mask(truth)) for name, image in made.items()}
        self.assertLess(errors["regression"], 0.5 * errors["water"])

    def test_what_cannot_be_had_is_said(self):
        dataset = fixtures.saved(self.folder, "stain", [("test", "a", fixtures.slide(0), None)], "SM", paired=False)
        methods, missing = baselines_tasks.for_task("stain", dataset)
        self.assertEqual(list(methods), ["input"])
        self.assertEqual(len(missing), 1)
        self.assertIn("no RGB slide", missing[0])

    def test_a_slide_that_is_its_own_truth_is_shown_in_gray(self):
        source = fixtures.slide(0)
        truth = source.with_array(source.array.copy())
        made = baselines_tasks.trivial("stain")["input"].apply(source, truth).array
        self.assertEqual(np.ptp(made, axis=-1).max(), 0)
        other = fixtures.slide(1)
        self.assertTrue(
            np.array_equal(baselines_tasks.trivial("stain")["input"].apply(other, truth).array, other.array)
        )


class StainTest(unittest.TestCase):
    def test_both_methods_bring_the_colors_nearer_to_the_target(self):
        source, target = fixtures.slide(0, stains=fixtures.THEIRS), fixtures.slide(1)
        look = Look.of(target.array[body_mask(target)])

        def distance(slide):
            return against_look(look, Look.of(slide.array[body_mask(slide)]))["de2000_mean_color"]

        # the slides differ by their stains, which is what Macenko models and Reinhard does not
        for method, left in (("macenko", 0.2), ("reinhard", 0.95)):
            made = StainNormalizer(method, [target])(source)
            self.assertEqual((made.array.dtype, made.array.shape), (np.uint8, source.array.shape))
            self.assertLess(distance(made), left * distance(source), method)

    def test_a_tile_without_tissue_or_color_stays_as_it_is(self):
        empty = Volume(np.full((1, 32, 32, 3), 250, np.uint8))
        gray = Volume(np.repeat(fixtures.slide(0).array[..., :1], 3, axis=-1))
        for method in ("macenko", "reinhard"):
            normalizer = StainNormalizer(method, [fixtures.slide(1)])
            for tile in (empty, gray):
                self.assertTrue(np.array_equal(normalizer(tile).array, tile.array), method)


class RegressionTest(unittest.TestCase):
    def test_the_mean_of_each_intensity_is_learnt_whatever_the_gain_of_the_scanner(self):
        generator = np.random.default_rng(0)
        mr = np.zeros((6, 40, 40), np.float32)
        mr[1:-1, 5:35, 5:35] = generator.uniform(100, 1000, (4, 30, 30))
        inside = mr > 0
        ct = np.where(inside, 0.5 * mr - 100, -1024)
        regression = IntensityRegression([(Volume(mr), Volume(ct, units="HU"), inside)])
        made = regression(Volume(7.0 * mr))
        body = body_mask(Volume(7.0 * mr)) & inside
        self.assertLess(np.abs(made.array[body] - ct[body]).mean(), 8.0)
        self.assertEqual(water(Volume(mr)).array.min(), -1024)


if __name__ == "__main__":
    unittest.main()
