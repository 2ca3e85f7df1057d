"""Low-dose simulation, against the shared pair and against what physics demands."""

import unittest

import numpy as np
import SimpleITK as sitk
from medgan.degrade import calibrate_photons, homogeneous_tissue, noise_hu, simulate_low_dose
from medgan.errors import InputError
from medgan.volume import Geometry, Volume
from shared_data import dataFile

FULL = "ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz"
QUARTER = "ldct/chest_andrei_z072-083_lowdose25_sim.nii.gz"
SHARED_PHOTONS = 9.5e4  # the I0 the shared pair was made with


def water_phantom(size=128, noise=0.0):
    """A disc of water in air, 3 mm pixels, one slice."""
    radius = np.hypot(*np.meshgrid(np.arange(size) - size / 2, np.arange(size) - size / 2))
    image = np.where(radius < 0.36 * size, 0.0, -1000.0)
    image += np.random.default_rng(0).normal(0, noise, image.shape) * (radius < 0.36 * size)
    return Volume(image[np.newaxis].astype(np.int16), Geometry(spacing_mm=(3, 3, 5)), "HU", "CT")


def inner(volume):
    return volume.array[0, 52:76, 52:76].astype(float)


class PhantomTest(unittest.TestCase):
    def test_noise_grows_as_the_dose_shrinks(self):
        phantom = water_phantom()
        deviations = {dose: inner(simulate_low_dose(phantom, dose, photons=1e6)).std() for dose in (0.5, 0.25, 0.1)}
        # Inserted variance is proportional to (1 - a) / a: 1, 3 and 9.
        self.assertAlmostEqual(deviations[0.25] / deviations[0.5], np.sqrt(3), delta=0.25)
        self.assertAlmostEqual(deviations[0.1] / deviations[0.5], 3.0, delta=0.4)

    def test_mean_is_kept_and_air_does_not_go_below_minus_1024(self):
        low = simulate_low_dose(water_phantom(), 0.25, photons=1e5)
        self.assertLess(abs(inner(low).mean()), 5.0)
        self.assertGreaterEqual(low.array.min(), -1024)

    def test_seed_decides(self):
        phantom = water_phantom()
        first, again, other = (simulate_low_dose(phantom, 0.25, seed, photons=1e5).array for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        self.assertFalse(np.array_equal(first, other))

    def test_calibration_finds_the_noise_of_the_scan(self):
        quiet, loud = (calibrate_photons(water_phantom(noise=noise)) for noise in (10.0, 20.0))
        self.assertAlmostEqual(quiet / loud, 4.0, delta=0.6)  # twice the noise is a quarter of the photons

    def test_what_cannot_be_simulated_is_refused(self):
        phantom = water_phantom()
        with self.assertRaisesRegex(InputError, "square pixels"):
            simulate_low_dose(phantom.with_array(phantom.array, geometry=Geometry(spacing_mm=(1, 2, 3))))
        with self.assertRaisesRegex(InputError, "Hounsfield"):
            simulate_low_dose(phantom.with_array(phantom.array, units=""))
        with self.assertRaisesRegex(InputError, "dose fraction"):
            simulate_low_dose(phantom, dose=1.5)

    def test_slices_need_not_be_square(self):
        phantom = water_phantom()
        cut = phantom.with_array(phantom.array[:, 14:-14].copy())
        self.assertEqual(simulate_low_dose(cut, 0.25, photons=1e5).array.shape, cut.array.shape)


class SharedPairTest(unittest.TestCase):
    """The real chest and its quarter-dose partner."""

    def setUp(self):
        self.full = Volume.from_sitk(sitk.ReadImage(str(dataFile(FULL))), "HU", "CT")
        self.quarter = sitk.GetArrayFromImage(sitk.ReadImage(str(dataFile(QUARTER))))

    def test_same_noise_as_the_pair(self):
        sample = self.full.with_array(self.full.array[10:11])
        ours = simulate_low_dose(sample, 0.25, 1, SHARED_PHOTONS).array[0].astype(float) - sample.array[0]
        theirs = self.quarter[2].astype(float) - sample.array[0]
        for region in (np.s_[200:300, 200:300], np.s_[250:350, 120:220], np.s_[100:400, 60:450]):
            self.assertAlmostEqual(ours[region].std() / theirs[region].std(), 1.0, delta=0.05)

    def test_a_quarter_dose_doubles_the_noise(self):
        sample = self.full.with_array(self.full.array[10:20:9])
        low = simulate_low_dose(sample, 0.25, 1)
        tissue = [homogeneous_tissue(image) for image in sample.array]
        before, after = (
            np.sqrt(np.mean([noise_hu(image, mask) ** 2 for image, mask in zip(volume.array, tissue, strict=True)]))
            for volume in (sample, low)
        )
        self.assertAlmostEqual(after / before, 2.0, delta=0.1)


if __name__ == "__main__":
    unittest.main()
