"""A dataset, recipe and bundle small enough to train in seconds."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from medgan import recipes
from medgan.bundle_writer import write_bundle
from medgan.dataset import Case, Dataset

TINY = {
    "base_width": 8, "depth": 2, "discriminator_width": 8, "patch_size": 48, "batch_size": 4, "epochs": 2,
    "steps_per_epoch": 6, "adversarial_start": 1, "kernel_augmentation": 0.0,
    "structure_augmentation": 0.0,
}  # fmt: skip


def tiny_recipe(**overrides):
    """A CNCL that trains in seconds."""
    return recipes.get("denoise-ct", **{**TINY, **overrides})


def tiny_dataset(folder: Path) -> Dataset:
    """Noisy discs of soft tissue in air, three splits of one case each."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    cases = []
    for split in ("train", "validation", "test"):
        slices, centre = 6 if split == "train" else 2, generator.uniform(26, 38, (6, 2))
        rows, columns = np.mgrid[:64, :64]
        radius = [np.hypot(rows - y, columns - x) for y, x in centre[:slices]]
        clean = np.select([np.array(radius) < 8, np.array(radius) < 24], [300, 40], -1000)
        noisy = np.maximum(clean + generator.normal(0, 60, clean.shape), -1100)  # lower values are no measurement
        for name, array in ((f"{split}.nrrd", clean), (f"{split}-low.nrrd", noisy)):
            image = sitk.GetImageFromArray(np.rint(array).astype(np.int16))
            image.SetSpacing((0.8, 0.8, 3.0))
            sitk.WriteImage(image, str(folder / "images" / name))
        cases.append(Case(split, split, f"images/{split}-low.nrrd", f"images/{split}.nrrd", split))
    dataset = Dataset(folder, "denoise-ct", "CT", "HU", "discs", "CC0-1.0", tuple(cases))
    dataset.save()
    return Dataset.load(folder)


def tiny_bundle(path: Path, **overrides):
    """An untrained generator with random last layers, written as a bundle at ``path``."""
    import torch

    torch.manual_seed(0)
    recipe = tiny_recipe(residual=False, **overrides)
    dataset = tiny_dataset(path.parent / f"{path.name}-dataset")
    generator = recipe.build_generator()
    return write_bundle(path, path.name, recipe, recipe.measured_spec(generator), generator, dataset, [])
