"""Networks that somebody else made: as bundles they go through the same pipeline as our own."""

import json
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from medgan.bundle import Bundle
from medgan.bundle_import import import_network, read_description
from medgan.cli.bundle import EXAMPLE
from medgan.errors import BundleError, InputError, MedGANError
from medgan.export import export
from medgan.foreign import load_network
from medgan.generators.fixed_size import FixedSize
from medgan.memory import measure
from medgan.network import as_volume_network
from medgan.synthesizer import Synthesizer
from medgan.tile_plan import Box
from medgan.volume import Volume
from training_fixtures import tiny_bundle

SHIPPED = Path(__file__).resolve().parents[2] / "MedGANSynthesis" / "Resources" / "Models"
HU = {"kind": "fixed", "offset": 0.0, "divisor": 1000.0}


def description(**changes):
    return {**json.loads(EXAMPLE), **changes}


class Smooth(torch.nn.Module):
    """Three by three (by three) box filter; the other outputs are not asked for."""

    def __init__(self, dimensions=2, scale=1):
        super().__init__()
        convolution = torch.nn.Conv2d if dimensions == 2 else torch.nn.Conv3d
        self.filter = convolution(1, 2, 3, padding=1, padding_mode="replicate", bias=False)
        torch.nn.init.constant_(self.filter.weight, 3.0**-dimensions)
        self.scale = scale

    def forward(self, image):
        result = self.filter(image)
        return result if self.scale == 1 else torch.nn.functional.interpolate(result, scale_factor=self.scale)


class FixedInput(torch.nn.Module):
    """Refuses every image but 16 x 24."""

    def __init__(self):
        super().__init__()
        self.position = torch.nn.Parameter(torch.zeros(16, 24))

    def forward(self, image):
        return image * 2 + self.position


def save(module, path, example):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".onnx":
            torch.onnx.export(module, (example,), str(path), dynamo=False, input_names=["x"], output_names=["y"])
        else:
            torch.jit.trace(module, example).save(str(path))
    return path


def scan(shape=(5, 40, 56)):
    array = np.random.default_rng(0).normal(0, 200, shape).round().astype(np.int16)
    return Volume(array, units="HU", modality="CT")


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)


class RoundTrip(Folder):
    def assertSameResult(self, bundle, volume, suffixes):
        """Exported and imported again, the bundle does what it did before."""
        expected = Synthesizer(bundle, "cpu")(volume).volume
        for suffix in suffixes:
            network = export(bundle, self.folder / f"network{suffix}")
            again = import_network(network, bundle.manifest.to_dict(), self.folder / f"again{suffix[1:]}")
            again.verify()
            self.assertEqual(again.manifest.network, bundle.manifest.network)
            result = Synthesizer(again, "cpu")(volume)
            reach = float(np.ptp(expected.array))
            difference = np.abs(result.volume.array.astype(float) - expected.array)
            # a whole number more or less is where rounding to integers of almost equal results parts
            limit = max(1e-3 * reach, 1.0 if expected.array.dtype.kind in "iu" else 0.0)
            self.assertLessEqual(difference.max(), limit, suffix)
            self.assertLess(difference.mean(), 1e-4 * reach, suffix)
            self.assertEqual((result.volume.units, result.volume.modality), (expected.units, expected.modality))

    def test_shipped_model(self):
        self.assertSameResult(Bundle.load(SHIPPED / "denoise-ct-multi"), scan((3, 48, 40)), (".onnx", ".ts"))

    def test_slices_with_neighbors(self):
        bundle = tiny_bundle(self.folder / "tiny", context_slices=1)
        volume = scan((4, 32, 48))
        self.assertSameResult(bundle, volume.with_array(volume.array.astype(np.float32)), (".ts",))


class Importing(Folder):
    def test_torchscript_by_the_example(self):
        network = save(Smooth(), self.folder / "smooth.pt", torch.zeros(1, 1, 16, 16))
        bundle = import_network(network, description(), self.folder / "models" / "smooth")
        lines = []
        bundle.verify(lines.append)
        self.assertIn("self-test", lines[-1])
        self.assertEqual(bundle.weights.name, "model.ts")
        self.assertEqual((bundle.task, bundle.licence), ("denoise-ct", ""))
        self.assertIn("Not stated.", (bundle.path / "docs" / "README.md").read_text())
        self.assertIn("TorchScript", (bundle.path / "docs" / "README.md").read_text())
        self.assertIn("No licence has been stated", (bundle.path / "LICENSE").read_text())
        self.assertEqual(bundle.manifest.network.halo, (0, None, None))
        volume = scan()
        result = Synthesizer(bundle, "cpu")(volume)
        from scipy import ndimage

        expected = ndimage.uniform_filter(volume.array.astype(float), (1, 3, 3), mode="nearest")
        inside = (slice(None), slice(None, 39), slice(None, 55))  # the far end is padded to the multiple of 16
        np.testing.assert_allclose(result.volume.array[inside], expected[inside], atol=0.51)
        self.assertEqual((result.provenance["ModelSHA256"], result.provenance["Preset"]), (bundle.sha256, ""))

    def test_custom_task_licence_and_3d_super_resolution(self):
        network = save(Smooth(3, scale=2), self.folder / "fine.onnx", torch.zeros(1, 1, 8, 16, 24))
        stated = description(
            name="fine",
            task="custom",
            licence="CC-BY-4.0",
            licence_text="Creative Commons\n",
            network={"dimensions": 3, "scale": [2, 2, 2]},
        )
        bundle = import_network(network, stated, self.folder / "fine")
        self.assertEqual((bundle.task, bundle.licence), ("custom", "CC-BY-4.0"))
        self.assertEqual((bundle.path / "LICENSE").read_text(), "Creative Commons\n")
        self.assertEqual(bundle.manifest.network.tile, (8, 16, 24))
        self.assertEqual(bundle.manifest.network.footprint.halos, (None, None, None))
        volume = scan((6, 40, 30))
        volume = volume.with_array(np.full(volume.array.shape, 123, np.float32))
        result = Synthesizer(bundle, "cpu")(volume)
        np.testing.assert_allclose(result.volume.array, np.full((12, 80, 60), 123.0), rtol=1e-4)

    def test_fixed_size(self):
        for suffix in (".onnx", ".ts"):
            network = save(FixedInput(), self.folder / f"fixed{suffix}", torch.zeros(1, 1, 16, 24))
            stated = {"dimensions": 2, "tile": [None, 16, 24]} if suffix == ".ts" else {"dimensions": 2}
            bundle = import_network(network, description(network=stated), self.folder / suffix[1:])
            self.assertEqual(bundle.manifest.network.tile, (None, 16, 24))
            volume = scan((11, 10, 61))  # shorter than the tile along j, longer along i
            synthesizer = Synthesizer(bundle, "cpu")
            np.testing.assert_array_equal(synthesizer(volume).volume.array, volume.array * 2)

    def test_fixed_blocks_and_a_region_of_them(self):
        network = save(Smooth(3), self.folder / "blocks.onnx", torch.zeros(1, 1, 4, 16, 24))
        stated = description(network={"dimensions": 3, "multiple": [1, 8, 8]})
        bundle = import_network(network, stated, self.folder / "blocks")
        self.assertEqual((bundle.manifest.network.tile, bundle.manifest.network.multiple), ((4, 16, 24), (1, 1, 1)))
        volume = scan((9, 37, 61)).with_array(scan((9, 37, 61)).array.astype(np.float32))
        steps = []
        synthesizer = Synthesizer(bundle, "cpu")
        whole = synthesizer(volume, progress=lambda fraction, message: steps.append(fraction)).volume.array
        tiles = len(steps)
        self.assertGreater(tiles, 20)  # one by one, so that it can be stopped in between
        # within tiles the filter sees what it would see of the whole; at their borders, with hardly any weight, not
        from scipy import ndimage

        expected = ndimage.uniform_filter(volume.array, 3, mode="nearest")
        self.assertLess(np.abs(whole - expected).mean(), 0.1 * np.abs(expected).mean())
        steps.clear()
        region = Box((4, 0, 0), (5, 37, 61))
        part = synthesizer(volume, region=region, progress=lambda fraction, message: steps.append(fraction))
        np.testing.assert_allclose(part.volume.array, whole[4:5], atol=1e-3)
        self.assertLessEqual(len(steps), tiles // 2)  # those that the region lies in

    def test_spread(self):
        network = save(Smooth(), self.folder / "smooth.ts", torch.zeros(1, 1, 16, 16))
        synthesizer = Synthesizer(import_network(network, description(), self.folder / "smooth"), "cpu")
        volume = scan((2, 32, 32))
        self.assertLess(float(synthesizer(volume, spread="flips").spread.array.max()), 1e-3)  # it is symmetric
        with self.assertRaisesRegex(InputError, "no dropout layers"):
            synthesizer(volume, spread="dropout")

    def test_everything_that_does_not_fit_is_one_sentence_and_writes_nothing(self):
        flat = save(Smooth(), self.folder / "flat.ts", torch.zeros(1, 1, 16, 16))
        onnx = save(Smooth(), self.folder / "flat.onnx", torch.zeros(1, 1, 32, 32))
        traced = save(FixedInput(), self.folder / "traced.ts", torch.zeros(1, 1, 16, 24))
        fine = save(Smooth(scale=2), self.folder / "fine.ts", torch.zeros(1, 1, 16, 16))
        torch.save(Smooth().state_dict(), self.folder / "weights.pth")
        (self.folder / "text.onnx").write_text("no network")
        (self.folder / "notes.txt").write_text("no network")
        before = sorted(self.folder.iterdir())
        example = description()
        two = {"dimensions": 2}
        cases = (
            (flat, {key: value for key, value in example.items() if key != "units"}, "lacks units"),
            (flat, description(colour="blue"), "entry 'colour' that means nothing"),
            (flat, description(network={"dimension": 2}), "entry 'dimension' that means nothing"),
            (flat, description(network=[2]), "must be an object"),
            (flat, description(network={"dimensions": 4}), "dimensions 4, which must be 2 or 3"),
            (flat, description(network={**two, "multiple": [1, 0, 16]}), "positive whole numbers"),
            (flat, description(network={**two, "multiple": 16}), "multiple 16, which must be three"),
            (flat, description(network={**two, "in_channels": 3}), "intensity scaling gives 1"),
            (flat, description(network={**two, "halo": [0, 0, 1]}), "further than the 0 voxels along j"),
            (flat, description(task="upscaling"), "no task 'upscaling'.*custom"),
            (flat, description(name="../escape"), "none for a folder"),
            (flat, description(intensity={"kind": "magic"}), "not known to this version"),
            (flat, description(title=3), "title is 3"),
            (flat, [1], "no JSON object"),
            (flat, description(network={"dimensions": 3}), "not take an image of 1x1x32x32x32"),
            (flat, description(network={**two, "out_channels": 3}), "correct 'scale'"),
            (flat, description(network={**two, "context": 1}), "not take an image of 1x3x32x32"),
            (fine, example, "correct 'scale'"),
            (traced, example, "'tile'"),
            (traced, description(network={**two, "tile": [1, 16, 24]}), "as .null, rows, columns"),
            (onnx, description(network={"dimensions": 3}), "images of 2 dimensions"),
            (onnx, description(network={**two, "context": 1}), "takes 1 channel"),
            (onnx, description(network={**two, "tile": [None, 8, 8]}), "leave 'tile' out"),
            (self.folder / "weights.pth", example, "format that can run foreign code"),
            (self.folder / "text.onnx", example, "cannot be loaded as ONNX"),
            (self.folder / "notes.txt", example, "no network to import"),
            (self.folder / "absent.onnx", example, "no file"),
        )
        wrong = {
            "context": (-1, "a", 1.5), "out_channels": (0, None, True), "halo": (0, [1], [-1, 0, 0], [1.5, 0, 0]),
            "planes": ([], 0, [3], [0, 0], [[0]]), "spacing_mm": ([1, 2], [0, 1, 1], ["a", 1, 1]), "canonical": (1, []),
            "multiple": ([10**6] * 3,),
        }  # fmt: skip
        sentences = {"multiple": "not enough memory"}
        cases += tuple(
            (flat, description(network={**two, name: value}), sentences.get(name, f"the network has {name}"))
            for name, values in wrong.items()
            for value in values
        )
        twice = {"dimensions": 2, "scale": [1, 2, 2]}
        cases += (
            (fine, description(network={**twice, "canonical": True}), "works on the grid of its source"),
            (fine, description(network={**twice, "spacing_mm": [1, 1, 1]}), "works on the grid of its source"),
            (fine, description(network=twice, target={"residual": True}), "cannot be compared with its source"),
            (flat, description(network={**two, "scale": [2, 1, 1]}), "slices between slices"),
            (flat, description(channels=0), "channels is 0"),
            (flat, description(target={"channels": -1}), "the target has channels -1"),
            (flat, description(target={"channels": "a"}), "the target has channels 'a'"),
            (flat, description(target={"scale": {"kind": "percentiles"}}), "correct 'channels'"),
            (flat, description(intensity={"kind": "percentiles", "low": "a"}), "does not fit"),
            (flat, description(fingerprint={"spacing_mm": [1, 2]}), "cannot be used"),
            (flat, description(fingerprint={"field_of_view_mm": [[1, 2], [3, 4]]}), "two triples in mm"),
        )
        for network, stated, words in cases:
            with self.assertRaisesRegex(MedGANError, words) as caught:
                import_network(network, stated, self.folder / "new")
            self.assertNotIn("\n", str(caught.exception))
            self.assertEqual(sorted(self.folder.iterdir()), before, words)
        with self.assertRaisesRegex(InputError, "already a folder"):
            import_network(flat, example, self.folder)

    def test_a_program_that_writes_files_is_not_run(self):
        victim = self.folder / "victim"
        victim.write_text("precious")

        class Writer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.path = str(victim)

            def forward(self, image):
                return image + torch.from_file(self.path, shared=True, size=1, dtype=torch.float32).fill_(7.0)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(Writer()).save(str(self.folder / "writer.ts"))
        with self.assertRaisesRegex(BundleError, "reads or writes files on its own"):
            import_network(self.folder / "writer.ts", description(), self.folder / "new")
        self.assertEqual(victim.read_text(), "precious")
        self.assertFalse((self.folder / "new").exists())

    def test_description_from_a_file(self):
        path = self.folder / "manifest.json"
        path.write_text(EXAMPLE)
        self.assertEqual(read_description(path), json.loads(EXAMPLE))
        shipped = Bundle.load(SHIPPED / "denoise-ct-multi")
        stated = read_description(shipped.path / "configs" / "metadata.json")
        self.assertEqual((stated["licence"], stated["version"]), (shipped.licence, shipped.version))
        self.assertEqual(stated["name"], shipped.name)
        for content, words in (("{", "no JSON .*line 1"), ("[1]", "no JSON object")):
            path.write_text(content)
            with self.assertRaisesRegex(InputError, words):
                read_description(path)
        with self.assertRaisesRegex(InputError, "cannot be read"):
            read_description(self.folder / "absent.json")

    def test_values_that_are_no_number(self):
        class Infinite(torch.nn.Module):
            def forward(self, image):
                return image / 0.0

        network = save(Infinite(), self.folder / "infinite.ts", torch.ones(1, 1, 16, 16))
        with self.assertRaisesRegex(InputError, "no number"):
            import_network(network, description(), self.folder / "infinite")

    def test_missing_onnxruntime_is_named(self):
        network = save(Smooth(), self.folder / "smooth.onnx", torch.zeros(1, 1, 16, 16))
        with mock.patch.dict("sys.modules", {"onnxruntime": None}), self.assertRaisesRegex(MedGANError, "onnxruntime"):
            import_network(network, description(), self.folder / "smooth")


class OnDisk(Folder):
    def setUp(self):
        super().setUp()
        network = save(Smooth(), self.folder / "smooth.onnx", torch.zeros(1, 1, 16, 16))
        self.bundle = import_network(network, description(), self.folder / "smooth")

    def test_altered_or_missing_network(self):
        content = self.bundle.weights.read_bytes()
        self.bundle.weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with self.assertRaisesRegex(BundleError, "SHA-256 differs"):
            Synthesizer(Bundle.load(self.bundle.path), "cpu")
        self.bundle.weights.unlink()
        with self.assertRaisesRegex(BundleError, r"lacks its weights \(models/model\.onnx\)"):
            Bundle.load(self.bundle.path)

    def test_a_kind_this_version_does_not_know(self):
        file = self.bundle.path / "configs" / "metadata.json"
        file.write_text(file.read_text().replace('"generator": "onnx"', '"generator": "tensorflow"'))
        with self.assertRaisesRegex(BundleError, "kind 'tensorflow'"):
            Bundle.load(self.bundle.path)

    def test_it_is_not_exported_again(self):
        with self.assertRaisesRegex(InputError, "exported network already"):
            export(self.bundle, self.folder / "again.onnx")

    def test_memory_of_its_runtime_is_counted(self):
        spec = self.bundle.manifest.network
        network = as_volume_network(load_network(self.bundle.weights, spec), spec)
        demand = measure(network, 1, spec.multiple)
        self.assertGreaterEqual(demand.bytes_per_voxel, 2 * 4)  # two channels of float32


class FixedSizeTest(unittest.TestCase):
    def test_smaller_images_are_padded_to_the_size_it_takes(self):
        seen = set()

        def network(block):
            seen.add(tuple(block.shape[2:]))
            return block.repeat_interleave(2, dim=2)

        module = FixedSize(network, (5, None), (2, 1))
        for sizes in ((5, 9), (3, 9), (1, 9)):
            image = torch.rand(2, 3, *sizes)
            torch.testing.assert_close(module(image), image.repeat_interleave(2, dim=2))
        self.assertEqual(seen, {(5, 9)})


if __name__ == "__main__":
    unittest.main()
