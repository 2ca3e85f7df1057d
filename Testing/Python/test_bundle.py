"""Bundles: what is on disk is what was trained, and what is damaged or unsafe is refused with one sentence."""

import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from medgan.bundle import Bundle
from medgan.bundle_search import find_bundles, resolve
from medgan.errors import BundleError, InputError
from medgan.files import file_sha256
from medgan.network import NetworkSpec
from medgan.volume import Geometry, Volume
from training_fixtures import tiny_bundle


class BundleOnDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.bundle = tiny_bundle(Path(cls.folder.name) / "tiny")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def copy(self, name):
        path = Path(self.folder.name) / name
        shutil.copytree(self.bundle.path, path)
        return path

    def edit(self, path, **fields):
        file = path / "configs" / "metadata.json"
        metadata = json.loads(file.read_text())
        metadata["medgan"].update(fields)
        file.write_text(json.dumps(metadata))

    def test_verify_checks_everything(self):
        lines = []
        self.bundle.verify(lines.append)
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[2], r"halo of \(0, \d+, \d+\)")

    def test_half_precision_and_small(self):
        parameters = sum(p.numel() for p in self.bundle.build_generator().parameters())
        self.assertLess(self.bundle.weights.stat().st_size, 2 * parameters + 8192)

    def test_monai_reads_it(self):
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(self.bundle.path / "configs" / "inference.json")
        parser["bundle_root"] = str(self.bundle.path)
        network = parser.get_parsed_content("network_def")
        self.assertIsInstance(network, torch.nn.Module)
        for key in ("version", "changelog", "monai_version", "task", "description", "network_data_format"):
            self.assertIn(key, self.bundle.metadata)

    def test_altered_weights(self):
        path = self.copy("altered")
        content = bytearray((path / "models" / "model.safetensors").read_bytes())
        content[-1] ^= 1
        (path / "models" / "model.safetensors").write_bytes(content)
        with self.assertRaisesRegex(BundleError, "SHA-256 differs"):
            Bundle.load(path).build_generator()

    def test_missing_and_pickled_weights(self):
        path = self.copy("missing")
        (path / "models" / "model.safetensors").unlink()
        with self.assertRaisesRegex(BundleError, "lacks its weights"):
            Bundle.load(path)
        (path / "models" / "model.pth").write_bytes(b"cos\nsystem\n")
        with self.assertRaisesRegex(BundleError, "format that can run foreign code"):
            Bundle.load(path)

    def test_truncated_weights_with_matching_hash(self):
        path = self.copy("truncated")
        weights = path / "models" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        self.edit(path, sha256=file_sha256(weights))
        with self.assertRaisesRegex(BundleError, "cannot be read as safetensors"):
            Bundle.load(path).build_generator()

    def test_newer_schema(self):
        path = self.copy("newer")
        self.edit(path, schema=99)
        with self.assertRaisesRegex(BundleError, "made by a newer MedGAN"):
            Bundle.load(path)

    def test_damaged_metadata(self):
        path = self.copy("damaged")
        (path / "configs" / "metadata.json").write_text("{")
        with self.assertRaisesRegex(BundleError, "no readable 'medgan' section"):
            Bundle.load(path)
        (path / "configs" / "metadata.json").unlink()
        with self.assertRaisesRegex(BundleError, r"holds no configs/metadata\.json"):
            Bundle.load(path)
        with self.assertRaisesRegex(BundleError, "There is no bundle"):
            Bundle.load(path / "nowhere")

    def test_a_wrong_halo_is_found(self):
        path = self.copy("halo")
        network = json.loads((path / "configs" / "metadata.json").read_text())["medgan"]["network"]
        self.edit(path, network={**network, "halo": [0, 4, 4]})
        with self.assertRaisesRegex(BundleError, "states a halo"):
            Bundle.load(path).verify()

    def test_selftest_finds_other_arithmetic(self):
        path = self.copy("other")
        self.edit(path, intensity={"kind": "fixed", "offset": 500.0, "divisor": 50.0})
        with self.assertRaisesRegex(BundleError, "self-test"):
            Bundle.load(path).verify()

    def test_search(self):
        path = self.copy("models/tiny")
        with mock.patch.dict(os.environ, {"MEDGAN_MODELS": str(path.parent)}):
            self.assertIn("tiny", [bundle.name for bundle in find_bundles("denoise-ct")])
            self.assertEqual(resolve("tiny").path, path)
            self.assertEqual(resolve("denoise-ct").path, path)
            with self.assertRaisesRegex(BundleError, "no model 'huge'; installed are: .*tiny"):
                resolve("huge")


class OutputsAndApplicability(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        fingerprint = {
            "spacing_mm": [[0.7, 0.7, 1.0], [0.8, 0.8, 4.0]],
            "field_of_view_mm": [[300.0, 300.0, 10.0], [400.0, 400.0, 300.0]],
            "percentiles": {"1": -1024.0, "5": -1000.0, "50": -900.0, "95": 150.0, "99": 700.0},
        }
        path = Path(cls.folder.name) / "identity"
        spec = NetworkSpec(halo=(0, 56, 56))
        cls.bundle = Bundle.create_identity(path, modality="CT", units="HU", fingerprint=fingerprint, network=spec)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def volume(self, array=None, spacing=(0.75, 0.75, 2.0), modality="CT", units="HU"):
        if array is None:
            array = np.random.default_rng(0).integers(-1000, 200, (3, 500, 500)).astype(np.int16)
        return Volume(array, Geometry(spacing_mm=spacing), units, modality)

    def test_a_fitting_volume_gives_no_warning(self):
        self.assertEqual(self.bundle.applicability(self.volume()), [])

    def test_warnings(self):
        mr = np.random.default_rng(0).integers(0, 900, (3, 500, 500)).astype(np.int16)
        cases = (
            (self.volume(modality="MR", units=""), "This is a MR volume"),
            (self.volume(mr, modality="", units=""), "looks like an MR, or a CT without its rescale"),
            (self.volume((mr + 24).astype(np.uint16)), "looks like an MR, or a CT without its rescale"),
            (self.volume(spacing=(3.0, 3.0, 3.0)), "voxel spacing along i is 3 mm"),
            (self.volume(np.zeros((1, 9, 9), np.int16) - 500), "field of view"),
        )
        for volume, sentence in cases:
            self.assertRegex(" ".join(self.bundle.applicability(volume)), sentence)

    def test_ordinary_ct_gives_no_warning(self):
        body = np.random.default_rng(0).normal(40, 30, (3, 500, 500)).astype(np.int16)
        padded = np.random.default_rng(0).integers(-1000, 200, (3, 500, 500)).astype(np.int16)
        for padding in (-2000, -3024):
            padded[:, :60] = padding  # outside the field of view of the scanner
            self.assertEqual(self.bundle.applicability(self.volume(padded.copy())), [])
        self.assertEqual(self.bundle.applicability(self.volume(body)), [])  # soft tissue alone
        self.assertEqual(self.bundle.applicability(self.volume(padded[:, :160, 100:260])), [])  # a crop
        twice = self.bundle.applicability(self.volume((padded - 1024).clip(-3000)))  # the intercept applied twice
        self.assertRegex(" ".join(twice), "outside what the model was trained on")

    def test_nan_is_refused(self):
        array = np.zeros((3, 4, 5), np.float32)
        array[1, 2, 3] = np.nan
        with self.assertRaisesRegex(InputError, "1 voxels that are no number"):
            self.bundle.applicability(self.volume(array))

    def test_output_type_and_components(self):
        self.assertEqual(self.bundle.outputs(self.volume())["image"].dtype, "int16")
        self.assertEqual(self.bundle.outputs(self.volume(np.zeros((1, 2, 3), np.float64)))["image"].dtype, "float32")
        with self.assertRaisesRegex(InputError, "1 component"):
            self.bundle.outputs(self.volume(np.zeros((1, 2, 3, 3), np.uint8)))


if __name__ == "__main__":
    unittest.main()
