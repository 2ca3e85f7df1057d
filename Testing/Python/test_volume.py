"""Volume and Geometry: nothing is lost on the way through SimpleITK."""

import unittest

import numpy as np
import SimpleITK as sitk
from medgan.errors import InputError
from medgan.volume import Geometry, Volume


def oblique(seed=0):
    generator = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    return Geometry(generator.normal(size=3) * 100, (0.71, 0.9, 3.3), axes)


class GeometryTest(unittest.TestCase):
    def test_world_positions_agree_with_simpleitk(self):
        volume = Volume(np.zeros((4, 5, 6), np.int16), oblique())
        image = volume.to_sitk()
        for index in ((0, 0, 0), (5, 4, 3), (1, 2, 3)):
            lps = volume.geometry.ijk_to_lps @ [*index, 1]
            np.testing.assert_allclose(lps[:3], image.TransformIndexToPhysicalPoint(index), atol=1e-9)
            ras = volume.geometry.ijk_to_ras @ [*index, 1]
            np.testing.assert_allclose(ras[:3], lps[:3] * [-1, -1, 1], atol=1e-9)

    def test_round_trip_keeps_every_bit(self):
        for dtype in (np.int16, np.uint16, np.uint8, np.float32, np.float64):
            array = np.random.default_rng(1).integers(0, 200, (4, 5, 6)).astype(dtype)
            volume = Volume(array, oblique(), "HU", "CT")
            back = Volume.from_sitk(volume.to_sitk(), "HU", "CT")
            np.testing.assert_array_equal(back.array, array)
            self.assertEqual(back.array.dtype, dtype)
            for field in ("origin_mm", "spacing_mm", "directions"):
                np.testing.assert_array_equal(getattr(back.geometry, field), getattr(volume.geometry, field))

    def test_flipped_axes_stay_flipped(self):
        geometry = Geometry(directions=np.diag([1.0, -1.0, 1.0]))  # left-handed
        back = Volume.from_sitk(Volume(np.zeros((2, 2, 2), np.uint8), geometry).to_sitk())
        np.testing.assert_array_equal(back.geometry.directions, geometry.directions)

    def test_dictionary_gives_the_same_bits(self):
        geometry = oblique(3)
        np.testing.assert_array_equal(Geometry(**geometry.to_dict()).ijk_to_ras, geometry.ijk_to_ras)

    def test_finer_grid_covers_the_same_box(self):
        geometry = oblique(2)
        fine = geometry.shifted((0, 0, 0), (2, 2, 4))
        corner = geometry.ijk_to_ras @ [-0.5, -0.5, -0.5, 1]
        np.testing.assert_allclose(fine.ijk_to_ras @ [-0.5, -0.5, -0.5, 1], corner, atol=1e-9)
        far = geometry.ijk_to_ras @ [9.5, 9.5, 9.5, 1]
        np.testing.assert_allclose(fine.ijk_to_ras @ [19.5, 19.5, 39.5, 1], far, atol=1e-9)

    def test_singular_grids_are_refused(self):
        for fields in ({"spacing_mm": (1, 0, 1)}, {"spacing_mm": (1, np.nan, 1)}, {"directions": np.ones((3, 3))}):
            with self.assertRaisesRegex(InputError, "grid is not valid"):
                Geometry(**fields)


class VolumeTest(unittest.TestCase):
    def test_simpleitk_memory_is_shared_and_kept_alive(self):
        image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
        volume = Volume.from_sitk(image)
        address = sitk.GetArrayViewFromImage(image).__array_interface__["data"][0]
        self.assertEqual(volume.array.__array_interface__["data"][0], address)
        del image
        np.testing.assert_array_equal(volume.array.ravel(), np.arange(24))

    def test_colour_and_flat_images(self):
        colour = Volume(np.random.default_rng(0).integers(0, 255, (1, 5, 6, 3)).astype(np.uint8))
        back = Volume.from_sitk(colour.to_sitk())
        self.assertEqual(back.channels, 3)
        np.testing.assert_array_equal(back.array, colour.array)
        flat = Volume.from_sitk(sitk.GetImageFromArray(np.ones((5, 6), np.uint8)))
        self.assertEqual(flat.grid_shape, (1, 5, 6))

    def test_what_is_no_volume_is_refused(self):
        for array in (np.zeros((2, 2)), np.zeros((0, 2, 2)), np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), complex)):
            with self.assertRaises(InputError):
                Volume(array)


if __name__ == "__main__":
    unittest.main()
