"""Taking contrast medium out of a CT: blood goes, bone stays, and nothing shows where it was."""

import unittest

import numpy as np
from medgan.errors import InputError
from medgan.tile_plan import Box
from medgan.virtual_noncontrast import PLAIN_BLOOD_HU, virtual_noncontrast
from medgan.volume import Geometry, Volume

SHAPE = (24, 64, 64)
SPACING_MM = 1.5
NOISE_HU = 12.0
BLOOD_HU = 350.0


def phantom(blood_hu=BLOOD_HU, seed=0):
    """Enhanced scan, the scan without contrast medium, and where blood, spine and lung are."""
    from scipy import ndimage

    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]

    def disc(row, column, radius):
        return np.broadcast_to(np.hypot(rows - row, columns - column) < radius, SHAPE)

    body, lung, blood = disc(32, 32, 30), disc(24, 14, 9), disc(30, 36, 7)
    cortex, marrow, vessel = disc(50, 32, 8), disc(50, 32, 6), disc(24, 14, 1.6)
    speckle = np.random.default_rng(1).uniform(100, 420, SHAPE)  # trabeculae
    images = []
    for contrast in (blood_hu, PLAIN_BLOOD_HU):
        image = np.where(body, 50.0, -1000.0)
        image[lung] = -850.0
        image[cortex] = 900.0
        image[marrow] = speckle[marrow]
        image[blood | vessel] = contrast
        images.append(ndimage.gaussian_filter(image, (0, 0.6, 0.6)))
    noise = np.random.default_rng(seed).normal(0, NOISE_HU, SHAPE)
    geometry = Geometry(spacing_mm=np.full(3, SPACING_MM))
    enhanced, plain = (Volume((image + noise).astype(np.float32), geometry, "HU", "CT") for image in images)
    return enhanced, plain, {"blood": blood, "bone": cortex, "lung": lung, "body": body}


class Contrast(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.enhanced, cls.plain, cls.where = phantom()
        cls.scan = virtual_noncontrast(cls.enhanced)

    def test_blood_becomes_plain_blood_with_the_noise_around_it(self):
        from scipy import ndimage

        inside = ndimage.binary_erosion(self.where["blood"], iterations=3)
        self.assertAlmostEqual(float(self.scan.volume.array[inside].mean()), PLAIN_BLOOD_HU, delta=3.0)
        self.assertAlmostEqual(float(self.scan.volume.array[inside].std()), NOISE_HU, delta=0.35 * NOISE_HU)
        self.assertAlmostEqual(self.scan.blood_hu, BLOOD_HU, delta=25.0)

    def test_nothing_shows_at_the_border(self):
        from scipy import ndimage

        distance = ndimage.distance_transform_edt(~self.where["blood"][0])
        inner = ndimage.distance_transform_edt(self.where["blood"][0])
        for ring in ((distance > 0) & (distance <= 2), (distance > 2) & (distance <= 4), (inner > 0) & (inner <= 2)):
            values = self.scan.volume.array[:, ring]
            self.assertAlmostEqual(float(values.mean()), 48.0, delta=12.0)
            self.assertLess(float(values.std()), 2 * NOISE_HU)

    def test_bone_and_all_else_is_left_alone(self):
        from scipy import ndimage

        spine = ndimage.binary_erosion(self.where["bone"], iterations=1)
        np.testing.assert_array_equal(self.scan.volume.array[spine], self.enhanced.array[spine])
        outside = ~ndimage.binary_dilation(self.where["body"], iterations=2)
        np.testing.assert_array_equal(self.scan.volume.array[outside], self.enhanced.array[outside])

    def test_closer_to_the_plain_scan_than_the_enhanced_one(self):
        before, after = (np.abs(image - self.plain.array) for image in (self.enhanced.array, self.scan.volume.array))
        self.assertLess(after.mean(), 0.35 * before.mean())
        thin = np.zeros(SHAPE, bool)
        thin[:, 22:27, 12:17] = True  # the vessel in the lung
        self.assertLess(after[thin].mean(), 0.8 * before[thin].mean())

    def test_the_same_seed_gives_the_same(self):
        np.testing.assert_array_equal(virtual_noncontrast(self.enhanced).volume.array, self.scan.volume.array)

    def test_boxes_overrule_what_is_seen(self):
        spine = Box((0, 40, 22), (SHAPE[0], 60, 42))
        as_blood = virtual_noncontrast(self.enhanced, blood_boxes=[spine])
        self.assertLess(float(as_blood.volume.array[:, 48:53, 30:35].mean()), 100.0)
        vessel = Box((0, 20, 26), (SHAPE[0], 40, 46))
        as_bone = virtual_noncontrast(self.enhanced, blood_boxes=[spine], bone_boxes=[vessel])
        np.testing.assert_array_equal(as_bone.volume.array[:, 30, 36], self.enhanced.array[:, 30, 36])


class Refusals(unittest.TestCase):
    def test_no_contrast_medium(self):
        plain = Volume(np.full((8, 32, 32), 50.0, np.float32), Geometry(), "HU", "CT")
        with self.assertRaisesRegex(InputError, "No enhanced vessel"):
            virtual_noncontrast(plain)

    def test_not_in_hu(self):
        with self.assertRaisesRegex(InputError, "in HU"):
            virtual_noncontrast(Volume(np.zeros((8, 32, 32), np.float32), Geometry(), "", "MR"))


if __name__ == "__main__":
    unittest.main()
