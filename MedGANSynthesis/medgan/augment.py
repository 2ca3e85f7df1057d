"""Augmentations of denoising pairs: what one scan cannot teach about the next one.

All work on a clean patch and the noise that was added to it, float32 arrays ``(slices, rows, columns)`` in HU.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .metrics import CT_RANGE_HU

QUARTER_DOSE = 0.25
LARGEST_SHRINKING = 3


def structure(region: np.ndarray, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Structure that no chest has: a region shrunk one to three times, its contrast scaled, turned over and moved.

    A generator trained on one scan takes the fine structure of the next one (trabecular bone, a head rest) for noise.
    Shrinking makes structure finer and its noise smaller.

    Args:
        region: at least as large as ``shape`` in plane; repeated along the slices if it has fewer.
        shape: of the patch wanted.
    """
    largest = min(LARGEST_SHRINKING, region.shape[1] // shape[1], region.shape[2] // shape[2])
    factor = int(generator.integers(1, largest + 1))
    rows, columns = shape[1] * factor, shape[2] * factor
    block = np.resize(region[:, :rows, :columns].astype(np.float32), (shape[0], rows, columns))
    patch = block.reshape(shape[0], shape[1], factor, shape[2], factor).mean(axis=(2, 4))
    contrast = np.exp(generator.uniform(np.log(0.15), np.log(1.2))) * generator.choice((-1.0, 1.0))
    moved = generator.uniform(-900.0, 600.0) + contrast * (patch - np.median(patch))
    return np.clip(moved, *CT_RANGE_HU).astype(np.float32)


def another_kernel(
    clean: np.ndarray, noise: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A clean patch and its noise as a softer reconstruction kernel or a quieter scan might show them.

    The target of a simulated pair is itself noisy. On one scan a network learns the ratio and the grain of both
    noises, and fails on the next scan; so targets are smoothed and mostly given a new texture, and rarely the noise is
    made coarser.
    """
    clean = _smooth(clean, generator.uniform(0.3, 2.0))
    if generator.random() < 0.7:
        texture = _smooth(generator.standard_normal(clean.shape, dtype=np.float32), generator.uniform(0.6, 2.5))
        amplitude = generator.uniform(2.0, 18.0) / texture.std()
        clean += amplitude * texture * (clean > -950.0)  # scanners clip air, so it shows no noise
    if generator.random() < 0.2:
        coarse = _smooth(noise, generator.uniform(0.3, 1.0))
        noise = coarse * (generator.uniform(0.5, 1.0) * noise.std() / max(coarse.std(), 1e-6))
    return clean, noise


def noise_factor(generator: np.random.Generator) -> float:
    """Factor on quarter-dose noise: 1 in four of ten cases, else that of a dose drawn between 10 and 95 %.

    The variance inserted for a dose fraction a is proportional to (1 - a) / a (the electronic part apart).
    """
    if generator.random() < 0.4:
        return 1.0
    factors = [np.sqrt((1 - dose) / dose / ((1 - QUARTER_DOSE) / QUARTER_DOSE)) for dose in (0.95, 0.1)]
    return float(np.exp(generator.uniform(*np.log(factors))))


def flip(pair: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mirrored and transposed in plane, at random; the last two axes are the plane."""
    for axis in (-1, -2):
        if generator.random() < 0.5:
            pair = np.flip(pair, axis)
    return np.swapaxes(pair, -1, -2) if generator.random() < 0.5 else pair


def _smooth(patch: np.ndarray, width: float) -> np.ndarray:
    return ndimage.gaussian_filter(patch, (0.0, width, width))
