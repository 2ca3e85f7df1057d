"""Synthesizer: every voxel where it was, in the units it had, whatever the size of the volume or the tile."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from medgan import network, recipes
from medgan.bundle import Bundle
from medgan.device import choose_device
from medgan.errors import Cancelled, InputError, MedGANError
from medgan.synthesizer import Synthesizer, generate
from medgan.tile_plan import Footprint
from medgan.tiling import run_tiled
from medgan.volume import Geometry, Volume
from training_fixtures import tiny_bundle


def ct(shape, dtype=np.int16, seed=0):
    array = np.random.default_rng(seed).integers(-1000, 1500, shape).astype(dtype)
    return Volume(array, Geometry((1, 2, 3), (0.8, 0.7, 2.5)), "HU", "CT")


class IdentityTest(unittest.TestCase):
    def test_every_voxel_of_every_type(self):
        with tempfile.TemporaryDirectory() as folder:
            synthesizer = Synthesizer(Bundle.create_identity(Path(folder) / "identity"))
            for dtype in (np.int16, np.uint8, np.uint16, np.int32, np.float32):
                for shape in ((1, 1, 1), (1, 40, 30), (7, 33, 12)):
                    volume = ct(shape, dtype)
                    result = synthesizer(volume, strength=0.5)
                    np.testing.assert_array_equal(result.volume.array, volume.array)
                    self.assertEqual(result.volume.array.dtype, dtype)
                    self.assertIs(result.volume.geometry, volume.geometry)

    def test_colors_and_the_ends_of_integer_types(self):
        with tempfile.TemporaryDirectory() as folder:
            colors = Synthesizer(Bundle.create_identity(Path(folder) / "colors", channels=3))
            array = np.random.default_rng(0).integers(0, 256, (4, 7, 9, 3)).astype(np.uint8)
            np.testing.assert_array_equal(colors(Volume(array), strength=0.5).volume.array, array)
            synthesizer = Synthesizer(Bundle.create_identity(Path(folder) / "identity"))
            for dtype in (np.uint16, np.int32, np.uint32, np.int64):
                ends = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype).reshape(1, 1, 2)
                result = synthesizer(Volume(ends)).volume.array.astype(np.float64)
                np.testing.assert_allclose(result, ends.astype(np.float64), rtol=1e-6)


class GeneratorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.bundle = tiny_bundle(Path(cls.temporary.name) / "tiny")
        cls.synthesizer = Synthesizer(cls.bundle, "cpu")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def direct(self, volume):
        """The network on each whole slice, edge-padded by hand, without MedGAN's tiles and scales."""
        generator, step = self.bundle.build_generator(), 4
        slices = []
        for image in volume.array.astype(np.float32) / 1000:
            padding = [(0, -size % step) for size in image.shape]
            block = torch.from_numpy(np.pad(image, padding, mode="edge"))[None, None]
            with torch.inference_mode():
                slices.append(generator(block)[0, 0, : image.shape[0], : image.shape[1]].numpy() * 1000)
        return np.stack(slices)

    def test_tiled_equals_whole_at_every_tile_size(self):
        volume = ct((3, 61, 53), np.float32)
        expected = self.direct(volume)
        for tile in (None, 64 * 56, 40 * 40, 1):
            with mock.patch.object(network.TorchNetwork, "tile_voxels", return_value=tile):
                result = self.synthesizer(volume)
            np.testing.assert_allclose(result.volume.array, expected, atol=1e-5 * np.ptp(expected))

    def test_awkward_sizes(self):
        for shape in ((1, 64, 64), (3, 3, 3), (1, 1, 200), (5, 17, 1)):
            volume = ct(shape)
            expected = np.clip(np.rint(self.direct(volume)), -32768, 32767)
            result = self.synthesizer(volume).volume
            self.assertEqual(result.array.shape, shape)
            self.assertLessEqual(np.abs(result.array - expected).max(), 1)  # half a unit may round either way

    def test_strength_blends(self):
        volume = ct((2, 32, 32), np.float32)
        full = self.synthesizer(volume).volume.array
        half = self.synthesizer(volume, strength=0.25).volume.array
        np.testing.assert_allclose(half, volume.array + 0.25 * (full - volume.array), atol=1e-2)
        np.testing.assert_array_equal(self.synthesizer(volume, strength=0.0).volume.array, volume.array)
        with self.assertRaisesRegex(InputError, "strength"):
            self.synthesizer(volume, strength=1.5)

    def test_removed_is_source_minus_result(self):
        volume = ct((2, 32, 32))
        result = self.synthesizer(volume)
        np.testing.assert_array_equal(
            result.removed.array, volume.array.astype(np.float32) - result.volume.array.astype(np.float32)
        )

    def test_values_beyond_the_type_are_clipped(self):
        volume = ct((1, 32, 32), np.uint8)  # the result has negative values
        result = self.synthesizer(volume).volume.array
        expected = np.clip(np.rint(self.direct(volume)), 0, 255)
        self.assertLessEqual(np.abs(result.astype(int) - expected).max(), 1)
        self.assertGreater((expected == 0).mean(), 0.01)

    def test_padding_of_a_scanner_is_left_alone_and_changes_nothing_beside_it(self):
        air, padded = ct((2, 32, 32)), ct((2, 32, 32))
        air.array[:, :, :7], padded.array[:, :, :7] = -1024, -3024
        for units in ("HU", ""):
            result = self.synthesizer(padded.with_array(padded.array, units=units)).volume.array
            np.testing.assert_array_equal(result[:, :, :7], padded.array[:, :, :7])
            np.testing.assert_array_equal(result[:, :, 7:], self.synthesizer(air).volume.array[:, :, 7:])

    def test_no_memory_before_the_first_tile_and_the_device_again_afterwards(self):
        volume = ct((2, 64, 64), np.float32)
        expected = self.synthesizer(volume).volume.array
        synthesizer = Synthesizer(self.bundle, "cpu")
        synthesizer.network.wanted_device = torch.device("meta")  # stands for a device that has memory for nothing
        plan = network.TorchNetwork.tile_voxels

        def full(self):
            if self.device.type == "meta":
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return plan(self)

        moves = []

        def move(module, device):
            moves.append(torch.device(device).type)
            return module

        with (
            mock.patch.object(network.TorchNetwork, "tile_voxels", full),
            mock.patch.object(type(synthesizer.network.module), "to", move),  # weights on "meta" would be lost
        ):
            for _ in range(2):
                result = synthesizer(volume)
                np.testing.assert_allclose(result.volume.array, expected, atol=1e-5 * np.ptp(expected))
                self.assertRegex(" ".join(result.notes), "computing on the CPU")
                self.assertEqual(result.provenance["Device"], "cpu")
        self.assertEqual(moves, ["meta", "cpu", "meta", "cpu"])

    def test_out_of_memory_halves_the_tile_then_falls_back(self):
        volume = ct((2, 64, 64), np.float32)
        expected = self.synthesizer(volume).volume.array
        synthesizer = Synthesizer(self.bundle, "cpu")
        predict, moved = network.TorchNetwork.predict, []

        def short_of_memory(self, block):
            if block.shape[-1] * block.shape[-2] > 3900 or not moved:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return predict(self, block)

        with (
            mock.patch.object(network.TorchNetwork, "predict", short_of_memory),
            mock.patch.object(network.TorchNetwork, "fallback", property(lambda self: lambda: moved.append(True))),
        ):
            result = synthesizer(volume)
        np.testing.assert_allclose(result.volume.array, expected, atol=1e-5 * np.ptp(expected))
        self.assertEqual(moved, [True])
        self.assertTrue(any("CPU" in note for note in result.notes), result.notes)

    def test_numbers_that_are_none_stop_the_work(self):
        with (
            mock.patch.object(network.TorchNetwork, "predict", lambda self, block: block * np.float32(np.nan)),
            self.assertRaisesRegex(MedGANError, "no number"),
        ):
            self.synthesizer(ct((1, 16, 16)))

    def test_progress_and_cancel(self):
        fractions = []
        self.synthesizer(ct((20, 16, 16)), progress=lambda fraction, message: fractions.append(fraction))
        self.assertGreater(len(fractions), 5)
        self.assertEqual((fractions[-1], fractions), (1.0, sorted(fractions)))

        def cancel(fraction, message):
            raise Cancelled

        with self.assertRaises(Cancelled):
            self.synthesizer(ct((20, 16, 16)), progress=cancel)

    def test_provenance(self):
        provenance = self.synthesizer(ct((1, 16, 16)), strength=0.5).provenance
        self.assertEqual(provenance["Model"], "tiny")
        self.assertEqual(provenance["ModelSHA256"], self.bundle.sha256)
        self.assertEqual(provenance["Parameters"], '{"strength": 0.5}')
        self.assertTrue(all(isinstance(value, str) for value in provenance.values()))


class PublishedPresetTest(unittest.TestCase):
    def test_a_position_dependent_network_is_recognised_and_blending_keeps_every_voxel(self):
        recipe = recipes.get("denoise-ct", preset="published", base_width=4)
        generator = recipe.build_generator()
        spec = recipe.measured_spec(generator)
        self.assertIn(spec.halo, (None, (0, None, None)))
        volume = ct((2, 96, 96), np.float32)
        image = np.empty_like(volume.array)
        run_tiled(
            volume.grid_shape,
            lambda box: volume.array[box.slices][np.newaxis],
            lambda block: block,
            lambda box, block: image.__setitem__(box.slices, block[0]),
            Footprint(spec.halo, spec.multiple),
            tile_voxels=48 * 48,
        )
        np.testing.assert_allclose(image, volume.array, atol=2e-3)

    def test_slice_statistics_do_not_depend_on_tiles(self):
        scale = recipes.get("denoise-ct", preset="published").source_scale()
        array = ct((3, 40, 40), np.float32).array
        fitted = scale.fit(array)
        whole = fitted.forward(array)
        np.testing.assert_allclose(fitted.forward(array[1:2, 5:9], slice(1, 2)), whole[1:2, 5:9], rtol=1e-6)
        np.testing.assert_allclose(whole[1], (array[1] - array[1].mean()) / array[1].var(), rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(fitted.inverse(whole.copy()), array, atol=0.05)


class InstanceNormTest(unittest.TestCase):
    def test_images_of_any_size(self):
        recipe = recipes.get("denoise-ct", normalisation="instance", base_width=4)
        generator = recipe.build_generator()
        spec = recipe.measured_spec(generator)
        for shape in ((2, 40, 40), (1, 3, 3)):
            volume = ct(shape)
            result = generate(generator, spec, recipe.source_scale(), recipe.target(), volume, "cpu")
            np.testing.assert_allclose(result.array, volume.array, atol=1e-2)  # untrained: gives its input


class DeviceTest(unittest.TestCase):
    def test_devices_that_are_not_there(self):
        self.assertEqual(choose_device("cpu").type, "cpu")
        with self.assertRaisesRegex(InputError, "no device 'cuda:7'"):
            choose_device("cuda:7")
        with self.assertRaisesRegex(InputError, "'gpu' is not a device"):
            choose_device("gpu")


if __name__ == "__main__":
    unittest.main()
