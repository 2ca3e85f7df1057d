"""Each task from image files to a result, as a user types it: build, train, evaluate, verify, apply."""

import csv
import json
import tempfile
import unittest
from pathlib import Path

import medgan
import numpy as np
import SimpleITK as sitk
from medgan.cli import main
from medgan.image_io import read_volume
from skimage import io as pictures

PATIENTS = ("anna", "bert", "cleo")
TILT = sitk.Euler3DTransform((0, 0, 0), 0.1, 0.0, 0.2).GetMatrix()  # no grid of a scanner is quite straight


def body(seed, shape=(16, 48, 56)):
    """Labels of a made-up patient: 0 air, 1 tissue, 2 bone, 3 vessel."""
    generator = np.random.default_rng(seed)
    k, j, i = np.indices(shape) - (np.array(shape) / 2)[:, None, None, None] + generator.uniform(-2, 2, 3)[
        :, None, None, None
    ]  # fmt: skip
    labels = np.where((j / 19) ** 2 + (i / 23) ** 2 < 1, 1, 0)
    labels[(j - 9) ** 2 + i**2 < 30] = 2
    labels[(j + 7) ** 2 + (i - 7 - k / 4) ** 2 < 22] = 3
    return labels


def painted(labels, values, noise, seed):
    """Values of the labels with noise, slightly blurred as images are."""
    image = np.array(values, np.float32)[labels]
    image = sitk.GetArrayFromImage(sitk.DiscreteGaussian(sitk.GetImageFromArray(image), 0.5))
    return image + np.random.default_rng(seed).normal(0, noise, image.shape).astype(np.float32)


def save(folder, name, array):
    """A NIfTI file on an oblique, anisotropic grid."""
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.rint(array).astype(np.int16))
    image.SetSpacing((1.1, 1.1, 2.0))
    image.SetOrigin((-30.0, 12.0, 55.0))
    image.SetDirection(TILT)
    sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))


HU = {"plain": (-1000, 40, 700, 45), "enhanced": (-1000, 55, 700, 320)}
MR = (5, 400, 60, 250)
TRAINING = ("epochs=3", "steps_per_epoch=15", "batch_size=2", "averaging=0.8", "precision=32")


class PipelineTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def images(self, name, values, noise):
        for number, patient in enumerate(PATIENTS):
            image = painted(body(number), values, noise, 10 * number + len(name))
            save(self.folder / name, patient, image)

    def run_command(self, *arguments):
        self.assertEqual(main([str(argument) for argument in arguments]), 0, arguments)

    def build(self, task, name, inputs):
        """A dataset of the phantoms, a third of the patients in each split."""
        shares = ("--fractions", 0.34, 0.33, 0.33)
        self.run_command(
            "dataset", "build", task, self.folder / name, *inputs, *shares, "--licence", "CC0-1.0", "--quiet"
        )
        self.run_command("dataset", "check", self.folder / name, "--quiet")
        return self.folder / name

    def all_steps(self, task, inputs, settings, source, modality, suffix=".nii.gz", pairs=None):
        """Everything, returns (source, result, evaluation rows, history); unpaired data are measured on ``pairs``."""
        dataset, run, out = self.build(task, "dataset", inputs), self.folder / "run", self.folder / f"result{suffix}"
        flags = [part for text in (*TRAINING, *settings) for part in ("--set", text)]
        self.run_command("train", task, dataset, run, *flags, "--device", "cpu", "--quiet")
        for name in ("plan.json", "history.json", "curves.png", "samples.png", "checkpoint.pt"):
            self.assertTrue((run / name).stat().st_size > 100, name)
        measured = dataset if pairs is None else self.build(task, "pairs", pairs)
        self.run_command("evaluate", run / "bundle", measured, "--out", self.folder / "report", "--quiet")
        self.assertIn("<html", (self.folder / "report" / "report.html").read_text(encoding="utf-8").lower())
        with (self.folder / "report" / "table.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.run_command("bundle", "verify", run / "bundle")
        flags = ("--modality", modality) if modality else ()
        self.run_command("apply", run / "bundle", source, out, *flags, "--quiet")
        before, after = (read_volume(path, modality=modality)[0] for path in (source, out))
        self.assertTrue(np.isfinite(after.array).all())
        return before, after, rows, json.loads((run / "history.json").read_text())

    def assert_same_grid(self, before, after):
        self.assertEqual(after.grid_shape, before.grid_shape)
        np.testing.assert_allclose(after.geometry.ijk_to_ras, before.geometry.ijk_to_ras, atol=1e-4)

    def assert_learnt(self, history, key="l1"):
        self.assertLess(history[-1][key], history[0][key])

    def test_denoise_ct(self):
        self.images("full", HU["plain"], 10)
        self.images("low", HU["plain"], 60)
        build = ("--sources", self.folder / "low", "--targets", self.folder / "full")
        settings = ("base_width=8", "depth=2", "patch_size=48", "learning_rate_generator=0.002", "adversarial_start=2")
        before, after, rows, history = self.all_steps(
            "denoise-ct", build, settings, self.folder / "low" / "anna.nii.gz", "CT"
        )
        self.assert_same_grid(before, after)
        self.assert_learnt(history)
        self.assertGreater(history[-1]["validation_output_psnr_db"], history[-1]["validation_input_psnr_db"])
        self.assertTrue(rows)

    def test_contrast_ct(self):
        self.images("plain", HU["plain"], 10)
        self.images("enhanced", HU["enhanced"], 10)
        build = ("--sources", self.folder / "plain", "--targets", self.folder / "enhanced")
        settings = (
            "base_width=8", "patch_size=32", "slab_depth=8", "learning_rate_generator=0.003", "adversarial_start=2",
        )  # fmt: skip
        before, after, _rows, history = self.all_steps(
            "contrast-ct", build, settings, self.folder / "plain" / "anna.nii.gz", "CT"
        )
        self.assert_same_grid(before, after)
        self.assertGreaterEqual(int((after.array - before.array).min()), 0)  # contrast only adds
        self.assert_learnt(history)

    def test_superres_mr(self):
        self.images("t1", MR, 4)
        build = ("--single", self.folder / "t1", "--degrade", "low-resolution", "--factor", "2x2x2")
        settings = (
            "factor=2x2x2", "feature_size=8", "residual_blocks=2", "patch_size=16x16x8", "adversarial_start=2",
        )  # fmt: skip
        before, after, _rows, history = self.all_steps(
            "superres-mr", build, settings, self.folder / "t1" / "anna.nii.gz", "MR"
        )
        self.assertEqual(after.grid_shape, tuple(2 * size for size in before.grid_shape))
        expected = before.geometry.shifted((0, 0, 0), (2, 2, 2))
        np.testing.assert_allclose(after.geometry.ijk_to_ras, expected.ijk_to_ras, atol=1e-4)
        self.assert_learnt(history)

    def test_mr_to_ct(self):
        self.images("mr", MR, 5)
        self.images("ct", HU["plain"], 10)
        build = ("--sources", self.folder / "mr", "--targets", self.folder / "ct")
        settings = (
            "base_width=8", "depth=2", "patch_size=16", "working_spacing=0", "weight_adversarial=0", "planes=axial",
            "learning_rate_generator=0.003",
        )  # fmt: skip
        before, after, _rows, history = self.all_steps(
            "mr-to-ct", build, settings, self.folder / "mr" / "anna.nii.gz", "MR"
        )
        self.assert_same_grid(before, after)
        self.assert_learnt(history)
        labels = body(0)
        self.assertGreater(after.array[labels == 2].mean(), after.array[labels == 1].mean())  # bone is brighter

    def test_mr_to_ct_unpaired(self):
        self.images("mr", MR, 5)
        for number, patient in enumerate(("dora", "emil", "fritz")):
            save(self.folder / "ct", patient, painted(body(7 + number), HU["plain"], 10, number))
        build = ("--unpaired", "--sources", self.folder / "mr", "--targets", self.folder / "ct")
        settings = ("base_width=8", "blocks=1", "discriminator_width=8", "patch_size=32", "working_spacing=0")
        self.images("truth", HU["plain"], 10)
        before, after, rows, history = self.all_steps(
            "mr-to-ct-unpaired", build, settings, self.folder / "mr" / "anna.nii.gz", "MR",
            pairs=("--sources", self.folder / "mr", "--targets", self.folder / "truth"),
        )  # fmt: skip
        self.assertTrue(rows)
        self.assert_same_grid(before, after)
        self.assert_learnt(history, "cycle")

    def test_stain(self):
        for number, patient in enumerate(PATIENTS):
            (self.folder / "slides").mkdir(exist_ok=True)
            labels = np.tile(body(number)[8], (2, 2))
            colors = np.array([(245, 243, 246), (225, 140, 190), (90, 50, 140), (200, 90, 150)], np.float32)
            noise = np.random.default_rng(number).normal(0, 6, (*labels.shape, 3))
            picture = np.clip(colors[labels] + noise, 0, 255).astype(np.uint8)
            pictures.imsave(self.folder / "slides" / f"{patient}.png", picture, check_contrast=False)
        build = ("--single", self.folder / "slides", "--degrade", "none")
        settings = ("base_width=8", "depth=2", "patch_size=48", "learning_rate_generator=0.003", "adversarial_start=2")
        before, after, _rows, history = self.all_steps(
            "stain", build, settings, self.folder / "slides" / "anna.png", "", suffix=".png"
        )
        self.assertEqual((after.array.shape, after.array.dtype), (before.array.shape, np.uint8))
        self.assert_learnt(history)


class PublicNames(unittest.TestCase):
    def test_every_task_has_both_presets(self):
        tasks = ["contrast-ct", "denoise-ct", "mr-to-ct", "mr-to-ct-unpaired", "stain", "superres-mr"]
        self.assertEqual(medgan.recipes.names(), tasks)
        for task in tasks:
            for preset in ("published", "recommended"):
                self.assertEqual(medgan.recipes.get(task, preset=preset).preset, preset)


if __name__ == "__main__":
    unittest.main()
