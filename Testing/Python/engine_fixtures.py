"""Generators of every task with random weights, as bundles that need no training and no files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medgan import recipes
from medgan.bundle import Bundle
from medgan.manifest import Manifest
from medgan.modalities import MODALITIES, components
from medgan.volume import Geometry, Volume

OBLIQUE = np.array([[0.0, 0.6, 0.8], [-1.0, 0.0, 0.0], [0.0, -0.8, 0.6]])  # columns: nearly coronal slices


@dataclass(frozen=True, eq=False)
class Untrained(Bundle):
    """A bundle whose network comes from memory instead of a file."""

    generator: Any = None

    def build_generator(self):
        return self.generator


def untrained(task, **overrides):
    """Random weights, no output constant."""
    torch.manual_seed(0)
    recipe = recipes.get(task, **overrides)
    generator = recipe.build_generator().eval()
    for parameter in generator.parameters():
        if parameter.ndim > 1 and not parameter.detach().any():
            torch.nn.init.normal_(parameter, 0, 0.05)
    modality = MODALITIES[task][0]
    manifest = Manifest(
        name=f"untrained-{task}", title=f"Untrained {task}", task=task, recipe=recipe.to_dict(),
        network=recipe.measured_spec(generator), modality=modality, units="HU" if modality == "CT" else "",
        channels=components(modality), intensity=recipe.source_scale().to_dict(), target=recipe.target().to_dict(),
    )  # fmt: skip
    return Untrained(Path(task), {}, manifest, generator)


def ct(shape, dtype=np.int16, seed=0, spacing_mm=(0.8, 0.7, 2.5), directions=None):
    """A disc of soft tissue with noise in air, HU."""
    generator = np.random.default_rng(seed)
    _k, j, i = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    body = np.hypot(j, i) < 0.8
    array = np.where(body, 40.0 + 200 * (np.hypot(j + 0.2, i) < 0.2), -1000.0) + generator.normal(0, 60, shape)
    geometry = Geometry((1, 2, 3), spacing_mm, np.eye(3) if directions is None else directions)
    return Volume(np.rint(array.clip(-1100)).astype(dtype), geometry, "HU", "CT")


def mr(shape, seed=0, spacing_mm=(1.1, 1.3, 2.4), directions=None):
    """A bright textured ellipsoid on a dark ground."""
    generator = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    inside = sum((axis / 0.8) ** 2 for axis in axes) < 1
    array = np.where(inside, 400 + generator.normal(0, 90, shape), np.abs(generator.normal(0, 8, shape)))
    geometry = Geometry((1, 2, 3), spacing_mm, np.eye(3) if directions is None else directions)
    return Volume(array.clip(0).astype(np.float32), geometry, "", "MR")


def slide(shape, seed=0):
    """Pink tissue with darker nuclei in the left two thirds, glass elsewhere; RGB of 8 bits."""
    generator = np.random.default_rng(seed)
    image = np.full((*shape, 3), 245.0)
    width = 2 * shape[2] // 3
    nuclei = (generator.random((shape[0], shape[1], width, 1)) < 0.15) * (-70.0, -60.0, -20.0)
    image[:, :, :width] = nuclei + generator.normal((205, 140, 180), 8, (shape[0], shape[1], width, 3))
    return Volume(np.rint(image).clip(0, 255).astype(np.uint8), Geometry(spacing_mm=(5e-4, 5e-4, 1.0)), "", "SM")
