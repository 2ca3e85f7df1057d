"""CT denoising (CNCL): its parameters, its predictors, and that it learns to denoise."""

import dataclasses
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from medgan import Synthesizer, metrics, recipes, train
from medgan.dataset import Dataset
from medgan.errors import InputError
from medgan.generators import predictors
from medgan.losses import balancing_weights
from medgan.recipes import denoise_ct
from medgan.sampling import PatchSampler
from training_fixtures import tiny_dataset, tiny_recipe

SMALL = {"base_width": 8, "depth": 1, "discriminator_width": 4}


def history(folder, key):
    import json

    return [row[key] for row in json.loads((folder / "history.json").read_text(encoding="utf-8"))]


class Parameters(unittest.TestCase):
    def test_the_published_preset_is_the_published_system(self):
        recipe = recipes.get("denoise-ct", preset="published")
        self.assertEqual((recipe.predictor_content, recipe.predictor_noise), ("unet", "unet"))
        self.assertEqual((recipe.schedule, recipe.averaging, recipe.patch_size), ("constant", 0.0, 512))
        for share in (recipe.dose_augmentation, recipe.kernel_augmentation, recipe.structure_augmentation):
            self.assertEqual(share, 0.0)
        self.assertFalse(recipe.balance_noise or recipe.flips or recipe.residual)

    def test_the_names_of_the_predictors_are_those_that_can_be_built(self):
        self.assertEqual(denoise_ct.PREDICTORS, predictors.NAMES)

    def test_values_out_of_range_are_refused_in_a_sentence(self):
        cases = (
            ({"lowest_dose": 0.0}, "lowest_dose must lie between 0.01 and 0.9"),
            ({"dose_augmentation": 1.5}, "dose_augmentation must lie between 0 and 1"),
            ({"balance_limit": 0.5}, "balance_limit must lie between 1 and 100"),
            ({"predictor_noise": "resnet"}, "predictor_noise must be one of unet, dncnn, srdensenet, redcnn"),
        )
        for overrides, sentence in cases:
            with self.assertRaisesRegex(InputError, sentence):
                recipes.get("denoise-ct", **overrides)

    def test_descriptions_of_the_first_version_are_understood(self):
        values = recipes.get("denoise-ct").to_dict()
        del values["schedule"], values["predictor_noise"], values["lowest_dose"]
        old = {**values, "learning_rate_decay": False, "dose_augmentation": True, "kernel_augmentation": False}
        recipe = recipes.recipe_class("denoise-ct").from_dict(old)
        self.assertEqual(
            (recipe.schedule, recipe.dose_augmentation, recipe.kernel_augmentation), ("constant", 1.0, 0.0)
        )


class Networks(unittest.TestCase):
    def test_two_predictors_make_a_generator_that_starts_from_its_input(self):
        image = torch.randn(1, 3, 24, 32)
        names = denoise_ct.PREDICTORS
        for content, noise in zip(names, (*names[1:], names[0]), strict=True):
            recipe = recipes.get(
                "denoise-ct", predictor_content=content, predictor_noise=noise, context_slices=1, **SMALL
            )
            generator = recipe.build_generator()
            for branch, name in ((generator.content, content), (generator.noise, noise)):
                self.assertIs(type(branch), type(predictors.build_predictor(name, 3, 1, 8, 1)))
            result = generator(image)
            torch.testing.assert_close(result, torch.cat([image[:, 1:2], torch.zeros(1, 1, 24, 32)], dim=1))

    def test_only_u_nets_need_padding(self):
        for content, noise, step in (("unet", "dncnn", 8), ("redcnn", "unet", 8), ("dncnn", "redcnn", 1)):
            recipe = recipes.get("denoise-ct", predictor_content=content, predictor_noise=noise, base_width=4)
            self.assertEqual(recipe.network_spec().multiple, (1, step, step))


class Training(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.dataset = tiny_dataset(self.folder / "dataset")

    def one_case(self) -> Dataset:
        """The train case alone, validated on itself."""
        (case,) = self.dataset.split("train")
        return dataclasses.replace(self.dataset, cases=(case, dataclasses.replace(case, id="same", split="validation")))

    def overfit(self, **overrides):
        """Loss of the first and the last epoch, and dB gained over the input by the bundle."""
        recipe = tiny_recipe(
            epochs=4, steps_per_epoch=30, averaging=0.9, learning_rate_generator=4e-3, weight_adversarial=0.0,
            dose_augmentation=0.0, **overrides,
        )  # fmt: skip
        dataset = self.one_case()
        bundle = train(recipe, dataset, self.folder / "run", device="cpu")
        noisy, clean = dataset.volumes(dataset.split("train")[0])
        result = Synthesizer(bundle, "cpu")(noisy).volume.array
        gain = metrics.psnr_db(clean.array, result) - metrics.psnr_db(clean.array, noisy.array)
        losses = history(self.folder / "run", "l1")
        return losses[0], losses[-1], gain

    def test_u_nets_learn_one_case(self):
        first, last, gain = self.overfit()
        self.assertLess(last, 0.7 * first)
        self.assertGreater(gain, 3.0)

    def test_mixed_predictors_with_context_learn_one_case(self):
        first, last, gain = self.overfit(predictor_content="unet", predictor_noise="dncnn", context_slices=1, depth=1)
        self.assertLess(last, first)
        self.assertGreater(gain, 3.0)

    def test_the_lowest_dose_bounds_the_noise_of_patches(self):
        def loudest(lowest_dose):
            recipe = tiny_recipe(dose_augmentation=1.0, lowest_dose=lowest_dose, batch_size=64)
            batch = PatchSampler(self.dataset, recipe).batch(0)
            return float((batch.source - batch.target).std(dim=(1, 2, 3)).max()) * 1000

        # the fixture's 60 HU stand for a quarter dose, so 5 % has up to sqrt(19 / 3) times that
        self.assertGreater(loudest(0.05), 1.5 * 60)
        self.assertLess(loudest(0.05), 1.1 * 60 * np.sqrt(19 / 3))
        self.assertLess(loudest(0.5), 1.1 * 60 * np.sqrt(1 / 3))

    def test_quiet_patches_weigh_more_up_to_the_limit(self):
        noise = torch.tensor([1.0, 10.0, 1000.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
        weights = balancing_weights(noise, 8.0)
        torch.testing.assert_close(weights, torch.tensor([8.0, 8.0, 337.0 / 1000.0]))


if __name__ == "__main__":
    unittest.main()
