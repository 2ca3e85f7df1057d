"""Colors of a slide: CIE L*a*b* as scikit-image computes it, and a slide in another's colors."""

import unittest

import numpy as np
from medgan.errors import InputError
from medgan.stain_reference import StainReference, lab_of_rgb, recolour, rgb_of_lab
from medgan.volume import Volume


def slide(color, seed=0, size=96):
    """RGB uint8 (1, size, size, 3): textured tissue of one color in the left two thirds, glass elsewhere."""
    generator = np.random.default_rng(seed)
    image = np.full((1, size, size, 3), 245.0)
    texture = generator.normal(0, 1, (1, size, 2 * size // 3, 1)) * (12.0, 9.0, 7.0)
    image[:, :, : 2 * size // 3] = np.array(color) + texture + generator.normal(0, 6, (*texture.shape[:3], 3))
    return np.rint(image).clip(0, 255).astype(np.uint8)


def components_first(array):
    return np.moveaxis(array, -1, 0).astype(np.float32)


class LabTest(unittest.TestCase):
    def test_as_scikit_image(self):
        from skimage.color import rgb2lab

        rgb = np.random.default_rng(0).integers(0, 256, (3, 40, 50)).astype(np.float32)
        rgb[:, 0] = np.arange(50)  # dark greys: the straight part of both curves
        expected = np.moveaxis(rgb2lab(np.moveaxis(rgb, 0, -1) / 255.0), -1, 0)
        np.testing.assert_allclose(lab_of_rgb(rgb), expected, atol=0.05)
        white = lab_of_rgb(np.full((3, 1), 255, np.float32))[:, 0]
        np.testing.assert_allclose(white, (100, 0, 0), atol=1e-3)

    def test_there_and_back(self):
        rgb = np.random.default_rng(1).uniform(0, 255, (3, 2000)).astype(np.float32)
        back = rgb_of_lab(lab_of_rgb(rgb))
        self.assertEqual(back.dtype, np.float32)
        np.testing.assert_allclose(back, rgb, atol=0.05)


class StainReferenceTest(unittest.TestCase):
    def test_over_tissue_only(self):
        from skimage.color import rgb2lab

        image = slide((180, 110, 160))
        tissue = rgb2lab(image[0, :, :64] / 255.0).reshape(-1, 3)
        colors = StainReference.of(Volume(image))
        np.testing.assert_allclose(colors, (*tissue.mean(axis=0), *tissue.std(axis=0)), atol=0.1)
        more_glass = np.concatenate([image, np.full_like(image, 245)], axis=2)
        np.testing.assert_allclose(StainReference.of(Volume(more_glass)), colors, atol=1e-3)

    def test_refusals(self):
        glass = np.full((1, 200, 200, 3), 243, np.uint8)
        with self.assertRaisesRegex(InputError, "hardly any tissue"):
            StainReference.of(Volume(glass))
        glass[0, :5, :5] = 100  # dust
        with self.assertRaisesRegex(InputError, "hardly any tissue"):
            StainReference.of(Volume(glass))
        with self.assertRaisesRegex(InputError, "3 components"):
            StainReference.of(Volume(np.zeros((1, 4, 4), np.uint8)))
        with self.assertRaisesRegex(InputError, "no number"):
            StainReference.of(Volume(np.full((1, 40, 40, 3), np.nan, np.float32)))


class RecolourTest(unittest.TestCase):
    def setUp(self):
        self.image, other = slide((180, 110, 160)), slide((120, 90, 190), seed=3)
        self.rgb = components_first(self.image)
        self.own, self.reference = StainReference.of(Volume(self.image)), StainReference.of(Volume(other))
        self.result = recolour(self.rgb, self.own, self.reference)

    def test_takes_the_colors_of_the_reference(self):
        made = StainReference.of(Volume(np.moveaxis(self.result, 0, -1)))
        np.testing.assert_allclose(made, self.reference, atol=0.4)
        self.assertGreater(np.abs(np.subtract(made, self.own)[:3]).max(), 10)

    def test_glass_stays_and_own_colors_change_nothing(self):
        self.assertEqual(self.result.dtype, np.float32)
        np.testing.assert_array_equal(self.result[..., 64:], self.rgb[..., 64:])
        np.testing.assert_allclose(recolour(self.rgb, self.own, self.own), self.rgb, atol=0.05)

    def test_tiles_give_the_same(self):
        parts = [recolour(self.rgb[..., columns], self.own, self.reference) for columns in np.split(np.arange(96), 3)]
        np.testing.assert_allclose(np.concatenate(parts, axis=-1), self.result, atol=1e-3)

    def test_no_edge_between_tissue_and_glass(self):
        ramp = np.linspace(150, 255, 2101, dtype=np.float32)  # a 20th of a grey level per pixel
        rgb = np.stack([ramp, ramp - 3, ramp + 0])
        steps = np.abs(np.diff(recolour(rgb, self.own, self.reference), axis=1))
        self.assertLess(steps.max(), 1.0)

    def test_range_and_a_slide_of_one_color(self):
        flat = np.full((3, 1, 8, 8), 130, np.float32) + np.random.default_rng(0).normal(0, 0.1, (3, 1, 8, 8))
        own = (*lab_of_rgb(flat).reshape(3, -1).mean(axis=1), 0.0, 0.0, 0.0)
        result = recolour(flat.astype(np.float32), own, self.reference)
        self.assertTrue(np.isfinite(result).all())
        self.assertGreaterEqual(result.min(), 0)
        self.assertLessEqual(result.max(), 255)


if __name__ == "__main__":
    unittest.main()
