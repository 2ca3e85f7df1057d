"""Exported networks compute what the bundle computes, in software that knows nothing of MedGAN."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from medgan.bundle import Bundle
from medgan.errors import InputError
from medgan.export import export
from training_fixtures import tiny_bundle


class ExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.bundle = tiny_bundle(cls.folder / "tiny", context_slices=1)
        # Other sizes and another batch than the exporter saw.
        cls.image = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 3, 20, 48)).astype(np.float32))
        with torch.inference_mode():
            cls.expected = cls.bundle.build_generator()(cls.image).numpy()

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_torchscript(self):
        network = torch.jit.load(export(self.bundle, self.folder / "network.ts"))
        np.testing.assert_allclose(network(self.image).detach().numpy(), self.expected, atol=1e-5)

    def test_onnx(self):
        session = onnxruntime.InferenceSession(export(self.bundle, self.folder / "network.onnx"))
        (result,) = session.run(["pred"], {"image": self.image.numpy()})
        np.testing.assert_allclose(result, self.expected, atol=1e-4)

    def test_refusals(self):
        with self.assertRaisesRegex(InputError, r"end the name in \.ts or \.onnx"):
            export(self.bundle, self.folder / "network.pth")
        identity = Bundle.create_identity(self.folder / "identity")
        with self.assertRaisesRegex(InputError, "no network that could be exported"):
            export(identity, self.folder / "identity.ts")
        self.assertEqual(sorted(path.name for path in self.folder.glob("*identity.ts")), [])


if __name__ == "__main__":
    unittest.main()
