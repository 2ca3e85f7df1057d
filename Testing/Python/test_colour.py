"""Colors of slides: the greys agree with scikit-image, slide statistics and re-staining do what they say."""

import unittest

import numpy as np
import torch
from medgan import intensity
from medgan.colour import INPUTS, ColourInput, as_grey, from_optical_density, grey, optical_density, tissue_sample
from medgan.errors import BundleError, InputError
from medgan.restaining import Restaining, tilted
from medgan.volume import Volume


def some_rgb(shape=(1, 20, 30)):
    """RGB without black, which scikit-image treats otherwise."""
    return np.random.default_rng(0).integers(1, 256, (*shape, 3)).astype(np.uint8)


class Greys(unittest.TestCase):
    def setUp(self):
        self.rgb = some_rgb()
        self.first = np.moveaxis(self.rgb, -1, 0).astype(np.float32)

    def test_haematoxylin_is_that_of_scikit_image(self):
        from skimage.color import rgb2hed

        expected = rgb2hed(self.rgb)[..., 0] * -np.log(1e-6)  # scikit-image counts density in units of that
        made = grey(Volume(self.rgb), "haematoxylin")
        self.assertEqual((made.array.shape, made.array.dtype), ((1, 20, 30), np.float32))
        np.testing.assert_allclose(np.maximum(made.array, 0), expected, atol=1e-5)

    def test_optical_density(self):
        expected = -np.log(self.rgb / 255).mean(axis=-1)
        np.testing.assert_allclose(grey(Volume(self.rgb), "optical-density").array, expected, atol=1e-5)
        np.testing.assert_allclose(from_optical_density(optical_density(self.first)), self.first, rtol=1e-5)

    def test_luma_is_that_of_the_metrics(self):
        from medgan.metrics.staining import luma

        np.testing.assert_allclose(grey(Volume(self.rgb)).array, luma(self.rgb), atol=1e-3)

    def test_black_has_a_finite_density(self):
        self.assertTrue(np.isfinite(optical_density(np.zeros((3, 2), np.float32))).all())

    def test_torch_gives_the_same(self):
        for kind in INPUTS[:-1]:
            np.testing.assert_allclose(
                as_grey(torch.from_numpy(self.first), kind).numpy(), as_grey(self.first, kind), atol=1e-4
            )

    def test_sentences(self):
        with self.assertRaisesRegex(InputError, "no grey of the kind 'red'"):
            grey(Volume(self.rgb), "red")
        with self.assertRaisesRegex(InputError, "images of 3 components"):
            grey(Volume(self.rgb[..., 0]))


class Scales(unittest.TestCase):
    def setUp(self):
        self.slide = some_rgb((1, 40, 40))
        self.slide[:, :10] = 250
        self.block = np.moveaxis(self.slide, -1, 0)

    def test_fixed_scales_stay_in_range(self):
        for kind in ("rgb", "luma"):
            numbers = ColourInput(kind).fit(self.slide).forward(self.block)
            self.assertEqual(numbers.dtype, np.float32)
            self.assertGreaterEqual(numbers.min(), -1.0)
            self.assertLessEqual(numbers.max(), 1.0)
        white = np.full((3, 1, 2, 2), 255, np.uint8)
        for kind in ("optical-density", "haematoxylin"):
            np.testing.assert_allclose(ColourInput(kind).fit(self.slide).forward(white), -1.0, atol=1e-6)

    def test_statistics_are_those_of_the_tissue(self):
        tissue = self.block[:, (self.block < 220).any(axis=0)]
        for kind in INPUTS:
            numbers = ColourInput(kind, slide_statistics=True).fit(self.slide).forward(tissue)
            np.testing.assert_allclose(numbers.mean(axis=1), 0.0, atol=1e-3)
            np.testing.assert_allclose(numbers.std(axis=1), 1.0, atol=1e-3)

    def test_a_paler_slide_looks_the_same(self):
        scale = ColourInput("rgb", slide_statistics=True)
        block = self.block.astype(np.float32).clip(20, 200)
        slide = np.moveaxis(block, 0, -1)
        paler = from_optical_density(0.6 * optical_density(block))
        tissue = paler.reshape(3, -1)
        np.testing.assert_allclose(scale.fit_to(tissue).forward(paler), scale.fit(slide).forward(block), atol=2e-3)

    def test_rgb_can_be_turned_back(self):
        for statistics in (False, True):
            fitted = ColourInput("rgb", slide_statistics=statistics).fit(self.slide)
            np.testing.assert_allclose(fitted.inverse(fitted.forward(self.block)), self.block, atol=0.01)
        with self.assertRaises(ValueError):
            ColourInput("luma").fit(self.slide).inverse(np.zeros((1, 1, 2, 2), np.float32))

    def test_copies_and_channels(self):
        scale = ColourInput("luma", copies=3)
        numbers = scale.fit(self.slide).forward(self.block)
        self.assertEqual((len(numbers), scale.channels()), (3, 3))
        np.testing.assert_array_equal(numbers[0], numbers[2])

    def test_torch_gives_the_same(self):
        for kind in INPUTS:
            fitted = ColourInput(kind, slide_statistics=True).fit(self.slide)
            made = fitted.forward(torch.from_numpy(self.block.copy()))
            np.testing.assert_allclose(made.numpy(), fitted.forward(self.block), atol=1e-4)

    def test_glass_alone_is_no_trouble(self):
        glass = np.full((1, 8, 8, 3), 245, np.uint8)
        for kind in INPUTS:
            numbers = ColourInput(kind, slide_statistics=True).fit(glass).forward(np.moveaxis(glass, -1, 0))
            self.assertTrue(np.isfinite(numbers).all())

    def test_bundles_describe_it(self):
        scale = ColourInput("haematoxylin", 3, True)
        self.assertEqual(intensity.from_dict(scale.to_dict()), scale)
        with self.assertRaises(BundleError):
            intensity.from_dict({"kind": "colour", "kind_of_input": "infrared"})

    def test_sample_holds_tissue_only(self):
        sample = tissue_sample(self.slide)
        self.assertEqual(sample.shape[0], 3)
        self.assertTrue((sample.min(axis=0) < 220).all())


class Stainings(unittest.TestCase):
    def setUp(self):
        self.rgb = np.moveaxis(some_rgb((1, 16, 16)), -1, 0).astype(np.float32)

    def test_strength_0_changes_nothing(self):
        same = Restaining.draw(np.random.default_rng(0), 0.0)(self.rgb)
        np.testing.assert_allclose(same, self.rgb, rtol=1e-3)

    def test_colors_change_and_stay_in_range(self):
        made = Restaining.draw(np.random.default_rng(0))(self.rgb)
        self.assertEqual(made.shape, self.rgb.shape)
        self.assertGreater(np.abs(made - self.rgb).mean(), 3.0)
        self.assertTrue((made >= 0).all() and (made <= 255).all())

    def test_torch_gives_the_same(self):
        restain = Restaining.draw(np.random.default_rng(3))
        np.testing.assert_allclose(restain(torch.from_numpy(self.rgb)).numpy(), restain(self.rgb), atol=0.01)

    def test_pure_haematoxylin_keeps_to_its_vector(self):
        from medgan.colour import STAIN_VECTORS

        restain = Restaining.draw(np.random.default_rng(5))
        stain = from_optical_density(np.outer(STAIN_VECTORS[0], [0.3, 0.6, 0.9]).astype(np.float32))
        density = optical_density(restain(stain)) - restain.tint[:, np.newaxis]
        np.testing.assert_allclose(density[:, 1], 2 * density[:, 0], rtol=1e-3)
        np.testing.assert_allclose(density[:, 2], 3 * density[:, 0], rtol=1e-3)

    def test_tilting_changes_how_much_is_dark(self):
        tissue = self.rgb.reshape(3, -1)
        means = [optical_density(tilted(tissue, np.random.default_rng(seed))).mean() for seed in range(30)]
        truth = optical_density(tissue).mean()
        self.assertLess(min(means), truth - 0.03)
        self.assertGreater(max(means), truth + 0.03)
        known = {tuple(pixel) for pixel in tissue.T}
        self.assertTrue(all(tuple(pixel) in known for pixel in tilted(tissue, np.random.default_rng(0)).T))


if __name__ == "__main__":
    unittest.main()
