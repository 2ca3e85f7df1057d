"""Metrics of CT: the SynthRAD definitions, windows, noise, edges and contrast uptake."""

import unittest

import numpy as np
from medgan import metrics
from medgan.metrics import enhancement, synthrad, texture, windows
from scipy import ndimage, signal
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def tissue_phantom(noise_hu, seed=0, size=96, slices=2):
    """A disc of soft tissue in air with white noise."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    disc = np.where(np.hypot(rows, columns) < 0.45 * size, 40.0, -1000.0)
    return disc + np.random.default_rng(seed).normal(0, noise_hu, (slices, size, size))


class SynthRadTest(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(0)
        smooth = ndimage.gaussian_filter(generator.normal(0, 1, (24, 26, 28)), 1.5)
        self.truth = 4000 * smooth
        self.image = self.truth + generator.normal(0, 80, self.truth.shape)
        self.mask = ndimage.binary_dilation(smooth > 0.08, iterations=1)
        self.mask[8:16, 9:17, 10:18] = True

    def test_psnr_uses_the_range_of_each_year_inside_the_mask(self):
        for measure, top in ((synthrad.psnr_2023_db, 3000), (synthrad.psnr_2025_db, 3071)):
            a, b = (np.clip(x[self.mask], -1024, top) for x in (self.truth, self.image))
            expected = peak_signal_noise_ratio(a, b, data_range=top + 1024)
            self.assertAlmostEqual(measure(self.truth, self.image, self.mask), expected, places=9)

    def test_ssim_2023_agrees_with_scikit_image_in_the_mask(self):
        a, b = (np.where(self.mask, np.clip(x, -1024, 3000), -1024) + 1024 for x in (self.truth, self.image))
        similarity = structural_similarity(a, b, data_range=4024, full=True)[1]
        inner = (slice(3, -3),) * 3
        expected = similarity[inner][self.mask[inner]].mean()
        self.assertAlmostEqual(synthrad.ssim_2023(self.truth, self.image, self.mask), expected, places=9)

    def test_what_lies_outside_the_mask_does_not_count(self):
        spoilt = np.where(self.mask, self.image, 1500.0)
        for measure in (synthrad.psnr_2023_db, synthrad.ssim_2023, synthrad.ms_ssim_2025):
            self.assertEqual(
                measure(self.truth, spoilt, self.mask), measure(self.truth, self.image, self.mask), measure.__name__
            )

    def test_ms_ssim_2025_agrees_with_windows_taken_one_by_one(self):
        generator = np.random.default_rng(1)
        truth = 3000 * ndimage.gaussian_filter(generator.normal(0, 1, (97, 97, 97)), 2.0)
        image = truth + ndimage.gaussian_filter(generator.normal(0, 300, truth.shape), 1.0)
        mask = np.zeros(truth.shape, bool)
        mask[44:54, 42:52, 43:55] = True
        self.assertAlmostEqual(synthrad.ms_ssim_2025(truth, image, mask), one_by_one(truth, image, mask), places=9)

    def test_equal_images_are_perfect_and_small_volumes_are_padded(self):
        self.assertAlmostEqual(synthrad.ms_ssim_2025(self.truth, self.truth, self.mask), 1.0, places=12)
        self.assertLess(synthrad.ms_ssim_2025(self.truth, self.image, self.mask), 1.0)
        thin = (slice(0, 5),)
        self.assertTrue(np.isnan(synthrad.ssim_2023(self.truth[thin], self.image[thin], self.mask[thin])))


def one_by_one(truth, image, mask):
    """MS-SSIM of SynthRAD2025, each 7x7x7 window of the mask on its own (volumes of at least 97 voxels per axis)."""
    a, b = (np.where(mask, np.clip(x, -1024, 3071) + 1024, 0.0) for x in (truth, image))
    c1, c2 = (0.01 * 4095) ** 2, (0.03 * 4095) ** 2
    product = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        values = []
        for place in np.argwhere(mask):
            if (place < 3).any() or (place >= np.array(mask.shape) - 3).any():
                continue
            window = tuple(slice(at - 3, at + 4) for at in place)
            x, y = a[window].ravel(), b[window].ravel()
            covariance = np.cov(x, y)
            sx, sy, sxy = np.sqrt(covariance[0, 0]), np.sqrt(covariance[1, 1]), covariance[0, 1]
            luminance = (2 * x.mean() * y.mean() + c1) / (x.mean() ** 2 + y.mean() ** 2 + c1)
            contrast = (2 * sx * sy + c2) / (sx**2 + sy**2 + c2)
            structure = max((sxy + c2 / 2) / (sx * sy + c2 / 2), 0.0)
            values.append((luminance * contrast * structure) ** weight)
        product *= np.clip(np.mean(values), 0.0, 1.0)
        a, b = (signal.fftconvolve(x, np.full((2, 2, 2), 1 / 8), mode="same")[::2, ::2, ::2] for x in (a, b))
        mask = mask[::2, ::2, ::2]
    return product


class WindowTest(unittest.TestCase):
    def test_only_what_a_window_shows_counts(self):
        truth = tissue_phantom(20)
        image = truth.copy()
        image[truth < -500] += 60  # air, which only the lung window shows
        values = windows.windowed(truth, image)
        self.assertEqual(values["psnr_db_abdomen"], float("inf"))
        self.assertLess(values["psnr_db_chest"], 50.0)

    def test_the_width_of_the_window_is_the_range(self):
        truth = np.full((1, 16, 16), 40.0)
        values = windows.windowed(truth, truth + 4.0)
        self.assertAlmostEqual(values["psnr_db_brain"], 20 * np.log10(80 / 4))
        self.assertAlmostEqual(values["psnr_db_abdomen"], 20 * np.log10(400 / 4))


class TextureTest(unittest.TestCase):
    def test_noise_is_found_again(self):
        truth = tissue_phantom(20, size=160)
        tissue = texture.tissue_of(truth)
        self.assertAlmostEqual(texture.noise_of(truth, tissue), 20, delta=1.0)
        self.assertAlmostEqual(texture.noise_of(tissue_phantom(50, 1, 160), tissue), 50, delta=2.5)
        self.assertTrue(np.isnan(texture.noise_of(truth, np.zeros_like(tissue))))

    def test_spectrum_of_white_noise_is_flat_and_holds_the_variance(self):
        truth = tissue_phantom(20, size=200, slices=6)
        spots = texture.homogeneous_windows(truth)
        self.assertGreater(len(spots), 10)
        frequency, power = texture.noise_power_spectrum(truth, spots, 0.8)
        self.assertAlmostEqual(frequency[-1], 1 / (2 * 0.8))
        np.testing.assert_allclose(power[1:], 20**2 * 0.8**2, rtol=0.15)  # the first ring loses to the planes

    def test_blurred_noise_has_lower_frequencies(self):
        truth = tissue_phantom(20, size=200)
        spots = texture.homogeneous_windows(truth)
        blurred = ndimage.gaussian_filter(truth, (0, 1, 1))
        sharp, soft = (texture.noise_power_spectrum(image, spots, 1.0) for image in (truth, blurred))
        self.assertLess(texture.mean_frequency(*soft), 0.6 * texture.mean_frequency(*sharp))
        self.assertLess(texture.peak_frequency(*soft), 0.25)

    def test_a_tilted_plane_is_no_noise(self):
        rows, columns = np.mgrid[:64, :64]
        _frequency, power = texture.noise_power_spectrum(
            (3.0 * rows - columns)[np.newaxis], [(0, 0, 0), (0, 16, 16)], 1.0
        )
        np.testing.assert_allclose(power, 0.0, atol=1e-9)

    def test_edge_slope_falls_as_blur_says_and_noise_does_not_add_to_it(self):
        step = np.zeros((1, 64, 64))
        step[:, :, 32:] = 800.0
        edges = texture.strong_edges(step, np.ones(step.shape, bool))
        slope = texture.edge_slope(step, edges)
        # a step smoothed to a width s has, half a pixel from it, the slope exp(-1 / 8 s^2) / s
        expected = np.exp(-1 / 16) / np.sqrt(2) / np.exp(-1 / 8)
        self.assertAlmostEqual(
            texture.edge_slope(ndimage.gaussian_filter(step, (0, 1, 1)), edges) / slope, expected, delta=0.02
        )
        noisy = step + np.random.default_rng(0).normal(0, 40, step.shape)
        self.assertAlmostEqual(texture.edge_slope(noisy, edges) / slope, 1.0, delta=0.03)

    def test_blur_across_slices_shows_only_where_slices_count(self):
        step = np.zeros((32, 32, 32))
        step[16:] = 500.0
        blurred = ndimage.gaussian_filter(step, (2, 0, 0))
        edges = texture.strong_edges(step, np.ones(step.shape, bool), (0, 1, 2))
        self.assertLess(texture.edge_slope(blurred, edges), 0.6 * texture.edge_slope(step, edges))
        self.assertTrue(np.isnan(texture.edge_slope(step, texture.strong_edges(step, np.ones(step.shape, bool)))))


class EnhancementTest(unittest.TestCase):
    def test_ratio_of_known_regions(self):
        image = np.zeros((4, 20, 20))
        background = np.zeros(image.shape, bool)
        background[:, :10] = True
        image[background] = np.tile([30.0, 50.0], background.sum() // 2)
        region = ~background
        image[region] = 240.0
        self.assertAlmostEqual(enhancement.contrast_to_noise(image, region, background), (240 - 40) / 10)
        self.assertTrue(np.isnan(enhancement.contrast_to_noise(image, np.zeros_like(region), background)))

    def test_vessels_are_found_and_noise_does_not_enhance(self):
        source = tissue_phantom(30)
        truth = tissue_phantom(30, seed=1)
        vessel = np.zeros(source.shape, bool)
        vessel[:, 40:52, 40:52] = True
        truth[vessel] += 180
        body = source > -500
        region, background = enhancement.enhanced(source, truth, ndimage.binary_fill_holes(body))
        self.assertGreater(region[:, 42:50, 42:50].mean(), 0.99)
        self.assertLess((region & ~ndimage.binary_dilation(vessel, iterations=2)).sum(), 0.02 * body.sum())
        self.assertFalse((background & vessel).any())
        gained = [enhancement.contrast_to_noise(image, region, background) for image in (source, truth)]
        self.assertLess(gained[0], 1.0)
        self.assertGreater(gained[1], 4.0)
        self.assertEqual(metrics.CT_RANGE_HU, (-1024.0, 3071.0))


if __name__ == "__main__":
    unittest.main()
