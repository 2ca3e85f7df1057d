"""Recipes and networks: the published sizes, exactly, and parameters that are checked."""

import dataclasses
import unittest

import torch
from medgan import recipes
from medgan.errors import InputError
from medgan.parameters import from_text


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


class PublishedSizes(unittest.TestCase):
    """Numbers of systems.md, section 2."""

    def setUp(self):
        self.recipe = recipes.get("denoise-ct", preset="published")

    def test_generator(self):
        generator = self.recipe.build_generator()
        self.assertEqual(count(generator), 43_825_029)
        self.assertEqual(count(generator.content), 21_912_513)
        with torch.inference_mode():
            self.assertEqual(generator.eval()(torch.zeros(1, 1, 48, 64)).shape, (1, 2, 48, 64))

    def test_discriminator(self):
        discriminator = self.recipe.build_discriminator()
        self.assertEqual(count(discriminator), 2_764_736)
        logits = discriminator(torch.zeros(1, 2, 128, 96), torch.zeros(1, 1, 128, 96))
        self.assertEqual(logits.shape, (1, 1, 8, 6))

    def test_discriminator_sees_94_pixels(self):
        recipe = recipes.get("denoise-ct", preset="published", discriminator_width=4)
        discriminator = recipe.build_discriminator()
        for layer in list(discriminator.layers):  # instance norm sees everything; without it the patch remains
            if isinstance(layer, torch.nn.InstanceNorm2d):
                layer.forward = lambda features: features
        image = torch.zeros(1, 2, 320, 320, requires_grad=True)
        logits = discriminator(image, torch.zeros(1, 1, 320, 320))
        logits[0, 0, 10, 10].backward()
        rows = image.grad.abs().sum(dim=(0, 1, 3)).nonzero()
        self.assertEqual(int(rows.max() - rows.min()) + 1, 94)

    def test_published_settings(self):
        recipe = self.recipe
        self.assertEqual((recipe.weight_l1, recipe.weight_adversarial, recipe.batch_size), (100.0, 1.0, 2))
        self.assertEqual((recipe.learning_rate_generator, recipe.beta1, recipe.epochs), (2e-5, 0.5, 300))


class Recommended(unittest.TestCase):
    def test_an_untrained_generator_changes_nothing(self):
        generator = recipes.get("denoise-ct", base_width=8, context_slices=1).build_generator()
        image = torch.randn(2, 3, 32, 32)
        content, noise = generator(image).split(1, dim=1)
        torch.testing.assert_close(content, image[:, 1:2])
        self.assertEqual(float(noise.abs().max()), 0.0)

    def test_every_parameter_is_described(self):
        for field in dataclasses.fields(recipes.recipe_class("denoise-ct")):
            if field.name != "preset":
                self.assertTrue(field.metadata["label"] and field.metadata["help"], field.name)

    def test_description_gives_the_recipe_back(self):
        recipe = recipes.get("denoise-ct", base_width=12, depth=2)
        self.assertEqual(type(recipe).from_dict(recipe.to_dict()), recipe)


class BadParameters(unittest.TestCase):
    def test_sentences_name_what_is_allowed(self):
        cases = (
            ({"base_width": 2}, "between 4 and 256 channels, not 2"),
            ({"base_width": "24"}, "must be of type int"),
            ({"flips": 1}, "must be of type bool"),
            ({"normalisation": "layer"}, "one of none, batch, instance"),
            ({"width": 3}, "no parameter 'width'"),
        )
        for overrides, sentence in cases:
            with self.assertRaisesRegex(InputError, sentence):
                recipes.get("denoise-ct", **overrides)
        with self.assertRaisesRegex(InputError, "no preset 'best'"):
            recipes.get("denoise-ct", preset="best")
        with self.assertRaisesRegex(InputError, "no task 'denoise'"):
            recipes.get("denoise")

    def test_text_is_converted_to_the_fields_type(self):
        cls = recipes.recipe_class("denoise-ct")
        values = from_text(cls, {"base_width": "8", "flips": "false", "weight_l1": "1e2", "upsampling": "nearest"})
        self.assertEqual(values, {"base_width": 8, "flips": False, "weight_l1": 100.0, "upsampling": "nearest"})
        for texts in ({"base_width": "8.5"}, {"flips": "maybe"}, {"nothing": "1"}):
            with self.assertRaises(InputError):
                from_text(cls, texts)


if __name__ == "__main__":
    unittest.main()
