"""Whole slides: regions, levels, pixel size, and what is said of files that cannot be read."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from medgan import slide_io
from medgan.errors import InputError
from medgan.image_io import read_volume, write_volume
from medgan.slide_io import is_slide, levels, read_region, read_slide
from medgan.volume import Volume
from shared_data import dataFile


def write_pyramid(path, rows=300, columns=420, pixels_per_cm=20_000, count=2):
    """A tiled TIFF of several levels, as converters write them; returns the finest one."""
    import tifffile

    y, x = np.mgrid[:rows, :columns]
    picture = np.stack([x % 256, y % 256, (x + y) % 256], axis=-1).astype(np.uint8)
    options = {"tile": (64, 64), "photometric": "rgb", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as file:
        for level in range(count):
            step = 2**level
            resolution = (pixels_per_cm / step,) * 2
            kind = 1 if level else 0
            file.write(picture[::step, ::step], resolution=resolution, subfiletype=kind, metadata=None, **options)
    return picture


class Pyramid(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.path = cls.folder / "slide.tif"
        cls.picture = write_pyramid(cls.path)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_levels_state_their_size(self):
        finest, coarser = levels(self.path)
        self.assertEqual((finest.columns, finest.rows, finest.downsample), (420, 300, 1.0))
        self.assertEqual((coarser.columns, coarser.rows, coarser.downsample), (210, 150, 2.0))
        np.testing.assert_allclose(finest.pixel_mm, (5e-4, 5e-4))
        np.testing.assert_allclose(coarser.pixel_mm, (1e-3, 1e-3))

    def test_regions_are_the_pixels_of_the_file(self):
        whole = read_region(self.path)
        np.testing.assert_array_equal(whole.array[0], self.picture)
        self.assertEqual(whole.modality, "SM")
        part = read_region(self.path, 0, (37, 51), (100, 90))
        np.testing.assert_array_equal(part.array[0], self.picture[51:141, 37:137])
        coarse = read_region(self.path, 1, (10, 20), (50, 60))
        np.testing.assert_array_equal(coarse.array[0], self.picture[::2, ::2][20:80, 10:60])

    def test_regions_lie_where_they_were_cut_out(self):
        whole, part = read_region(self.path), read_region(self.path, 0, (37, 51), (100, 90))
        index = np.array([37, 51, 0, 1.0])
        np.testing.assert_allclose((whole.geometry.ijk_to_ras @ index)[:3], part.geometry.origin_mm, atol=1e-12)
        coarse = read_region(self.path, 1)
        middle = np.array([0.5, 0.5, 0, 1.0])  # of the four fine pixels that make the first coarse one
        np.testing.assert_allclose((whole.geometry.ijk_to_ras @ middle)[:3], coarse.geometry.origin_mm, atol=1e-12)

    def test_stripes_join(self):
        with mock.patch.object(slide_io, "_STRIPE_ROWS", 70):
            np.testing.assert_array_equal(read_region(self.path).array[0], self.picture)

    def test_slides_too_large_are_read_coarser(self):
        with mock.patch.object(slide_io, "MOST_PIXELS", 40_000):
            volume, notes = read_slide(self.path)
            self.assertEqual(volume.grid_shape, (1, 150, 210))
            self.assertRegex(notes[0], "level 1 of 2")
            with self.assertRaisesRegex(InputError, "too large to be read at once"):
                read_region(self.path)
        with mock.patch.object(slide_io, "MOST_PIXELS", 1000), self.assertRaisesRegex(InputError, "read a region"):
            read_slide(self.path)

    def test_read_volume_knows_slides(self):
        volume, notes = read_volume(self.path)
        np.testing.assert_array_equal(volume.array[0], self.picture)
        self.assertEqual((volume.modality, notes), ("SM", []))

    def test_plain_tiffs_are_no_slides(self):
        plain = self.folder / "plain.tif"
        write_volume(Volume(self.picture[np.newaxis]), plain)
        single = self.folder / "single.tif"
        write_pyramid(single, count=1)
        self.assertFalse(is_slide(plain))
        self.assertFalse(is_slide(single))
        np.testing.assert_array_equal(read_volume(single)[0].array[0], self.picture)

    def test_sentences(self):
        broken = self.folder / "broken.svs"
        broken.write_bytes(b"no slide at all")
        cases = (
            (lambda: read_volume(broken), "broken.svs cannot be read as a slide"),
            (lambda: levels(self.folder / "gone.svs"), "There is no file"),
            (lambda: read_region(self.path, 2), "no level 2; it has 0 to 1"),
            (lambda: read_region(self.path, 0, (400, 0), (50, 50)), "does not lie within level 0"),
            (lambda: read_region(self.path, 0, (-1, 0), (50, 50)), "does not lie within level 0"),
        )
        for read, sentence in cases:
            with self.assertRaisesRegex(InputError, sentence):
                read()


class RealSlide(unittest.TestCase):
    def test_aperio(self):
        volume, notes = read_volume(dataFile("histology/CMU-1-Small-Region.svs"))
        self.assertEqual((volume.array.shape, volume.array.dtype), ((1, 2967, 2220, 3), np.uint8))
        np.testing.assert_allclose(volume.geometry.spacing_mm[:2], 0.000499)
        self.assertEqual((volume.modality, notes), ("SM", []))
        self.assertGreater(volume.array[0, :50].mean(), 235)  # glass
        part = read_region(dataFile("histology/CMU-1-Small-Region.svs"), 0, (600, 1200), (300, 200))
        np.testing.assert_array_equal(part.array[0], volume.array[0, 1200:1400, 600:900])


if __name__ == "__main__":
    unittest.main()
