"""With the shipped generators: every voxel of a preview is what Apply writes there."""

import importlib.util
import unittest

import numpy as np
import slicer
from medgan.bundle_search import find_bundles
from medgan.volume import Geometry
from MedGANSynthesisLib.SynthesisParameterNode import PreviewMode
from preview_fixtures import PreviewCase, showIn, zoom
from slicer_fixtures import addVolume, geometryOfNode, voxels

SPACING = {"denoise-ct": (0.8, 0.8, 2.5), "contrast-ct": (0.8, 0.8, 2.5), "superres-mr": (1.0, 1.0, 4.0)}


@unittest.skipIf(importlib.util.find_spec("torch") is None, "PyTorch is not installed")
class PreviewOfModelsTest(PreviewCase):
    worker = None

    def phantom(self, task, shape):
        """A body with some contrast and noise, in the units of the task's source."""
        rng = np.random.default_rng(5)
        if task == "stain":
            slide = 200 - 90 * rng.random((*shape, 1)) * rng.random((*shape, 3))
            return addVolume(slide.astype(np.uint8), Geometry(spacing_mm=(0.5e-3, 0.5e-3, 1.0)), hounsfield=False)
        k, j, i = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
        body = j**2 + i**2 + 0.2 * k**2 < 0.7
        isCT = task.endswith("-ct") and not task.startswith("mr-")
        values = np.where(body, 40.0 if isCT else 300.0, -1000.0 if isCT else 0.0)
        values += rng.normal(0, 25, shape) * (1.0 if isCT else body)
        array = np.rint(values if isCT else np.maximum(values, 0)).astype(np.int16)
        return addVolume(array, Geometry((5.0, -3.0, 8.0), SPACING.get(task, (1.0, 1.0, 1.0))), hounsfield=isCT)

    def expectAsApplied(self, bundle, names, **options):
        """A preview has the voxels of the whole result at the same place, up to the rounding of floats."""
        arguments = {"target_spacing_mm": "targetSpacingMm"}
        keywords = {arguments.get(name, name): value for name, value in options.items()}
        output = self.logic.apply(bundle.task, self.source, model=bundle, device="cpu", **keywords)
        whole, toIJK = voxels(output), np.linalg.inv(geometryOfNode(output).ijk_to_ras)
        for name in names:
            node = self.node(name)
            self.assertIsNotNone(node, self.statuses[-2:])
            part = voxels(node)
            start = np.rint((toIJK @ geometryOfNode(node).ijk_to_ras[:, 3])[2::-1]).astype(int)
            index = tuple(slice(first, first + size) for first, size in zip(start, part.shape, strict=False))
            self.assertEqual(part.dtype, whole.dtype)
            tolerance = 1 if whole.dtype.kind in "iu" else 1e-4 * np.ptp(whole)
            np.testing.assert_allclose(part.astype(float), whole[index].astype(float), rtol=0, atol=tolerance)

    def test_shippedModels(self):
        for bundle in find_bundles():
            if bundle.path.parent.name != "Models":
                continue
            with self.subTest(bundle.name):
                shape = (1, 96, 110) if bundle.task == "stain" else (10, 60, 72)
                self.source = self.phantom(bundle.task, shape)
                names = ("Red",) if bundle.task == "stain" else ("Red", "Green")
                showIn(self.source, names=names)
                zoom("Red", 1.5, (4.0, 3.0) if bundle.task != "stain" else (0.0, 0.0))
                self.preview(bundle)
                self.expectAsApplied(bundle, names)
                self.controller.setMode(PreviewMode.Off)
                slicer.mrmlScene.RemoveNode(self.source)

    def test_strength(self):
        bundle = next(bundle for bundle in find_bundles("denoise-ct"))
        self.source = self.phantom("denoise-ct", (5, 60, 72))
        showIn(self.source, names=("Red",))
        self.preview(bundle, strength=0.6)
        self.expectAsApplied(bundle, ("Red",), strength=0.6)

    def test_targetSpacing(self):
        bundle = next(bundle for bundle in find_bundles("superres-mr") if bundle.name == "superres-mr-1x1x4")
        self.source = self.phantom("superres-mr", (8, 40, 44))
        showIn(self.source, names=("Red", "Yellow"))
        self.preview(bundle, target_spacing_mm=(1.0, 1.0, 1.3))
        self.expectAsApplied(bundle, ("Red", "Yellow"), target_spacing_mm=(1.0, 1.0, 1.3))


if __name__ == "__main__":
    unittest.main()
