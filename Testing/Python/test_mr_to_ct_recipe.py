"""MR to CT: learns what no intensity curve can, on canonical axes, inside the body."""

import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import medgan
import numpy as np
import torch
from head_phantoms import head, paired_dataset, stored
from medgan import metrics, recipes
from medgan.baselines_ct import IntensityRegression
from medgan.body_mask import body_mask
from medgan.errors import InputError
from medgan.evaluation import evaluate_generator
from medgan.network import TorchNetwork
from medgan.sampling import PatchSampler
from medgan.synthesizer import Synthesizer, generate

TINY = {
    "network": "residual-unet", "dimensions": 3, "context_slices": 0, "planes": "axial", "normalisation": "none",
    "base_width": 8, "depth": 2, "patch_size": 32, "batch_size": 2, "working_spacing": 0.0, "epochs": 1,
    "steps_per_epoch": 3, "discriminator_width": 4,
}  # fmt: skip


def tiny(preset="recommended", **overrides):
    """A recipe that trains in seconds."""
    return recipes.get("mr-to-ct", preset, **{**TINY, **overrides})


def random_generator(recipe):
    """Weights that leave no output constant."""
    torch.manual_seed(0)
    generator = recipe.build_generator().eval()
    for parameter in generator.parameters():
        if parameter.ndim > 1 and not parameter.detach().any():
            torch.nn.init.normal_(parameter, 0, 0.05)
    return generator


def applied(recipe, generator, volume):
    spec = recipe.measured_spec(generator)
    return generate(generator, spec, recipe.source_scale(), recipe.target(), volume, "cpu")


class Training(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.dataset = paired_dataset(self.folder / "dataset")

    def test_one_head_is_learnt_better_than_by_any_intensity_curve(self):
        recipe = tiny(
            dimensions=2, context_slices=1, depth=3, base_width=12, batch_size=4, epochs=2, steps_per_epoch=100,
            learning_rate_generator=2e-3, beta1=0.9, contrast_augmentation=False,
            rotation_degrees=0.0, averaging=0.9,
        )  # fmt: skip
        bundle = medgan.train(recipe, self.dataset, self.folder / "run", device="cpu")
        history = json.loads((self.folder / "run" / "history.json").read_text(encoding="utf-8"))
        self.assertLess(history[-1]["l1"], 0.5 * history[0]["l1"])
        mr, ct = self.dataset.volumes(self.dataset.split("train")[0])
        mask = self.dataset.mask(self.dataset.split("train")[0])
        regression = IntensityRegression([(mr, ct, mask)])
        result = Synthesizer(bundle, "cpu")(mr).volume
        self.assertEqual((result.units, result.modality), ("HU", "CT"))
        self.assertLess(
            metrics.mae(ct.array, result.array, mask), 0.85 * metrics.mae(ct.array, regression(mr).array, mask)
        )
        test = self.dataset.split("test")
        row = evaluate_generator(
            bundle.build_generator(),
            bundle.manifest.network,
            recipe.source_scale(),
            recipe.target(),
            self.dataset,
            test,
        )[0]
        self.assertLess(row["output_mae_hu_body"], row["water_mae_hu_body"])

    def test_published_losses_in_miniature(self):
        """All terms of the published game but VGG, with a bundle's features instead."""
        first = medgan.train(tiny(dimensions=2), self.dataset, self.folder / "first", device="cpu")
        self.assertEqual(first.manifest.network.dimensions, 2)
        recipe = tiny("published", perceptual="none", base_width=4)
        medgan.train(recipe, self.dataset, self.folder / "run", device="cpu")
        row = json.loads((self.folder / "run" / "history.json").read_text(encoding="utf-8"))[0]
        for name in ("l1", "generator_adversarial", "discriminator", "gradient_penalty"):
            self.assertTrue(np.isfinite(row[name]), name)
            self.assertNotEqual(row[name], 0.0, name)

    def test_adversarial_and_feature_matching_in_three_dimensions(self):
        recipe = tiny(weight_adversarial=0.1, adversarial_start=0, weight_feature_matching=1.0)
        medgan.train(recipe, self.dataset, self.folder / "run", device="cpu")
        row = json.loads((self.folder / "run" / "history.json").read_text(encoding="utf-8"))[0]
        self.assertGreater(row["feature_matching"], 0.0)
        self.assertGreater(row["discriminator"], 0.0)

    def test_features_of_another_ct_model_are_compared(self):
        denoiser = self.folder / "denoiser"
        from training_fixtures import tiny_bundle

        tiny_bundle(denoiser)
        recipe = tiny(dimensions=2, perceptual="features", perceptual_network=str(denoiser))
        objective = recipe.objective()
        target = torch.rand(1, 1, 32, 32)
        self.assertAlmostEqual(float(objective.perceptual(target, target)), 0.0, places=5)
        self.assertGreater(float(objective.perceptual(target.flip(-1), target)), 1e-3)
        medgan.train(recipe, self.dataset, self.folder / "run", device="cpu")
        row = json.loads((self.folder / "run" / "history.json").read_text(encoding="utf-8"))[0]
        self.assertGreater(row["perceptual"], 0.0)

    def test_patches_hold_air_outside_the_body(self):
        sampler = PatchSampler(self.dataset, tiny(rotation_degrees=0.0, contrast_augmentation=False))
        batch = sampler.batch(0)
        outside = batch.mask < 0.5
        self.assertTrue(outside.any() and (~outside).any())
        self.assertEqual(float(batch.target[outside].max()), -1.0)  # the lower end of the window
        self.assertEqual(len(batch.source[outside].unique()), 1)

    def test_sagittal_patches_are_mirrored_left_to_right_only(self):
        """Flipping a sagittal patch must not swap front and back: the order of its planes is turned instead."""
        recipe = tiny(
            dimensions=2, planes="sagittal", context_slices=1, contrast_augmentation=False, rotation_degrees=0.0
        )
        seen = PatchSampler(self.dataset, recipe)
        plain = PatchSampler(self.dataset, recipe.from_preset("recommended", **{
            **TINY, "dimensions": 2, "planes": "sagittal", "context_slices": 1, "contrast_augmentation": False,
            "rotation_degrees": 0.0, "flips": False,
        }))  # fmt: skip
        turned = 0
        for step in range(8):
            for one, other in zip(seen.batch(step).source, plain.batch(step).source, strict=True):
                backwards = torch.equal(one, other.flip(0)) and not torch.equal(one, other)
                self.assertTrue(backwards or torch.equal(one, other))
                turned += backwards
        self.assertGreater(turned, 0)


class Geometry(unittest.TestCase):
    def test_three_planes_are_averaged(self):
        block = np.random.default_rng(0).normal(size=(1, 16, 24, 32)).astype(np.float32)
        results = {}
        for planes in ("axial", "coronal", "sagittal", "all"):
            recipe = tiny(dimensions=2, planes=planes, context_slices=1)
            generator = random_generator(recipe)
            results[planes] = TorchNetwork(generator, recipe.network_spec(), torch.device("cpu")).predict(block)
        mean = (results["axial"] + results["coronal"] + results["sagittal"]) / 3
        np.testing.assert_allclose(results["all"], mean, atol=1e-5)
        self.assertGreater(np.abs(results["axial"] - results["sagittal"]).max(), 1e-2)

    def test_outside_the_body_there_is_air(self):
        mr, _ = head()
        recipe = tiny()
        result = applied(recipe, random_generator(recipe), mr)
        inside = body_mask(mr)
        self.assertTrue((result.array[~inside] == -1024).all())
        self.assertFalse((result.array[inside] == -1024).all())
        everywhere = tiny(mask=False)
        result = applied(everywhere, random_generator(everywhere), mr)
        self.assertFalse((result.array[~inside] == -1024).all())

    def test_acquisition_order_does_not_matter(self):
        """A sagittal acquisition gives the same CT, on its own grid, as the axial one; resampled or not."""
        mr, _ = head()
        sagittal = stored(mr, (2, 0, 1), flips=(0, 2))
        self.assertNotEqual(sagittal.array.shape, mr.array.shape)
        for spacing_mm in (0.0, 6.0):
            recipe = tiny(dimensions=2, context_slices=1, working_spacing=spacing_mm)
            generator = random_generator(recipe)
            axial, turned = applied(recipe, generator, mr), applied(recipe, generator, sagittal)
            expected = stored(axial, (2, 0, 1), flips=(0, 2))
            self.assertTrue(turned.geometry.is_close(sagittal.geometry))
            np.testing.assert_allclose(turned.array, expected.array, atol=0.1)

    def test_hu_stay_within_the_window(self):
        mr, _ = head()
        recipe = tiny(ct_high=1500.0, mask=False)
        generator = random_generator(recipe)
        with torch.no_grad():
            generator.head.weight.mul_(100.0)
        result = applied(recipe, generator, mr).array
        self.assertEqual((result.min(), result.max()), (-1024.0, 1500.0))


class Parameters(unittest.TestCase):
    def test_published_settings(self):
        recipe = recipes.get("mr-to-ct", "published")
        self.assertEqual((recipe.weight_l1, recipe.weight_perceptual, recipe.weight_gradient_penalty), (9.0, 9.0, 9.0))
        self.assertEqual((recipe.generator_steps, recipe.adversarial_loss, recipe.conditional), (3, "bce", False))
        self.assertEqual((recipe.learning_rate_generator, recipe.learning_rate_discriminator), (2e-5, 3.9e-5))

        def count(module):
            return sum(parameter.numel() for parameter in module.parameters())

        self.assertEqual(count(recipe.build_generator()), 25_046_657)
        self.assertEqual(count(recipe.build_discriminator()), 2_764_481)

    def test_absent_vgg_weights_are_one_sentence(self):
        with TemporaryDirectory() as folder:
            recipe = recipes.get("mr-to-ct", "published", perceptual_network=str(Path(folder) / "vgg.pth"))
            with self.assertRaises(InputError) as caught:
                recipe.objective()
        self.assertIn("set perceptual to none", str(caught.exception))
        self.assertEqual(str(caught.exception).count(". "), 0)

    def test_contradictions_are_refused(self):
        for wrong in (
            {"dimensions": 3},
            {"dimensions": 3, "network": "residual-unet", "planes": "axial"},
            {"dimensions": 3, "network": "residual-unet", "context_slices": 0},
            {"dimensions": 2, "planes": "all", "mr_normalisation": "slice-range"},
            {"perceptual": "features"},
        ):
            with self.subTest(wrong), self.assertRaises(InputError):
                recipes.get("mr-to-ct", **wrong)


if __name__ == "__main__":
    unittest.main()
