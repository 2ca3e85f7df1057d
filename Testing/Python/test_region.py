"""A region of a volume has the values it has in the result of the whole volume, and costs no more than itself."""

import gc
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
from engine_fixtures import OBLIQUE, ct, mr, slide, untrained
from hypothesis import given, settings
from hypothesis import strategies as st
from medgan import intensity, network
from medgan.bundle import Bundle
from medgan.errors import InputError
from medgan.network import NetworkSpec
from medgan.synthesizer import Synthesizer
from medgan.tile_plan import Box
from medgan.volume import Volume
from medgan.working_grid import WorkingGrid, covering, cropped, grid_of_spacing


def regions_of(shape):
    """A slice along each axis, a corner, a box in the middle, and everything."""
    middle = [size // 2 for size in shape]
    whole = Box((0, 0, 0), tuple(shape))
    slices = [whole.with_axis(axis, middle[axis], middle[axis] + 1) for axis in range(3)]
    box = Box(tuple(max(0, m - max(1, m // 3)) for m in middle), tuple(m + 1 for m in middle))
    return [*slices, Box(tuple(size - 1 for size in shape), tuple(shape)), box, whole]


class Regions(unittest.TestCase):
    def assert_regions_equal(self, bundle, volume, tolerance, tile_voxels=None, **settings):
        """``tolerance`` is absolute, in units of the result."""
        with mock.patch.object(network.TorchNetwork, "tile_voxels", return_value=tile_voxels):
            synthesizer = Synthesizer(bundle, "cpu")
            whole = synthesizer(volume, **settings)
            for region in regions_of(volume.grid_shape):
                part = synthesizer(volume, region=region, **settings)
                spec = bundle.outputs(volume, region=region)["image"]
                scaled = region.scaled(bundle.manifest.network.scale)
                expected = whole.volume.array[scaled.slices]
                self.assertEqual((part.volume.array.shape, part.volume.array.dtype), (expected.shape, expected.dtype))
                self.assertEqual(part.volume.array.shape, spec.shape)
                np.testing.assert_allclose(
                    part.volume.array.astype(float), expected.astype(float), atol=tolerance, rtol=0
                )
                self.assertTrue(part.volume.geometry.is_close(cropped(whole.volume, scaled).geometry, 1e-9))
                self.assertTrue(spec.geometry.is_close(part.volume.geometry, 1e-12))
                self.assertEqual(part.applicability, whole.applicability)
        return whole.volume

    def identity(self, **fields):
        folder = Path(self.enterContext(TemporaryDirectory()))
        return Bundle.create_identity(folder / "identity", **fields)

    def test_identity(self):
        volume = ct((9, 20, 15))
        whole = self.assert_regions_equal(self.identity(), volume, 0)
        np.testing.assert_array_equal(whole.array, volume.array)
        self.assert_regions_equal(self.identity(channels=3), slide((2, 20, 15)), 0)

    def test_identity_on_working_grids(self):
        for spec in (NetworkSpec(canonical=True), NetworkSpec(canonical=True, spacing_mm=(2.0, 1.0, 1.0))):
            for make in (ct, mr):
                volume = make((9, 20, 15), directions=OBLIQUE)
                whole = self.assert_regions_equal(self.identity(network=spec), volume, 1e-3, strength=0.7)
                if spec.spacing_mm is None:
                    np.testing.assert_allclose(whole.array, volume.array, atol=1e-3)

    def test_slices_with_neighbors(self):
        bundle = untrained(
            "mr-to-ct", dimensions=2, context_slices=2, planes="axial", base_width=4, depth=2, mask=False
        )
        self.assertEqual(bundle.manifest.network.halo[0], 2)
        self.assert_regions_equal(bundle, mr((9, 33, 27)), 0.02)

    def test_blocks_of_a_finite_halo_that_only_brighten(self):
        bundle = untrained("contrast-ct", base_width=4, working_spacing_mm=0.0)
        self.assertTrue(bundle.manifest.network.footprint.is_exact and bundle.manifest.result().only_add)
        volume = ct((30, 33, 27))
        volume.array[:, :, :4] = -3024  # padding
        for tile_voxels in (None, 20**3):
            whole = self.assert_regions_equal(bundle, volume, 1, tile_voxels)
        np.testing.assert_array_equal(whole.array[:, :, :4], -3024)

    def test_working_spacing_and_body(self):
        """Slices of three directions, turned axes, a spacing of its own, nothing outside the body."""
        bundle = untrained("mr-to-ct", dimensions=2, planes="all", base_width=4, depth=2, working_spacing=2.0)
        self.assertTrue(bundle.manifest.network.body_only)
        volume = mr((14, 30, 26), directions=OBLIQUE)
        whole = self.assert_regions_equal(bundle, volume, 0.05)
        self.assertTrue(0.1 < (whole.array == -1024).mean() < 0.9)

    def test_a_change_on_a_coarser_grid(self):
        bundle = untrained("contrast-ct", base_width=4, working_spacing_mm=2.0)
        self.assert_regions_equal(bundle, ct((14, 40, 36), spacing_mm=(0.9, 0.9, 1.2), directions=OBLIQUE), 1)

    def test_a_network_that_sees_everything(self):
        """At once where it fits, and else in blended tiles, which must be those of the whole volume."""
        bundle = untrained("denoise-ct", normalisation="instance", base_width=4, depth=2)
        self.assertIn(None, bundle.manifest.network.footprint.halos)
        for tile_voxels in (None, 40 * 40):
            self.assert_regions_equal(bundle, ct((3, 96, 80)), 1, tile_voxels)

    def test_super_resolution(self):
        for factor in ("2x2x2", "1x1x4"):
            bundle = untrained("superres-mr", factor=factor, feature_size=8, residual_blocks=1, upsampling_width=16)
            self.assert_regions_equal(bundle, mr((9, 20, 15)), 0.05, 12**3)

    def test_color(self):
        bundle = untrained("stain", base_width=4, depth=2)
        self.assert_regions_equal(bundle, slide((1, 80, 90)), 1, strength=0.8)

    def test_target_spacing_covers_the_region(self):
        bundle = untrained("superres-mr", factor="2x2x2", feature_size=8, residual_blocks=1, upsampling_width=16)
        volume, synthesizer = mr((9, 20, 15), directions=OBLIQUE), Synthesizer(bundle, "cpu")
        spacing_mm = (0.7, 0.9, 1.3)
        whole = synthesizer(volume, target_spacing_mm=spacing_mm).volume
        for region in regions_of(volume.grid_shape):
            part = synthesizer(volume, target_spacing_mm=spacing_mm, region=region).volume
            box = covering(Box((0, 0, 0), part.grid_shape), part, whole)
            self.assertEqual(box.shape, part.grid_shape)
            np.testing.assert_allclose(part.array, whole.array[box.slices], atol=0.05)
            self.assertTrue(part.geometry.is_close(cropped(whole, box).geometry, 1e-6))
            in_whole = covering(region, volume, whole)
            self.assertEqual(in_whole.overlap(box), in_whole)  # nothing of the region is missing
            wide = np.array(box.shape) - in_whole.shape
            self.assertTrue((wide < 2 * 2).all(), wide)  # no more than the voxels of the network's grid ask for

    def test_regions_that_are_none(self):
        synthesizer, volume = Synthesizer(self.identity()), ct((5, 6, 7))
        for start, stop in (((0, 0, 0), (5, 6, 8)), ((-1, 0, 0), (2, 2, 2)), ((2, 2, 2), (2, 3, 3))):
            with self.subTest(start), self.assertRaisesRegex(InputError, "empty or does not lie within the volume"):
                synthesizer(volume, region=Box(start, stop))


class OnlyTheRegion(unittest.TestCase):
    def setUp(self):
        self.bundle = untrained(
            "mr-to-ct",
            dimensions=2,
            planes="axial",
            context_slices=0,
            working_spacing=0.0,
            base_width=4,
            depth=2,
            mask=False,
        )
        self.volume = mr((40, 32, 32))

    def count(self, synthesizer, calls):
        predict = synthesizer.network.predict
        synthesizer.network.predict = lambda block: calls.append(block.shape) or predict(block)

    def test_the_whole_is_looked_at_once(self):
        synthesizer, looked, seen = Synthesizer(self.bundle, "cpu"), [], []
        fit, check = intensity.PercentileScale.fit, Bundle.applicability
        self.count(synthesizer, seen)
        with (
            mock.patch.object(intensity.PercentileScale, "fit", lambda *a: looked.append("fit") or fit(*a)),
            mock.patch.object(Bundle, "applicability", lambda *a: looked.append("check") or check(*a)),
        ):
            for k in (3, 17):
                synthesizer(self.volume, region=Box((k, 0, 0), (k + 1, 32, 32)))
            self.assertEqual(sorted(looked), ["check", "fit"])
            synthesizer(self.volume.with_array(self.volume.array), region=Box((0, 0, 0), (1, 9, 9)))
            self.assertEqual(sorted(looked), ["check", "check", "fit", "fit"])
        self.assertEqual({shape[1] for shape in seen}, {1})  # one slice each, of forty

    def test_what_is_known_goes_with_the_volume(self):
        synthesizer = Synthesizer(self.bundle, "cpu")
        synthesizer(self.volume, region=Box((0, 0, 0), (1, 32, 32)))
        self.assertEqual(len(synthesizer._known), 1)
        self.volume = None
        gc.collect()
        self.assertEqual(len(synthesizer._known), 0)

    def test_a_whole_volume_is_looked_at_anew(self):
        """Voxels that were changed in place must not be scaled by what they were before."""
        synthesizer = Synthesizer(self.bundle, "cpu")
        synthesizer(self.volume, region=Box((0, 0, 0), (1, 32, 32)))
        before = synthesizer(self.volume).volume.array
        self.volume.array[...] *= 3
        np.testing.assert_allclose(synthesizer(self.volume).volume.array, before, atol=0.1)


class Covering(unittest.TestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_every_part_of_the_region_and_nothing_beyond(self, data):
        volume = mr((7, 9, 8), directions=OBLIQUE, spacing_mm=(1.0, 1.3, 2.1))
        steps = st.floats(0.4, 3.0)
        grid = grid_of_spacing(volume, data.draw(st.tuples(steps, steps, steps)))
        start = [data.draw(st.integers(0, size - 1)) for size in volume.grid_shape]
        stop = [data.draw(st.integers(at + 1, size)) for at, size in zip(start, volume.grid_shape, strict=True)]
        box = covering(Box(tuple(start), tuple(stop)), volume, grid)

        def faces_mm(geometry, low, high):
            return [geometry.spacing_mm[::-1] * (np.array(at) - 0.5) for at in (low, high)]

        # both grids have the same axes: positions along them, from the middle that both share
        ends = faces_mm(volume.geometry, start, stop), faces_mm(grid.geometry, box.start, box.stop)
        centers = [(np.array(v.grid_shape) - 1) / 2 * v.geometry.spacing_mm[::-1] for v in (volume, grid)]
        low, high = (end - centers[0] for end in ends[0])
        made_low, made_high = (end - centers[1] for end in ends[1])
        step, size = grid.geometry.spacing_mm[::-1], np.array(grid.grid_shape)
        outer = size * step / 2
        self.assertTrue((made_low <= np.maximum(low, -outer) + 1e-3).all() or (np.array(box.shape) == 1).any())
        self.assertTrue((made_high >= np.minimum(high, outer) - 1e-3).all() or (np.array(box.shape) == 1).any())
        self.assertTrue((low - made_low < step * (1 + 1e-3)).all())
        self.assertTrue((made_high - high < step * (1 + 1e-3)).all())

    def test_masks_enter_as_volumes_do(self):
        volume = mr((9, 12, 10), directions=OBLIQUE)
        mask = volume.array > 100
        grid = WorkingGrid(canonical=True)
        np.testing.assert_array_equal(grid.enter_mask(mask, volume), grid.enter(volume).array > 100)
        self.assertIsInstance(WorkingGrid().enter(volume), Volume)


if __name__ == "__main__":
    unittest.main()
