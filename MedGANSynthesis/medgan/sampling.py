"""Random patch pairs from a dataset, the same for the same seed and step (which makes a training exactly resumable)."""

from __future__ import annotations

import numpy as np

from . import augment
from .dataset import Dataset
from .errors import InputError
from .intensity import AIR_HU, FittedScale
from .recipes.base import Recipe

BODY_HU = -800.0


class PatchSampler:
    """Draws batches of in-plane patches, mostly inside the body, in network units.

    Args:
        dataset: its ``train`` split is held in memory.
        recipe: patch and batch size, context, intensity scale, augmentation.

    Raises:
        InputError: the split is empty, an image is smaller than a patch, or patches do not fit the network.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe):
        self.recipe = recipe
        self.pairs: list[tuple[np.ndarray, np.ndarray, FittedScale]] = []
        cases = dataset.split("train")
        if not cases:
            raise InputError(f"{dataset.folder} has no case in its train split, so there is nothing to learn from.")
        step = recipe.network_spec().multiple[1]
        if recipe.patch_size % step:
            raise InputError(
                f"The patch size of {recipe.patch_size} pixels does not fit the network; set patch_size to "
                f"{-(-recipe.patch_size // step) * step}, a multiple of {step}."
            )
        for case in cases:
            source, target = dataset.volumes(case)
            if min(source.grid_shape[1:]) < recipe.patch_size:
                most = min(source.grid_shape[1:]) // max(step, 32) * max(step, 32)
                raise InputError(
                    f"Case {case.id} is {source.grid_shape[1]} x {source.grid_shape[2]} pixels, smaller than a patch; "
                    + (f"set patch_size to {most} or less." if most else "leave it out.")
                )
            self.pairs.append((source.array, target.array, recipe.intensity_scale().fit(source.array)))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Source ``(batch, 2 * context + 1, p, p)`` and target ``(batch, 1, p, p)`` of a step, float32."""
        generator = np.random.default_rng([self.recipe.seed, step])
        patches = [self._patch(generator) for _ in range(self.recipe.batch_size)]
        sources, targets = zip(*patches, strict=True)
        return np.stack(sources), np.stack(targets)

    def _patch(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        source, target, scale = self.pairs[generator.integers(len(self.pairs))]
        size = self.recipe.patch_size
        for _ in range(4):  # air teaches little: look again, but not forever
            k = int(generator.integers(len(source)))
            j, i = (int(generator.integers(extent - size + 1)) for extent in source.shape[1:])
            rows, columns = slice(j, j + size), slice(i, i + size)
            if (target[k, rows, columns] > BODY_HU).mean() > 0.3:
                break
        context = self.recipe.context_slices
        neighbours = np.clip(np.arange(k - context, k + context + 1), 0, len(source) - 1)
        clean = target[neighbours, rows, columns].astype(np.float32)
        noisy = source[neighbours, rows, columns].astype(np.float32)
        noise = noisy - clean
        if self.recipe.structure_augmentation and generator.random() < 0.4:
            clean = augment.structure(self._region(generator), clean.shape, generator)
        if self.recipe.kernel_augmentation and generator.random() < 0.5:
            clean, noise = augment.another_kernel(clean, noise, generator)
        if self.recipe.dose_augmentation:
            noise *= augment.noise_factor(generator)
        noisy = np.maximum(clean + noise, min(AIR_HU, noisy.min()))  # as scanners clip, or as low as it was
        pair = np.stack([scale.forward(noisy, neighbours), scale.forward(clean, neighbours)])
        if self.recipe.flips:
            pair = augment.flip(pair, generator)
        return pair[0], pair[1, context : context + 1]

    def _region(self, generator: np.random.Generator) -> np.ndarray:
        """A slab of some target, ``augment.LARGEST_SHRINKING`` patches wide or as wide as the image."""
        _source, target, _scale = self.pairs[generator.integers(len(self.pairs))]
        depth = min(len(target), 2 * self.recipe.context_slices + 1)
        wanted = (depth, *[augment.LARGEST_SHRINKING * self.recipe.patch_size] * 2)
        sizes = [min(extent, size) for extent, size in zip(target.shape, wanted, strict=True)]
        starts = [int(generator.integers(extent - size + 1)) for extent, size in zip(target.shape, sizes, strict=True)]
        return target[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))]
