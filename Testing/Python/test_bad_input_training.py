"""Bad input to building, training and evaluating, and what ITK would read without a word, end in one clear sentence."""

import gzip
import re
import tempfile
import unittest
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from medgan.errors import InputError
from medgan.image_io import read_volume


def numbers(kind=np.int16, shape=(6, 30, 34)):
    return np.random.default_rng(0).integers(-900, 900, shape).astype(kind)


class FilesItkReadsOtherwise(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def image(self, name, array):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(self.folder / name))
        return self.folder / name

    def assert_refused(self, path, words):
        with self.assertRaisesRegex(InputError, re.escape(path.name) + words):
            read_volume(path)

    def test_cut_off_files(self):
        for name in ("a.nii", "b.nii.gz", "c.tif", "d.nrrd", "e.mha"):
            for kind in (np.int16, np.float32):
                path = self.image(name, numbers(kind))
                whole = path.read_bytes()
                for share in (0.3, 0.9):
                    with self.subTest(name, kind=kind.__name__, share=share):
                        path.write_bytes(whole[: int(share * len(whole))])
                        self.assert_refused(path, " (is damaged|cannot be read)")
                path.write_bytes(whole)
                np.testing.assert_array_equal(read_volume(path)[0].array, numbers(kind))

    def test_whole_files_of_other_writers(self):
        path = self.image("a.nii", numbers())
        content = path.read_bytes()
        packed = self.folder / "packed.nii.gz"
        packed.write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:] + b"more"))  # as bgzip does
        np.testing.assert_array_equal(read_volume(packed)[0].array, numbers())
        big = sitk.GetImageFromArray(numbers(np.float64))
        sitk.WriteImage(big, str(self.folder / "big.nii.gz"))
        np.testing.assert_array_equal(read_volume(self.folder / "big.nii.gz")[0].array, numbers(np.float64))

    def test_nan_in_nifti(self):
        array = numbers(np.float32)
        array[1, 2, 3], array[2, 3, 4] = np.nan, np.inf
        for name in ("a.nii", "b.nii.gz"):
            self.assert_refused(self.image(name, array), " has 2 voxels that are no number")

    def test_packed_beside_unpacked(self):
        packed, unpacked = self.image("a.nii.gz", numbers()), self.image("a.nii", -numbers())
        np.testing.assert_array_equal(read_volume(packed)[0].array, numbers())
        np.testing.assert_array_equal(read_volume(unpacked)[0].array, -numbers())


if __name__ == "__main__":
    unittest.main()
