"""Spread: the standard deviation over flips, dropout samples and ensembles, which never changes the image."""

import dataclasses
import shutil
import tempfile
import unittest
from itertools import chain, combinations
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from engine_fixtures import OBLIQUE, ct, mr, slide, untrained
from hypothesis import given, settings
from hypothesis import strategies as st
from medgan import network
from medgan.bundle import Bundle
from medgan.errors import BundleError, Cancelled, InputError
from medgan.network import NetworkSpec
from medgan.options import ApplyOptions
from medgan.spread import Moments, dropout_layers, flipped
from medgan.synthesizer import Synthesizer
from medgan.tile_plan import Box
from medgan.volume import Volume
from training_fixtures import tiny_bundle


def mirrored(volume, axes):
    """The volume mirrored in its own grid: another patient as it were."""
    return volume.with_array(np.ascontiguousarray(np.flip(volume.array, axes)))


def combinations_of(axes):
    return chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1))


class MomentsTest(unittest.TestCase):
    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 9), st.floats(-3000, 3000), st.booleans())
    def test_as_numpy_computes_it_from_all_at_once(self, count, offset, colors):
        shape = (2, 5, 4, 3) if colors else (2, 5, 4)
        results = np.random.default_rng(count).normal(offset, 20, (count, *shape)).astype(np.float32)
        moments = Moments(shape)
        for number, result in enumerate(results, start=1):
            moments.count = number
            for k in range(2):
                moments.add((slice(k, k + 1), slice(0, 5), slice(0, 4)), result[k : k + 1])
        variance = results.astype(np.float64).var(axis=0)
        expected = np.sqrt(variance.mean(axis=-1) if colors else variance)
        np.testing.assert_allclose(moments.deviation(), expected, atol=2e-3)
        np.testing.assert_allclose(moments.mean, results.mean(axis=0, dtype=np.float64), atol=2e-3)

    def test_values_of_more_digits_than_it_keeps(self):
        """Voxels of 32 bits come as double numbers, which must not make a variance of less than nothing."""
        values = np.random.default_rng(0).normal(1.0, 1e-8, (2, 3, 40))
        moments, where = Moments(values.shape), (slice(0, 2), slice(0, 3), slice(0, 40))
        for moments.count in (1, 2, 3):
            moments.add(where, values)
        np.testing.assert_array_equal(moments.deviation(), 0)


class Flips(unittest.TestCase):
    def spread(self, bundle, volume, **settings):
        """The result and its spread, after checking that the image is the plain one and the grid that of the image."""
        synthesizer = Synthesizer(bundle, "cpu")
        plain = synthesizer(volume, **settings)
        result = synthesizer(volume, spread="flips", **settings)
        np.testing.assert_array_equal(result.volume.array, plain.volume.array)
        self.assertIsNone(plain.spread)
        spec = bundle.outputs(volume, ApplyOptions(spread="flips", **settings))["spread"]
        self.assertEqual((result.spread.array.dtype, result.spread.array.shape), (np.float32, spec.shape))
        self.assertEqual(result.spread.array.shape, result.volume.grid_shape)
        self.assertIs(result.spread.geometry, result.volume.geometry)
        self.assertEqual(result.spread.units, result.volume.units)
        return result.volume.array, result.spread.array

    def test_identity_has_none(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        specs = [
            NetworkSpec(),
            NetworkSpec(dimensions=3, canonical=True),
            NetworkSpec(canonical=True, spacing_mm=(2,) * 3),
        ]
        for spec in specs:
            volume = ct((6, 15, 12), directions=OBLIQUE)
            image, spread = self.spread(Bundle.create_identity(folder / "identity", network=spec), volume)
            self.assertFalse(spread.any())
            if spec.spacing_mm is None:
                np.testing.assert_array_equal(image, volume.array)
        colors = Bundle.create_identity(folder / "colors", channels=3)
        self.assertFalse(self.spread(colors, slide((1, 20, 30)))[1].any())

    def test_as_the_mirrored_volumes_mirrored_back(self):
        cases = [
            (untrained("denoise-ct", residual=False, base_width=4, depth=2), ct((3, 24, 32), np.float32), (1, 2)),
            (untrained("superres-mr", factor="2x2x2", feature_size=8, residual_blocks=1, upsampling_width=16),
             mr((6, 10, 8)), (0, 1, 2)),
        ]  # fmt: skip
        for bundle, volume, axes in cases:
            _image, spread = self.spread(bundle, volume)
            plain = Synthesizer(bundle, "cpu")
            variants = [
                np.flip(plain(mirrored(volume, chosen)).volume.array, chosen) for chosen in combinations_of(axes)
            ]
            self.assertEqual(len(variants), 2 ** len(axes))
            expected = np.std(variants, axis=0, dtype=np.float64)
            self.assertGreater(expected.mean(), 1e-3 * np.ptp(variants[0]))
            np.testing.assert_allclose(spread, expected, atol=2e-4 * np.ptp(variants[0]))

    def test_images_of_one_voxel_along_an_axis(self):
        bundle = untrained("contrast-ct", base_width=4, working_spacing_mm=0.0)
        for shape in ((1, 24, 20), (24, 20, 1), (1, 1, 24)):
            _image, spread = self.spread(bundle, ct(shape))
            self.assertTrue(np.isfinite(spread).all())

    def test_tiles_and_regions_do_not_show(self):
        bundle, volume = untrained("denoise-ct", residual=False, base_width=4, depth=2), ct((3, 75, 66), np.float32)
        _image, expected = self.spread(bundle, volume)
        with mock.patch.object(network.TorchNetwork, "tile_voxels", return_value=60 * 60):
            _image, tiled = self.spread(bundle, volume)
            region = Box((1, 10, 13), (2, 51, 40))
            part = Synthesizer(bundle, "cpu")(volume, spread="flips", region=region).spread
        np.testing.assert_allclose(tiled, expected, atol=0.02)
        np.testing.assert_allclose(part.array, expected[region.slices], atol=0.02)

    def test_strength_scales_it_and_what_is_kept_has_none(self):
        bundle, volume = untrained("denoise-ct", residual=False, base_width=4, depth=2), ct((2, 32, 32))
        volume.array[:, :, :6] = -3024
        _image, spread = self.spread(bundle, volume)
        _image, half = self.spread(bundle, volume, strength=0.5)
        np.testing.assert_allclose(half, 0.5 * spread, atol=0.01)
        self.assertTrue(spread[:, :, 6:].any())
        self.assertFalse(spread[:, :, :6].any())
        outside = untrained("mr-to-ct", dimensions=2, planes="axial", context_slices=0, base_width=4, depth=2)
        image, spread = self.spread(outside, mr((10, 24, 20)))
        self.assertFalse(spread[image == -1024].any())
        self.assertGreater(spread[image != -1024].mean(), 1.0)

    def test_a_mirrored_body_still_lies_in_the_volume_from_end_to_end(self):
        spec, positions = NetworkSpec(dimensions=3, in_channels=4, coordinates=True), []
        ramps = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in (3, 4, 5)], indexing="ij"))
        block = np.concatenate([np.random.default_rng(0).normal(size=(1, 3, 4, 5)), ramps]).astype(np.float32)
        before = block.copy()
        result = flipped(lambda given: positions.append(given[1:]) or given[:1], (0, 2), spec)(block)
        np.testing.assert_allclose(positions[0], ramps, atol=1e-6)
        np.testing.assert_array_equal(result, before[:1])
        np.testing.assert_array_equal(block, before)

    def test_progress_covers_all_passes_and_may_stop(self):
        bundle, volume, seen = untrained("denoise-ct", base_width=4, depth=2), ct((16, 16, 16)), []
        Synthesizer(bundle, "cpu")(volume, spread="flips", progress=lambda fraction, message: seen.append(fraction))
        self.assertEqual((seen, seen[-1]), (sorted(seen), 1.0))
        self.assertEqual(len(seen), 4 * 16)
        self.assertAlmostEqual(seen[15], 0.25)

        def stop(fraction, message):
            if fraction > 0.5:
                raise Cancelled

        with self.assertRaises(Cancelled):
            Synthesizer(bundle, "cpu")(volume, spread="flips", progress=stop)


class Dropout(unittest.TestCase):
    def setUp(self):
        self.bundle = untrained("contrast-ct", preset="published", base_width=4, slab_depth=4, dropout=0.5)
        self.volume = ct((4, 128, 256))

    def test_samples_vary_and_repeat_and_the_image_does_not_change(self):
        synthesizer = Synthesizer(self.bundle, "cpu")
        plain = synthesizer(self.volume).volume.array
        state = torch.random.get_rng_state()
        first = synthesizer(self.volume, spread="dropout", spread_samples=3)
        torch.testing.assert_close(torch.random.get_rng_state(), state)  # chance elsewhere stays as it was
        torch.manual_seed(99)
        again = Synthesizer(self.bundle, "cpu")(self.volume, spread="dropout", spread_samples=3)
        np.testing.assert_array_equal(first.volume.array, plain)
        np.testing.assert_array_equal(first.spread.array, again.spread.array)
        self.assertGreater(first.spread.array.mean(), 0.1)
        more = synthesizer(self.volume, spread="dropout", spread_samples=4).spread.array
        self.assertTrue((more != first.spread.array).any())
        np.testing.assert_array_equal(synthesizer(self.volume).volume.array, plain)

    def test_only_dropout_layers_are_active_and_only_while_sampling(self):
        synthesizer, seen = Synthesizer(self.bundle, "cpu"), []
        module = synthesizer.network.module
        layers = dropout_layers(synthesizer.network)
        self.assertTrue(layers)
        norms = [m for m in module.modules() if "Norm" in type(m).__name__]
        self.assertTrue(norms)
        synthesizer(self.volume)  # also tries how much memory it takes
        statistics = [buffer.clone() for buffer in module.buffers()]
        watched = module.register_forward_pre_hook(
            lambda *_: seen.append((any(m.training for m in layers), any(m.training for m in norms)))
        )
        synthesizer(self.volume, spread="dropout", spread_samples=2)
        watched.remove()
        self.assertEqual(seen, [(False, False), (True, False), (True, False)])
        self.assertFalse(any(m.training for m in module.modules()))
        for before, after in zip(statistics, module.buffers(), strict=True):
            torch.testing.assert_close(after, before)

    def test_the_plain_result_is_no_sample(self):
        """Of samples that are all alike there is no spread, however far the plain result lies from them."""
        synthesizer = Synthesizer(self.bundle, "cpu")
        with (
            mock.patch.object(torch.random, "fork_rng", wraps=torch.random.fork_rng),
            mock.patch.object(torch, "manual_seed", lambda seed, real=torch.manual_seed: real(7)),
        ):
            result = synthesizer(self.volume, spread="dropout", spread_samples=3)
        self.assertLess(result.spread.array.max(), 0.01)

    def test_every_kind_of_dropout_in_the_generators(self):
        kinds = {
            "stain": {"generator": "pix2pix", "depth": 7, "base_width": 4, "dropout": 0.5},
            "mr-to-ct-unpaired": {"base_width": 4, "dropout": 0.5},
        }
        for task, parameters in kinds.items():
            bundle = untrained(task, **parameters)
            self.assertTrue(dropout_layers(Synthesizer(bundle, "cpu").network), task)

    def test_networks_without(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        never = untrained("contrast-ct", preset="published", base_width=4, slab_depth=4, dropout=0.0)
        for bundle in (Bundle.create_identity(folder / "identity"), untrained("denoise-ct", base_width=4), never):
            with self.assertRaisesRegex(InputError, "no dropout layers"):
                Synthesizer(bundle, "cpu")(ct((1, 8, 8)), spread="dropout")


class Ensembles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.one = tiny_bundle(cls.folder / "one")
        cls.other = tiny_bundle(cls.folder / "other", base_width=12)
        cls.identity = Bundle.create_identity(cls.folder / "identity", modality="CT", units="HU")

    def test_over_all_of_them_the_image_being_that_of_the_first(self):
        volume = ct((3, 32, 32), np.float32)
        folders = [str(bundle.path) for bundle in (self.other, self.identity)]
        results = [Synthesizer(bundle, "cpu")(volume, strength=0.8).volume.array
                   for bundle in (self.one, self.other, self.identity)]  # fmt: skip
        synthesizer = Synthesizer(self.one, "cpu")
        result = synthesizer(volume, strength=0.8, spread="ensemble", ensemble=folders)
        np.testing.assert_array_equal(result.volume.array, results[0])
        np.testing.assert_allclose(result.spread.array, np.std(results, axis=0, dtype=np.float64), atol=0.05)
        self.assertGreater(result.spread.array.mean(), 1.0)
        self.assertGreater(result.compute_seconds, 0)
        region = Box((1, 4, 0), (2, 20, 32))
        loaded = dict(synthesizer._members)
        part = synthesizer(volume, strength=0.8, spread="ensemble", ensemble=folders, region=region)
        np.testing.assert_allclose(part.spread.array, result.spread.array[region.slices], atol=0.01)
        self.assertEqual(synthesizer._members, loaded)  # not loaded again

    def test_a_member_that_was_trained_anew(self):
        volume, synthesizer = ct((2, 32, 32), np.float32), Synthesizer(self.one, "cpu")
        place = self.folder / "member"
        shutil.copytree(self.other.path, place)
        asked = {"spread": "ensemble", "ensemble": (str(place),)}
        before = synthesizer(volume, **asked).spread.array
        shutil.rmtree(place)
        shutil.copytree(self.identity.path, place)
        after = synthesizer(volume, **asked).spread.array
        expected = Synthesizer(self.one, "cpu")(volume, **asked).spread.array
        np.testing.assert_array_equal(after, expected)
        self.assertGreater(np.abs(after - before).max(), 1.0)

    def test_members_that_do_something_else(self):
        volume, synthesizer = ct((2, 16, 16)), Synthesizer(self.one, "cpu")
        others = {
            "task": Bundle.create_identity(self.folder / "task", "contrast-ct", modality="CT", units="HU"),
            "units": Bundle.create_identity(self.folder / "units", target={"units": "mGy"}),
            "grid": Bundle.create_identity(self.folder / "grid", modality="CT", units="HU",
                                           network=NetworkSpec(scale=(1, 2, 2))),
        }  # fmt: skip
        for name, bundle in others.items():
            with self.subTest(name), self.assertRaisesRegex(InputError, "choose models of one task"):
                synthesizer(volume, spread="ensemble", ensemble=(str(bundle.path),))
        with self.assertRaises(BundleError):
            synthesizer(volume, spread="ensemble", ensemble=(str(self.folder / "absent"),))
        manifest = dataclasses.replace(self.identity.manifest, name="x")
        self.assertEqual(manifest.task, self.one.task)
        alike = synthesizer(Volume(volume.array, volume.geometry, "HU", "CT"), spread="ensemble",
                            ensemble=(str(self.identity.path),))  # fmt: skip
        self.assertTrue(np.isfinite(alike.spread.array).all())


if __name__ == "__main__":
    unittest.main()
