"""Random patch pairs from a dataset, the same for the same seed and step (which makes a training exactly resumable)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .dataset import Dataset
from .errors import InputError
from .intensity import FittedScale
from .recipes.base import Recipe

BODY_HU = -800.0
QUARTER_DOSE = 0.25


class PatchSampler:
    """Draws batches of in-plane patches, mostly inside the body, in network units.

    Args:
        dataset: its ``train`` split is held in memory.
        recipe: patch and batch size, context, intensity scale, augmentation.

    Raises:
        InputError: the split is empty or an image is smaller than a patch.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe):
        self.recipe = recipe
        self.pairs: list[tuple[np.ndarray, np.ndarray, FittedScale]] = []
        cases = dataset.split("train")
        if not cases:
            raise InputError(f"{dataset.folder} has no case in its train split, so there is nothing to learn from.")
        for case in cases:
            source, target = dataset.volumes(case)
            if min(source.grid_shape[1:]) < recipe.patch_size:
                raise InputError(
                    f"Case {case.id} is {source.grid_shape[1]} x {source.grid_shape[2]} pixels, smaller than a patch; "
                    f"set patch_size to {min(source.grid_shape[1:]) // 16 * 16} or less."
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
        if self.recipe.kernel_augmentation:
            clean, noise = as_another_kernel(clean, noise, generator)
        if self.recipe.dose_augmentation:
            noise *= noise_factor(generator)
        noisy = clean + noise
        pair = np.stack([scale.forward(noisy, slice(k, k + 1)), scale.forward(clean, slice(k, k + 1))])
        if self.recipe.flips:
            pair = _flip(pair, generator)
        return pair[0], pair[1, context : context + 1]


def as_another_kernel(
    clean: np.ndarray, noise: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A clean patch and its noise (HU) as a softer reconstruction kernel or a quieter scan might show them, half
    of the time.

    The target of a simulated pair is itself noisy. On one scan a network learns the ratio and the grain of both
    noises, and fails on the next scan; so some targets are smoothed and given a new texture, and rarely the noise
    is made coarser.
    """
    if generator.random() < 0.5:
        return clean, noise
    clean = _smooth(clean, generator.uniform(0.3, 1.3))
    if generator.random() < 0.7:
        texture = _smooth(generator.standard_normal(clean.shape, dtype=np.float32), generator.uniform(0.6, 1.6))
        clean += (
            generator.uniform(2.0, 18.0) / texture.std() * texture * (clean > -950.0)
        )  # scanners clip air: no noise
    if generator.random() < 0.2:
        coarse = _smooth(noise, generator.uniform(0.3, 1.0))
        noise = coarse * (generator.uniform(0.5, 1.0) * noise.std() / max(coarse.std(), 1e-6))
    return clean, noise


def _smooth(patch: np.ndarray, width: float) -> np.ndarray:
    return ndimage.gaussian_filter(patch, (0.0, width, width))


def noise_factor(generator: np.random.Generator) -> float:
    """Factor on quarter-dose noise: 1 half of the time, else that of a dose drawn between 10 and 90 %.

    The variance inserted for a dose fraction a is proportional to (1 - a) / a (the electronic part apart).
    """
    if generator.random() < 0.5:
        return 1.0
    dose = float(np.exp(generator.uniform(np.log(0.1), np.log(0.9))))
    return float(np.sqrt((1 - dose) / dose / ((1 - QUARTER_DOSE) / QUARTER_DOSE)))


def _flip(pair: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    for axis in (-1, -2):
        if generator.random() < 0.5:
            pair = np.flip(pair, axis)
    return np.swapaxes(pair, -1, -2) if generator.random() < 0.5 else pair
