"""Training: it learns, it resumes exactly, it ends in a bundle, and bad datasets are named."""

import json
import tempfile
import unittest
from pathlib import Path

import medgan
import numpy as np
import SimpleITK as sitk
import torch
from medgan.dataset import Dataset
from medgan.errors import Cancelled, InputError
from medgan.sampling import PatchSampler
from training_fixtures import tiny_dataset, tiny_recipe


class TrainerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.dataset = tiny_dataset(cls.folder / "dataset")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def weights(self, name):
        return torch.load(self.folder / name / "checkpoint.pt", weights_only=True)

    def test_learns_and_ends_in_a_bundle(self):
        recipe = tiny_recipe(
            epochs=4, steps_per_epoch=25, averaging=0.9, learning_rate_generator=2e-3, dose_augmentation=0.0
        )
        fractions = []
        bundle = medgan.train(
            recipe,
            self.dataset.folder,
            self.folder / "learn",
            progress=lambda fraction, text: fractions.append(fraction),
        )
        history = json.loads((self.folder / "learn" / "history.json").read_text())
        self.assertEqual([row["epoch"] for row in history], [1, 2, 3, 4])
        last = history[-1]
        self.assertGreater(last["validation_output_psnr_db"], last["validation_input_psnr_db"] + 3.0)
        self.assertIn("discriminator", last)
        self.assertNotIn("discriminator", history[0])  # adversarial_start = 1
        bundle.verify()
        self.assertEqual(bundle.manifest.results[0]["case"], "test")
        rows = medgan.evaluate(bundle, self.dataset)
        self.assertAlmostEqual(rows[0]["output_psnr_db"], bundle.manifest.results[0]["output_psnr_db"], delta=0.1)
        self.assertEqual((fractions[-1], fractions), (1.0, sorted(fractions)))

    def test_stop_and_resume_equals_a_straight_run(self):
        # Decay depends on the planned length, which is the same in both runs.
        recipe = tiny_recipe(epochs=3, averaging=0.5)
        medgan.train(recipe, self.dataset, self.folder / "straight")

        def stop_in_second_epoch(fraction, message):
            if fraction > 0.5:
                raise Cancelled

        with self.assertRaises(Cancelled):
            medgan.train(recipe, self.dataset, self.folder / "stopped", progress=stop_in_second_epoch)
        self.assertEqual(self.weights("stopped")["epoch"], 1)
        medgan.train(recipe, self.dataset, self.folder / "stopped")
        straight, stopped = self.weights("straight"), self.weights("stopped")
        for part in ("generator", "discriminator", "average"):
            for key, value in straight[part].items():
                torch.testing.assert_close(stopped[part][key], value, rtol=0, atol=0)
        drop = ("seconds",)
        for left, right in zip(straight["history"], stopped["history"], strict=True):
            self.assertEqual(
                {k: v for k, v in left.items() if k not in drop}, {k: v for k, v in right.items() if k not in drop}
            )

    def test_another_recipe_does_not_continue_a_run(self):
        recipe = tiny_recipe(epochs=1)
        medgan.train(recipe, self.dataset, self.folder / "first")
        with self.assertRaisesRegex(InputError, "made with another base_width"):
            medgan.train(tiny_recipe(epochs=1, base_width=12), self.dataset, self.folder / "first")
        medgan.train(tiny_recipe(epochs=1, base_width=12), self.dataset, self.folder / "first", resume=False)

    def test_damaged_checkpoint(self):
        (self.folder / "damaged").mkdir()
        (self.folder / "damaged" / "checkpoint.pt").write_bytes(b"not a checkpoint")
        with self.assertRaisesRegex(InputError, r"checkpoint\.pt cannot be read"):
            medgan.train(tiny_recipe(), self.dataset, self.folder / "damaged")

    def test_published_preset_takes_a_step(self):
        recipe = medgan.recipes.get(
            "denoise-ct", preset="published", base_width=8, patch_size=64, epochs=1, steps_per_epoch=2
        )
        bundle = medgan.train(recipe, self.dataset, self.folder / "published")
        self.assertEqual(bundle.manifest.intensity, {"kind": "slice-statistics", "variance": True})
        bundle.verify()


class BadDatasets(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name) / "dataset"
        tiny_dataset(self.folder)
        self.file = self.folder / "dataset.json"

    def edit(self, change):
        content = json.loads(self.file.read_text())
        change(content)
        self.file.write_text(json.dumps(content))

    def test_sentences(self):
        cases = (
            (lambda c: c.update(schema=9), "newer MedGAN"),
            (lambda c: c["cases"][0].update(split="holdout"), "split 'holdout'"),
            (lambda c: c["cases"][1].update(target=c["cases"][0]["target"]), "validation"),
            (lambda c: c["cases"][0].update(source="images/gone.nrrd"), r"names images/gone\.nrrd"),
            (lambda c: c.pop("cases"), "damaged"),
        )
        original = self.file.read_text()
        for change, sentence in cases:
            self.edit(change)
            with self.assertRaisesRegex(InputError, sentence):
                Dataset.load(self.folder)
            self.file.write_text(original)
        self.file.unlink()
        with self.assertRaisesRegex(InputError, r"holds no dataset\.json"):
            Dataset.load(self.folder)

    def test_patches_larger_than_the_image(self):
        with self.assertRaisesRegex(InputError, "set patch_size to 64 or less"):
            medgan.train(tiny_recipe(patch_size=96), self.folder, self.folder.parent / "run")

    def test_patches_that_do_not_fit_the_network(self):
        with self.assertRaisesRegex(InputError, "a multiple of 4, such as 52"):
            medgan.train(tiny_recipe(patch_size=50), self.folder, self.folder.parent / "run")

    def test_each_slice_is_scaled_by_its_own_statistics(self):
        """As in application: a neighbor in 2.5-D is not scaled by the statistics of the middle slice."""
        recipe = tiny_recipe(
            context_slices=1, intensity="slice-deviation", patch_size=64, flips=False, dose_augmentation=0.0
        )
        dataset = Dataset.load(self.folder)
        case = dataset.split("train")[0]
        image = sitk.ReadImage(str(self.folder / case.source))
        factors = np.arange(1, 7, dtype=np.int16)[:, np.newaxis, np.newaxis]
        brighter = np.maximum(sitk.GetArrayFromImage(image) + 1000, 0) * factors - 1000  # air stays air
        sitk.WriteImage(sitk.GetImageFromArray(brighter), str(self.folder / case.source))
        sitk.WriteImage(sitk.GetImageFromArray(brighter), str(self.folder / case.target))
        scaled = recipe.source_scale().fit(brighter).forward(brighter)
        for patch in PatchSampler(dataset, recipe).batch(0).source.numpy():
            middle = min(range(len(scaled)), key=lambda k: np.abs(scaled[k] - patch[1]).max())
            for offset in (-1, 0, 1):
                expected = scaled[np.clip(middle + offset, 0, len(scaled) - 1)]
                np.testing.assert_allclose(patch[1 + offset], expected, atol=1e-4)

    def test_no_training_case(self):
        self.edit(lambda content: content["cases"].pop(0))
        with self.assertRaisesRegex(InputError, "no case in its train split"):
            medgan.train(tiny_recipe(), self.folder, self.folder.parent / "run")


if __name__ == "__main__":
    unittest.main()
