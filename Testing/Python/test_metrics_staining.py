"""Colors of slides: CIEDE2000 by scikit-image and by the published test data, and the look of other tissue."""

import unittest

import numpy as np
from medgan.metrics import staining
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab


def slide(seed=0, size=48):
    """Purple dots on a pink ground, RGB uint8 ``(1, size, size, 3)``."""
    generator = np.random.default_rng(seed)
    nuclei = generator.random((1, size, size)) < 0.3
    picture = np.where(nuclei[..., np.newaxis], (90, 50, 140), (225, 150, 190))
    return np.clip(picture + generator.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)


class ColorDifferenceTest(unittest.TestCase):
    def test_it_is_that_of_scikit_image(self):
        a, b = slide(0), slide(1)
        expected = deltaE_ciede2000(rgb2lab(a), rgb2lab(b))
        np.testing.assert_allclose(staining.color_difference(a, b), expected, rtol=1e-5, atol=1e-5)
        self.assertEqual(staining.color_difference(a, a).max(), 0.0)

    def test_fractions_and_values_out_of_range_do_not_wrap(self):
        white = np.full((1, 8, 8, 3), 255, np.uint8)
        self.assertEqual(staining.color_difference(white, np.full((1, 8, 8, 3), 257.3)).max(), 0.0)

    def test_only_tissue_counts_in_the_tissue(self):
        a = slide()
        b = a.copy()
        b[:, :8] = 0
        tissue = np.ones(a.shape[:3], bool)
        tissue[:, :8] = False
        values = staining.against_truth(a, b, tissue)
        self.assertEqual(values["de2000_tissue"], 0.0)
        self.assertGreater(values["de2000"], 5.0)

    def test_metrics_on_luma_do_not_see_color(self):
        a = slide().astype(np.float64)
        weights = np.array(staining.LUMA_WEIGHTS)
        shift = np.cross(weights, (1.0, 0.0, 0.0))  # changes color, not luma
        values = staining.against_truth(a, a + 3 * shift / np.abs(shift).max(), np.ones(a.shape[:3], bool))
        self.assertGreater(values["psnr_db_luma"], 200.0)
        self.assertLess(values["psnr_db"], 45.0)


class LookTest(unittest.TestCase):
    def test_the_place_of_a_color_does_not_matter(self):
        pixels = slide().reshape(-1, 3)
        shuffled = np.random.default_rng(0).permutation(pixels)
        for name, value in staining.against_look(staining.Look.of(pixels), staining.Look.of(shuffled)).items():
            self.assertAlmostEqual(value, 0.0, places=6, msg=name)

    def test_a_shift_in_lab_is_found_again(self):
        colors = rgb2lab(slide().reshape(-1, 3) / 255.0)
        colors[:, 0] = np.clip(colors[:, 0], 30, 80)
        moved = colors + np.array([5.0, 0.0, 0.0])
        looks = [staining.Look.of(255.0 * lab2rgb(values)) for values in (colors, moved)]
        values = staining.against_look(*looks)
        self.assertAlmostEqual(values["lab_mean"], 5.0, delta=0.1)
        self.assertAlmostEqual(values["lab_covariance"], 0.0, delta=1.5)

    def test_equal_means_do_not_hide_wrong_nuclei(self):
        pixels = slide().reshape(-1, 3)
        flat = np.tile(255.0 * lab2rgb(rgb2lab(pixels / 255.0).mean(axis=0)), (len(pixels), 1))
        values = staining.against_look(staining.Look.of(pixels), staining.Look.of(flat))
        self.assertLess(values["de2000_mean_color"], 0.1)
        self.assertGreater(values["de2000_classes"], 10.0)

    def test_no_tissue_is_not_a_number(self):
        values = staining.against_look(staining.Look.of(slide().reshape(-1, 3)), staining.Look.of(np.empty((0, 3))))
        self.assertTrue(all(np.isnan(value) for value in values.values()))


if __name__ == "__main__":
    unittest.main()
