"""Super-resolution of MR: networks of every kind and factor, training that beats interpolation, exact result grids."""

import dataclasses
import json
import tempfile
import unittest
from pathlib import Path

import medgan
import numpy as np
import torch
from medgan import metrics, recipes
from medgan.bundle_writer import write_bundle
from medgan.dataset import Case, Dataset
from medgan.degrade_mr import degrade, divisible
from medgan.errors import InputError
from medgan.image_io import write_volume
from medgan.options import ApplyOptions
from medgan.sampling import PatchSampler
from medgan.synthesizer import Synthesizer, generate
from medgan.volume import Geometry, Volume
from medgan.working_grid import resampled

TINY = {
    "feature_size": 8, "residual_blocks": 1, "upsampling_width": 16, "discriminator_width": 4, "patch_size": "8x8x8",
    "batch_size": 2, "epochs": 1, "steps_per_epoch": 2, "adversarial_start": 0,
}  # fmt: skip


def tiny_recipe(preset="recommended", **overrides):
    """A recipe that trains in seconds."""
    return recipes.get("superres-mr", preset=preset, **{**TINY, **overrides})


def head(shape=(48, 52, 44), seed=0):
    """Folded bright and dark shells within an ellipsoid, on an oblique grid of unequal voxels."""
    generator = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    radius = np.sqrt((k / 0.85) ** 2 + (j / 0.9) ** 2 + (i / 0.8) ** 2)
    a, b, c = generator.uniform(4, 6, 3)
    folds = np.tanh(6 * (np.sin(a * k + 2 * np.sin(b * j)) + np.sin(c * i + 2 * np.sin(a * k))))
    array = np.where(radius < 1, 500 + 250 * folds, 20.0)
    directions = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    geometry = Geometry((5.0, -30.0, 12.0), (0.9, 1.0, 1.2), directions)
    return Volume(np.rint(array).astype(np.int16), geometry, modality="MR")


def write_dataset(folder, factor, shape=(48, 52, 44), **degradation):
    """One head to train on, another to test on."""
    (folder / "images").mkdir(parents=True)
    cases = []
    for seed, split in enumerate(("train", "test")):
        fine = divisible(head(shape, seed), factor)
        write_volume(fine, folder / "images" / f"{split}.nrrd")
        write_volume(degrade(fine, factor, **degradation), folder / "images" / f"{split}-coarse.nrrd")
        cases.append(Case(split, split, f"images/{split}-coarse.nrrd", f"images/{split}.nrrd", split))
    Dataset(folder, "superres-mr", "MR", "", "folded shells", "CC0-1.0", tuple(cases)).save()
    return Dataset.load(folder)


class Networks(unittest.TestCase):
    def test_published_sizes(self):
        """Numbers of systems.md, section 3."""
        table = (("subpixel", 431_097), ("nn", 750_689), ("subpixel-nn", 1_690_593))
        for upsampling, expected in table:
            generator = recipes.get("superres-mr", preset="published", upsampling=upsampling).build_generator()
            self.assertEqual(sum(parameter.numel() for parameter in generator.parameters()), expected)
        recipe = recipes.get("superres-mr", preset="published")
        with torch.device("meta"):
            discriminator = dense(recipe)
        self.assertEqual(sum(parameter.numel() for parameter in discriminator.parameters()), 104_180_321)
        self.assertEqual((recipe.learning_rate_generator, recipe.beta1, recipe.epochs), (1e-4, 0.9, 10))
        scaled = recipe.source_scale().fit(np.array([0.0, 50, 200])).forward(np.array([0.0, 50, 200]))
        np.testing.assert_allclose(scaled, [-1.0, -0.5, 1.0])

    def test_every_upsampling_and_factor(self):
        for upsampling in ("subpixel", "nn", "subpixel-nn"):
            for factor in ("2x2x2", "4x4x4", "1x1x4", "1x1x2", "2x4x1"):
                recipe = tiny_recipe(upsampling=upsampling, factor=factor)
                generator = recipe.build_generator().eval()
                coarse = torch.randn(1, 1, 5, 6, 7)
                with torch.inference_mode():
                    fine = generator(coarse)
                shape = tuple(size * step for size, step in zip((5, 6, 7), recipe.steps, strict=True))
                self.assertEqual(tuple(fine.shape[2:]), shape)
                enlarged = torch.nn.functional.interpolate(coarse, shape, mode="trilinear")
                torch.testing.assert_close(fine, enlarged)  # an untrained network interpolates

    def test_every_discriminator_judges_fine_patches(self):
        for kind in ("patch", "pooled", "dense"):
            for conditional in (False, True):
                recipe = tiny_recipe(discriminator=kind, conditional=conditional, patch_size="12x12x6", factor="1x1x4")
                logits = recipe.build_discriminator()(torch.randn(2, 1, 24, 12, 12), torch.randn(2, 1, 6, 12, 12))
                self.assertEqual(logits.shape[:2], (2, 1))

    def test_every_parameter_is_described(self):
        for field in dataclasses.fields(recipes.recipe_class("superres-mr")):
            if field.name != "preset":
                self.assertTrue(field.metadata["label"] and field.metadata["help"], field.name)

    def test_bad_parameters(self):
        cases = (
            ({"factor": "3x3x3"}, "must be 1, 2 or 4"),
            ({"factor": "1x1x1"}, "not 1 along all"),
            ({"factor": "2x2"}, "three whole numbers"),
            ({"patch_size": "24"}, "24x24x24"),
            ({"upsampling_width": 12}, "multiple of 8"),
            ({"noisy_labels": True, "adversarial_loss": "bce"}, "lsgan"),
            ({"gradient_penalty": "r1", "discriminator_normalisation": "batch"}, "choose instance"),
        )
        for overrides, sentence in cases:
            with self.assertRaisesRegex(InputError, sentence):
                recipes.get("superres-mr", **overrides)


def dense(recipe):
    """The dense discriminator without drawing its hundred million weights."""
    from medgan.discriminators import SRGAN3DDiscriminator

    fine = tuple(size * step for size, step in zip(recipe.patch_shape(), recipe.steps, strict=True))
    return SRGAN3DDiscriminator(1, 0, fine, recipe.discriminator_width, 32 * recipe.discriminator_width)


class Patches(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name) / "dataset"

    def test_patches_are_degraded_as_the_volume_was(self):
        """Without variety the patches made while training are crops of the sources of the dataset."""
        for factor, steps in (("2x2x2", (2, 2, 2)), ("1x1x4", (4, 1, 1))):
            dataset = write_dataset(self.folder / factor, steps)
            settings = {"degradation_variety": 0.0, "noise": 0.0, "phase_shifts": False, "flips": False}
            made, given = (
                PatchSampler(dataset, tiny_recipe(factor=factor, degradation=kind, **settings)).batch(3)
                for kind in ("kspace", "given")
            )
            torch.testing.assert_close(made.target, given.target)
            error = (made.source - given.source).square().mean().sqrt()
            self.assertLess(float(error), 0.02 * float(given.source.std()))

    def test_patches_of_coarse_and_fine_fit_each_other(self):
        """Also with shifted grids: moving the fine patch by a voxel fits worse."""
        dataset = write_dataset(self.folder, (2, 2, 2))
        batch = PatchSampler(dataset, tiny_recipe(patch_size="12x12x12", batch_size=8)).batch(0)
        enlarged = torch.nn.functional.interpolate(batch.source, scale_factor=2, mode="trilinear")
        error = (enlarged - batch.target).square().mean()
        for axis in (2, 3, 4):
            for step in (-1, 1):
                self.assertGreater(float((enlarged - batch.target.roll(step, axis)).square().mean()), float(error))

    def test_every_draw_is_another(self):
        dataset = write_dataset(self.folder, (2, 2, 2))
        sampler = PatchSampler(dataset, tiny_recipe())
        first, second = sampler.batch(0), sampler.batch(1)
        self.assertGreater(float((first.source - second.source).abs().max()), 0.05)
        torch.testing.assert_close(sampler.batch(0).source, first.source)


class Training(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)

    def test_beats_the_spline_on_what_it_has_learnt(self):
        blur = {"kind": "blur", "blur_sigma": 1.5}  # so much blur that a minute's learning shows
        dataset = write_dataset(self.folder / "dataset", (2, 2, 2), **blur)
        recipe = tiny_recipe(
            epochs=3, steps_per_epoch=40, batch_size=4, patch_size="12x12x12", feature_size=16, averaging=0.9,
            weight_adversarial=0.0, learning_rate_generator=4e-3, degradation="blur", blur_sigma=1.5,
            degradation_variety=0.0, noise=0.0, phase_shifts=False, precision="32",
        )  # fmt: skip
        bundle = medgan.train(recipe, dataset, self.folder / "run")
        history = json.loads((self.folder / "run" / "history.json").read_text())
        self.assertLess(history[-1]["l1"], 0.85 * history[0]["l1"])
        coarse, truth = dataset.volumes(dataset.split("train")[0])
        spline = resampled(coarse, truth)
        output = Synthesizer(bundle, "cpu")(coarse).volume
        self.assertTrue(output.geometry.is_close(truth.geometry, 1e-6))
        value_range = (0.0, 800.0)
        gain = metrics.psnr_db(truth.array, output.array, value_range) - metrics.psnr_db(
            truth.array, spline.array, value_range
        )
        self.assertGreater(gain, 1.0)
        bundle.verify()

    def test_published_preset_takes_a_step(self):
        dataset = write_dataset(self.folder / "dataset", (4, 4, 4))
        recipe = tiny_recipe("published", discriminator="dense", factor="4x4x4", patch_size="10x10x10")
        bundle = medgan.train(recipe, dataset, self.folder / "run")
        bundle.verify()
        self.assertEqual(bundle.manifest.network.scale, (4, 4, 4))

    def test_all_terms_with_a_discriminator(self):
        dataset = write_dataset(self.folder / "dataset", (4, 1, 1), (48, 30, 30))
        recipe = tiny_recipe(
            factor="1x1x4", weight_mse=1.0, weight_gradient=1.0, weight_feature_matching=1.0, weight_adversarial=0.1,
            gradient_penalty="r1", patch_size="16x16x4", mask_loss=True,
        )  # fmt: skip
        bundle = medgan.train(recipe, dataset, self.folder / "run")
        self.assertEqual(bundle.manifest.network.scale, (4, 1, 1))


class Grids(unittest.TestCase):
    """An untrained generator interpolates, so its results are known: they have to lie where they should."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        folder = Path(cls.temporary.name)
        cls.bundles = {}
        for factor, steps in (("2x2x2", (2, 2, 2)), ("1x1x4", (4, 1, 1))):
            dataset = write_dataset(folder / factor / "dataset", steps, (32, 32, 32))
            recipe = tiny_recipe(factor=factor)
            generator = recipe.build_generator()
            cls.bundles[factor] = write_bundle(
                folder / factor / "bundle", factor, recipe, recipe.measured_spec(generator), generator, dataset, []
            )

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def ellipsoid(self):
        """Smooth, off centre, on an oblique grid of unequal voxels and sizes that nothing divides."""
        shape = (19, 23, 21)
        k, j, i = np.indices(shape)
        distance = np.sqrt(((k - 9.3) / 5) ** 2 + ((j - 11.6) / 6) ** 2 + ((i - 9.1) / 4) ** 2)
        array = (1000 / (1 + np.exp(6 * (distance - 1)))).astype(np.float32)
        return head().with_array(array, geometry=dataclasses.replace(head().geometry, spacing_mm=(1.5, 1.7, 2.9)))

    def centroid(self, volume):
        weights = np.clip(volume.array - 1.0, 0, None)
        index = np.array([np.average(axis, weights=weights) for axis in np.indices(volume.array.shape)])
        return volume.geometry.ijk_to_ras @ [*index[::-1], 1.0]

    def test_voxels_are_cut_into_equal_parts(self):
        volume = self.ellipsoid()
        for factor, bundle in self.bundles.items():
            steps = recipes.get("superres-mr", factor=factor).steps
            result = Synthesizer(bundle, "cpu")(volume).volume
            expected = tuple(size * step for size, step in zip(volume.grid_shape, steps, strict=True))
            self.assertEqual(result.grid_shape, expected)
            self.assertTrue(result.geometry.is_close(volume.geometry.shifted((0, 0, 0), steps[::-1]), 1e-9))
            np.testing.assert_allclose(self.centroid(result), self.centroid(volume), atol=0.05)

    def test_any_spacing_in_mm(self):
        volume = self.ellipsoid()
        for factor, spacing_mm in (("2x2x2", (0.7, 0.9, 1.3)), ("2x2x2", (1.0, 1.0, 1.0)), ("1x1x4", (1.5, 1.7, 0.6))):
            bundle = self.bundles[factor]
            result = Synthesizer(bundle, "cpu")(volume, target_spacing_mm=spacing_mm).volume
            np.testing.assert_allclose(result.geometry.spacing_mm, spacing_mm, rtol=1e-12)
            np.testing.assert_allclose(result.geometry.directions, volume.geometry.directions)
            spec = bundle.outputs(volume, ApplyOptions(target_spacing_mm=spacing_mm))["image"]
            self.assertEqual((spec.shape, spec.dtype), (result.array.shape, result.array.dtype.name))
            field_mm = volume.geometry.spacing_mm * volume.grid_shape[::-1]
            made_mm = np.array(spacing_mm) * result.grid_shape[::-1]
            coarse_mm = np.array(spacing_mm) * bundle.manifest.network.scale[::-1]
            self.assertTrue((np.abs(field_mm - made_mm) <= coarse_mm / 2 + 1e-9).all())  # no voxel more or less
            middles = [
                v.geometry.ijk_to_ras @ [*((np.array(v.grid_shape[::-1]) - 1) / 2), 1.0] for v in (volume, result)
            ]
            np.testing.assert_allclose(middles[0], middles[1], atol=1e-9)
            tolerance_mm = 0.1 * volume.geometry.spacing_mm.min()
            np.testing.assert_allclose(self.centroid(result), self.centroid(volume), atol=tolerance_mm)
            there = resampled(volume, result, linear=True)
            error = result.array - there.array
            self.assertLess(np.sqrt((error**2).mean()), 0.06 * np.ptp(volume.array))

    def test_network_and_bundle_agree(self):
        volume = self.ellipsoid()
        bundle = self.bundles["2x2x2"]
        manifest = bundle.manifest
        direct = generate(
            bundle.build_generator(), manifest.network, manifest.source_scale(), manifest.result(), volume, "cpu"
        )
        np.testing.assert_allclose(Synthesizer(bundle, "cpu")(volume).volume.array, direct.array, atol=1e-3)

    def test_bad_spacings(self):
        synthesizer = Synthesizer(self.bundles["2x2x2"], "cpu")
        for spacing_mm, sentence in (((1.0, 0.0, 1.0), "positive"), ((1e-4, 1e-4, 1e-4), "coarser spacing")):
            with self.assertRaisesRegex(InputError, sentence):
                synthesizer(self.ellipsoid(), target_spacing_mm=spacing_mm)


if __name__ == "__main__":
    unittest.main()
