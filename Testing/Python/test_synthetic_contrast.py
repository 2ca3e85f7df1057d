"""MRs of random contrast drawn from a CT: right tissues, right places, the same numbers from the same seed."""

import unittest

import numpy as np
from medgan.deformation import Deformation, smooth_noise
from medgan.errors import InputError
from medgan.synthetic_contrast import draw, tissues
from medgan.volume import Geometry, Volume

SPACING_MM = 2.0


def head_ct(table=True) -> Volume:
    """A head of 2 mm voxels with fat, muscle, skull with marrow, brain and a sinus, lying on a table."""
    shape = (72, 96, 80)
    axes = np.ogrid[tuple(slice(size) for size in shape)]
    hu = np.full(shape, -1000.0, np.float32)

    def inside(center, radii):
        return sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, center, radii, strict=True)) < 1

    center = (36, 52, 40)
    for radii, value in (
        ((35, 42, 36), -100.0), ((32, 38, 31), 50.0), ((29, 35, 28), 1200.0), ((28, 34, 27), 500.0),
        ((25, 31, 24), 1200.0), ((24, 30, 23), 35.0),
    ):  # fmt: skip
        hu[inside(center, radii)] = value
    hu[inside((24, 84, 40), (5, 4, 7))] = -950.0
    if table:
        hu[:, 2:6, 5:75] = 200.0
    hu += np.random.default_rng(0).normal(0, 8, shape).astype(np.float32)
    return Volume(hu, Geometry((-80.0, -100.0, -70.0), np.full(3, SPACING_MM)), "HU", "CT")


class Tissues(unittest.TestCase):
    def test_each_tissue_is_where_it_belongs(self):
        found = tissues(head_ct())
        at = {
            "brain": (36, 52, 40), "marrow": (36, 52, 40 + 26), "fat": (36, 52, 40 - 33), "soft": (36, 52, 40 - 30),
        }  # fmt: skip
        for name, place in at.items():
            largest = max(found.shares, key=lambda key, place=place: found.shares[key][place])
            self.assertEqual(largest, name)
        self.assertGreater(found.shares["cortex"][36, 52, 40 + 23], 100)
        sinus = (24, 84, 40)
        self.assertLess(sum(int(share[sinus]) for share in found.shares.values()), 40)
        total = sum(share.astype(int) for share in found.shares.values())
        self.assertLessEqual(total.max(), 256)

    def test_the_table_is_taken_away(self):
        self.assertLess(tissues(head_ct()).ct.array[36, 3:5, 20:60].max(), -990)
        np.testing.assert_allclose(tissues(head_ct()).ct.array, tissues(head_ct(table=False)).ct.array, atol=1.0)

    def test_what_is_no_head_ct_is_refused(self):
        ct = head_ct()
        water = ct.with_array(np.where(ct.array > -500, 0, -1000).astype(np.float32))
        for wrong in (water, ct.with_array(ct.array, units="")):
            with self.assertRaises(InputError):
                tissues(wrong)


class Draws(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.anatomy = tissues(head_ct())
        cls.pairs = [draw(cls.anatomy, 4.0, np.random.default_rng(seed)) for seed in range(8)]

    def test_both_lie_on_one_grid_of_the_spacing_asked_for(self):
        for mr, ct in self.pairs:
            self.assertEqual(mr.array.shape, ct.array.shape)
            self.assertTrue(mr.geometry.is_close(ct.geometry))
            np.testing.assert_array_equal(mr.geometry.spacing_mm, (4.0, 4.0, 4.0))
            self.assertEqual((mr.units, mr.modality, ct.units, ct.modality), ("", "MR", "HU", "CT"))

    def test_the_same_seed_gives_the_same_pair_and_another_one_another(self):
        mr, ct = draw(self.anatomy, 4.0, np.random.default_rng(0))
        np.testing.assert_array_equal(mr.array, self.pairs[0][0].array)
        np.testing.assert_array_equal(ct.array, self.pairs[0][1].array)
        self.assertFalse(np.array_equal(self.pairs[0][1].array, self.pairs[1][1].array))

    def test_bone_and_air_are_dark_whatever_the_contrast(self):
        for mr, ct in self.pairs:
            bone, brain = ct.array > 900, (ct.array > 15) & (ct.array < 55)
            self.assertTrue(bone.any() and brain.any())
            brightest = np.percentile(mr.array[ct.array > -500], 90)
            self.assertLess(np.median(mr.array[bone]), 0.65 * brightest)
            self.assertLess(np.median(mr.array[ct.array < -900]), 0.2 * brightest)

    def test_contrasts_differ(self):
        ratios = [np.median(mr.array[(ct.array > 15) & (ct.array < 55)]) / max(np.percentile(mr.array, 99), 1)
                  for mr, ct in self.pairs]  # fmt: skip
        self.assertGreater(max(ratios) / min(ratios), 1.5)

    def test_the_ct_keeps_its_hu(self):
        for _, ct in self.pairs:
            self.assertGreater(ct.array.max(), 700)
            self.assertGreaterEqual(ct.array.min(), -1024)
            self.assertLess(np.abs(np.median(ct.array[(ct.array > 0) & (ct.array < 80)]) - 38), 12)


class Deformations(unittest.TestCase):
    def test_a_deformed_head_is_as_large_as_allowed(self):
        ct = head_ct(table=False)
        body = (ct.array > -500).sum()
        for seed in range(4):
            deformation = Deformation.draw(ct, 4.0, np.random.default_rng(seed))
            moved = deformation.apply(ct.array, -1000.0)
            share = 8 * (moved > -500).sum() / body
            self.assertTrue(0.5 < share < 1.8, share)
            self.assertEqual(moved.shape, deformation.grid.grid_shape)

    def test_smooth_noise_has_the_deviation_and_the_width_asked_for(self):
        for width in (1.0, 6.0):
            field = smooth_noise((48, 48, 48), width, np.random.default_rng(0))
            self.assertEqual(field.shape, (48, 48, 48))
            self.assertTrue(0.7 < field.std() < 1.2, field.std())
        coarse, fine = (smooth_noise((48,) * 3, width, np.random.default_rng(0)) for width in (6.0, 1.0))
        self.assertLess(np.abs(np.diff(coarse, axis=0)).mean(), 0.5 * np.abs(np.diff(fine, axis=0)).mean())


if __name__ == "__main__":
    unittest.main()
