"""Augmentations of patches on the device that trains: what one scan cannot teach about the next one.

Patches are float32 torch tensors ``(components, slices, rows, columns)``, in HU where a function is made for CT. Random
numbers come from numpy's generator, so that a patch is the same on every device.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .metrics import CT_RANGE_HU

QUARTER_DOSE = 0.25
LARGEST_SHRINKING = 3


def structure(region: Any, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
    """Structure that no chest has: a region shrunk one to three times, its contrast scaled, turned over and moved.

    A generator trained on one scan takes the fine structure of the next one (trabecular bone, a head rest) for noise.
    Shrinking makes structure finer and its noise smaller.

    Args:
        region: at least as large as ``shape`` in plane; its first slices are repeated if it has fewer.
        shape: ``(slices, rows, columns)`` of the patch wanted.
    """
    slices, rows, columns = shape
    largest = min(LARGEST_SHRINKING, region.shape[-2] // rows, region.shape[-1] // columns)
    factor = int(generator.integers(1, largest + 1))
    region = region[:, [k % region.shape[1] for k in range(slices)], : rows * factor, : columns * factor]
    patch = region.reshape(len(region), slices, rows, factor, columns, factor).mean(dim=(3, 5))
    contrast = math.exp(generator.uniform(math.log(0.15), math.log(1.2))) * generator.choice((-1.0, 1.0))
    moved = generator.uniform(-900.0, 600.0) + contrast * (patch - patch.median())
    return moved.clip(*CT_RANGE_HU)


def another_kernel(clean: Any, noise: Any, generator: np.random.Generator) -> tuple[Any, Any]:
    """A clean patch and its noise as a softer reconstruction kernel or a quieter scan might show them.

    The target of a simulated pair is itself noisy. On one scan a network learns the ratio and the grain of both
    noises, and fails on the next scan; so targets are smoothed and mostly given a new texture, and rarely the noise is
    made coarser.
    """
    clean = smoothed(clean, generator.uniform(0.3, 2.0))
    if generator.random() < 0.7:
        texture = smoothed(white_noise(clean, generator), generator.uniform(0.6, 2.5))
        amplitude = generator.uniform(2.0, 18.0) / texture.std()
        clean = clean + amplitude * texture * (clean > -950.0)  # scanners clip air, so it shows no noise
    if generator.random() < 0.2:
        coarse = smoothed(noise, generator.uniform(0.3, 1.0))
        noise = coarse * (generator.uniform(0.5, 1.0) * noise.std() / coarse.std().clamp_min(1e-6))
    return clean, noise


def noise_factor(generator: np.random.Generator, lowest_dose: float = 0.05) -> float:
    """Factor that turns quarter-dose noise into that of a dose drawn log-uniformly from the lowest to 95 %.

    The variance inserted for a dose fraction a is proportional to (1 - a) / a (the electronic part apart).
    """
    factors = [math.sqrt((1 - dose) / dose / ((1 - QUARTER_DOSE) / QUARTER_DOSE)) for dose in (0.95, lowest_dose)]
    return math.exp(generator.uniform(*np.log(factors)))


def white_noise(like: Any, generator: np.random.Generator) -> Any:
    """Normal random numbers of deviation 1, of the shape and on the device of ``like``."""
    import torch

    return torch.from_numpy(generator.standard_normal(tuple(like.shape), dtype=np.float32)).to(like.device)


def smoothed(patch: Any, width: float) -> Any:
    """In-plane Gaussian of ``width`` pixels (standard deviation), borders mirrored."""
    import torch
    from torch.nn import functional

    radius = min(max(1, int(4 * width + 0.5)), min(patch.shape[-2:]) - 1)
    at = torch.arange(-radius, radius + 1, device=patch.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / width) ** 2)
    kernel = kernel / kernel.sum()
    images = patch.reshape(-1, 1, *patch.shape[-2:])
    images = functional.pad(images, (radius,) * 4, mode="reflect")
    images = functional.conv2d(images, kernel.view(1, 1, 1, -1))
    return functional.conv2d(images, kernel.view(1, 1, -1, 1)).reshape(patch.shape)


def rotated(patch: Any, degrees: float) -> Any:
    """Turned in plane about the center of the patch, linear interpolation, edge values beyond the border."""
    import torch
    from torch.nn import functional

    angle = math.radians(degrees)
    rows, columns = patch.shape[-2:]
    aspect = rows / columns
    matrix = torch.tensor(
        [[math.cos(angle), -math.sin(angle) * aspect, 0.0], [math.sin(angle) / aspect, math.cos(angle), 0.0]],
        device=patch.device,
    )
    images = patch.flatten(0, 1)[None]  # components and slices alike
    grid = functional.affine_grid(matrix[None], list(images.shape), align_corners=False)
    turned = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return turned[0].reshape(patch.shape)
