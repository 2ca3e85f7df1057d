"""The grid a network works on: turned and resampled volumes, and the exact way back."""

import unittest

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from medgan.volume import Geometry, Volume
from medgan.working_grid import WorkingGrid, canonical, grid_of_spacing, resampled


def turned_volume(order, signs, tilt=0.1, shape=(4, 5, 6)):
    """A volume whose axes are a permutation of the anatomical ones, some reversed, all slightly oblique."""
    c, s = np.cos(tilt), np.sin(tilt)
    directions = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ np.eye(3)[:, order] * signs
    geometry = Geometry((10.0, -20.0, 30.0), (0.7, 1.1, 2.5), directions)
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return Volume(array, geometry)


def world(volume, k, j, i):
    return (volume.geometry.ijk_to_ras @ (i, j, k, 1.0))[:3]


class CanonicalTest(unittest.TestCase):
    @settings(max_examples=48, deadline=None)
    @given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    def test_every_voxel_stays_where_it_lies(self, order, signs):
        volume = turned_volume(order, signs)
        turned = canonical(volume)
        np.testing.assert_array_equal(np.argmax(np.abs(turned.geometry.directions), axis=0), (0, 1, 2))
        self.assertTrue((np.diag(turned.geometry.directions) > 0).all())
        lookup = {tuple(np.round(world(volume, *index), 4)): volume.array[index] for index in np.ndindex(4, 5, 6)}
        for index in np.ndindex(turned.grid_shape):
            self.assertEqual(lookup[tuple(np.round(world(turned, *index), 4))], turned.array[index])
        np.testing.assert_array_equal(WorkingGrid(canonical=True).leave(turned, volume), volume.array)

    def test_color_keeps_its_components(self):
        volume = turned_volume([2, 0, 1], (1, -1, 1), shape=(4, 5, 6))
        color = volume.with_array(np.stack([volume.array, volume.array * 2], axis=-1))
        turned = canonical(color)
        np.testing.assert_array_equal(turned.array[..., 0], canonical(volume).array)
        np.testing.assert_array_equal(WorkingGrid(canonical=True).leave(turned, color), color.array)


class SpacingTest(unittest.TestCase):
    def ramp(self, volume):
        """A linear function of the position, which interpolation must reproduce."""
        k, j, i = np.meshgrid(*map(np.arange, volume.grid_shape), indexing="ij")
        points = np.stack([i, j, k], axis=-1) * volume.geometry.spacing_mm @ volume.geometry.directions.T
        return ((points + volume.geometry.origin_mm) @ (1.0, 2.0, -3.0)).astype(np.float32)

    def test_values_lie_where_they_lay(self):
        volume = turned_volume([0, 1, 2], (1, 1, 1), shape=(20, 24, 30))
        volume = volume.with_array(self.ramp(volume))
        for spacing_mm in ((0.5, 0.5, 1.0), (1.0, 1.3, 2.5)):
            work = WorkingGrid(spacing_mm=spacing_mm).enter(volume)
            np.testing.assert_allclose(work.geometry.spacing_mm, spacing_mm)
            inside = (slice(4, -4),) * 3
            np.testing.assert_allclose(work.array[inside], self.ramp(work)[inside], atol=0.4)  # a voxel makes 7
            back = WorkingGrid(spacing_mm=spacing_mm).leave(work, volume)
            self.assertEqual(back.shape, volume.array.shape)
            np.testing.assert_allclose(back[inside], volume.array[inside], atol=0.4)  # a voxel makes 7

    def test_the_new_grid_covers_the_same_box(self):
        volume = turned_volume([1, 2, 0], (1, -1, 1), shape=(20, 24, 30))
        grid = grid_of_spacing(volume, (0.9, 1.0, 2.0))

        def middle(v):
            return world(v, *((np.array(v.grid_shape) - 1) / 2))

        np.testing.assert_allclose(middle(grid), middle(volume), atol=1e-9)
        extent = np.array(grid.grid_shape[::-1]) * grid.geometry.spacing_mm
        wanted = np.array(volume.grid_shape[::-1]) * volume.geometry.spacing_mm
        self.assertTrue((np.abs(extent - wanted) <= np.array((0.9, 1.0, 2.0)) / 2).all())

    def test_coarser_grids_do_not_alias(self):
        """A checkerboard of single voxels averages out instead of turning up as stripes."""
        board = np.indices((16, 32, 32)).sum(axis=0) % 2 * 100.0
        volume = Volume(board.astype(np.float32))
        coarse = resampled(volume, grid_of_spacing(volume, (3.0, 3.0, 3.0)))
        self.assertLess(coarse.array[1:-1, 1:-1, 1:-1].std(), 5.0)

    def test_nothing_to_do_copies_nothing(self):
        volume = turned_volume([0, 1, 2], (1, 1, 1))
        self.assertIs(WorkingGrid(True, (0.7, 1.1, 2.5)).enter(volume), volume)


if __name__ == "__main__":
    unittest.main()
