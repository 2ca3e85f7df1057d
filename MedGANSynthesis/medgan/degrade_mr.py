"""Degradation of MR volumes: what a scan with larger voxels would have shown, on the exact grid of those voxels.

Every axis is a linear operator (a matrix from fine to coarse voxels), so whole volumes (numpy) and training patches
(torch, on their device) go through the same code. Coarse voxel ``c`` is centred on the ``factor`` fine voxels it
covers, at fine index ``factor * c + (factor - 1) / 2``, so that ``coarse.geometry.shifted((0, 0, 0), factor)`` is the
fine grid.

* "kspace": the outer k-space is left out, as a scan of fewer phase encodings does, and what remains is tapered (Tukey)
  against ringing. Where only one axis is coarser it is the slice axis of a 2-D multi-slice scan, which knows no k-space
  along it: there the slice profile averages.
* "blur": Gaussian and linear resampling, the degradation of the published 3D-GAN-superresolution, with voxel centres
  where the upsampling of the network puts them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError
from .intensity import is_tensor, like, namespace
from .tile_plan import Triple
from .triples import triple
from .volume import Volume

KINDS = ("kspace", "blur")
PROFILES = ("gaussian", "box")
FACTORS = (1, 2, 3, 4, 5, 6, 7, 8)
REACH = 4
"""Coarse voxels on each side beyond which a coarse value depends on next to nothing."""
_SIGMA_PER_WIDTH = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))


@dataclass(frozen=True)
class Degradation:
    """How coarse voxels arise from fine ones.

    Args:
        kind: "kspace" or "blur".
        blur_sigma: of the Gaussian of "blur", in fine voxels.
        apodisation: share of the kept k-space that is tapered, 0 (rings at edges) to 1 (a Hann window).
        profile: of a slice, "gaussian" (of that full width at half maximum) or "box".
        thickness: of a slice, relative to the distance of the coarse slices; below 1 leaves gaps.
        noise: standard deviation of the added (Rician) noise, relative to the 99.5th percentile of the coarse image.

    Raises:
        InputError: a value is out of range.
    """

    kind: str = "kspace"
    blur_sigma: float = 1.0
    apodisation: float = 0.5
    profile: str = "gaussian"
    thickness: float = 1.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.profile not in PROFILES:
            raise InputError(
                f"The degradation must be one of {', '.join(KINDS)} and the slice profile one of "
                f"{', '.join(PROFILES)}, not {self.kind} and {self.profile}."
            )
        if not (self.blur_sigma >= 0 and 0 <= self.apodisation <= 1 and self.thickness > 0 and self.noise >= 0):
            raise InputError(
                "A degradation needs a blur and a noise of at least 0, an apodisation between 0 and 1 and a slice "
                "thickness above 0."
            )

    def coarse(self, block: Any, factor: Triple) -> Any:
        """The coarse image of a fine one, without noise.

        Args:
            block: numpy array or torch tensor ``(..., k, j, i)``; sizes are multiples of ``factor``. Values near the
                border of "kspace" come from the opposite border too, as they do in a scan.
            factor: fine voxels per coarse one along (k, j, i).

        Returns:
            float32 ``(..., k / factor, j / factor, i / factor)``.
        """
        xp = namespace(block)
        block = block.float() if is_tensor(block) else block.astype(np.float32)
        for axis, step in zip((-3, -2, -1), factor, strict=True):
            if step > 1:
                matrix = like(self.operator(block.shape[axis], step, _is_slice_axis(factor)), block)
                block = xp.moveaxis(xp.moveaxis(block, axis, -1) @ matrix.T, -1, axis)
        return block

    def operator(self, size: int, step: int, slices: bool = False) -> np.ndarray:
        """Matrix ``(size / step, size)`` from the fine to the coarse voxels of an axis; its rows add up to 1."""
        if self.kind == "blur":
            return _middles(size, step) @ _gaussian(np.arange(size), size, self.blur_sigma)
        centres = np.arange(size // step) * step + (step - 1) / 2
        if not slices:
            return _kspace(centres, size, self.apodisation)
        if self.profile == "gaussian":
            return _gaussian(centres, size, self.thickness * step * _SIGMA_PER_WIDTH)
        return _box(centres, size, self.thickness * step)

    def varied(self, generator: np.random.Generator, variety: float, noise: float = 0.0) -> Degradation:
        """A random relative of this degradation.

        Args:
            generator: source of the draw.
            variety: largest relative change of blur, apodisation and thickness, 0 to 1.
            noise: largest noise; drawn between 0 and that.
        """
        blur, taper, thickness = generator.uniform(1 - variety, 1 + variety, 3)
        return dataclasses.replace(
            self,
            blur_sigma=self.blur_sigma * blur,
            apodisation=min(1.0, self.apodisation * taper),
            thickness=self.thickness * thickness,
            noise=float(generator.uniform(0.0, noise)),
        )


def degrade(
    volume: Volume,
    factor: Triple,
    kind: str = "kspace",
    rng: np.random.Generator | None = None,
    **settings: Any,
) -> Volume:
    """The volume as a scan with ``factor`` times larger voxels would show it.

    Args:
        volume: scalar MR. Sizes that are no multiple of the factor are padded with their edge values at the far end.
        factor: fine voxels per coarse one along (k, j, i), each 1 to 8.
        kind: "kspace" or "blur", see the module.
        rng: source of the noise, needed with ``noise`` only.
        settings: further fields of :class:`Degradation`.

    Returns:
        float32 Volume of ``ceil(size / factor)`` voxels, whose geometry refined by the factor is that of ``volume``.

    Raises:
        InputError: no scalar volume, or a factor or setting is out of range.

    Example:
        >>> fine = Volume(np.ones((10, 8, 8), np.float32))
        >>> degrade(fine, (4, 1, 1)).grid_shape
        (3, 8, 8)
    """
    factor = _checked(volume, factor)
    degradation = Degradation(kind, **settings)
    if degradation.noise and rng is None:
        raise InputError("Noise needs a random generator (rng).")
    padding = [(0, -size % step) for size, step in zip(volume.grid_shape, factor, strict=True)]
    array = degradation.coarse(np.pad(volume.array, padding, mode="edge"), factor)
    if degradation.noise:
        array = noisy(array, degradation.noise * float(np.percentile(array, 99.5)), rng)
    # the middle of the first coarse voxel, seen from the first fine one
    middle = [(step - 1) / 2 for step in factor[::-1]]
    geometry = volume.geometry
    coarse = dataclasses.replace(
        geometry,
        origin_mm=geometry.origin_mm + (geometry.directions * geometry.spacing_mm) @ middle,
        spacing_mm=geometry.spacing_mm * factor[::-1],
    )
    return volume.with_array(array, geometry=coarse)


def divisible(volume: Volume, factor: Triple) -> Volume:
    """The volume without the last voxels that fill no coarse voxel: the exact target of its degraded self.

    Raises:
        InputError: no scalar volume, fewer voxels than the factor, or a factor out of range.
    """
    factor = _checked(volume, factor)
    sizes = [size // step * step for size, step in zip(volume.grid_shape, factor, strict=True)]
    if 0 in sizes:
        raise InputError(
            f"The volume has {'x'.join(map(str, volume.grid_shape[::-1]))} voxels, fewer than a coarse voxel would "
            f"cover ({'x'.join(map(str, factor[::-1]))}); choose a smaller factor."
        )
    return volume.with_array(volume.array[tuple(slice(size) for size in sizes)])


def noisy(block: Any, deviation: float, rng: np.random.Generator) -> Any:
    """Rician noise: that of a magnitude image whose real and imaginary part have Gaussian noise each.

    Args:
        block: magnitudes, numpy array or torch tensor of any shape. deviation: of the noise, in their unit.
    """
    real, imaginary = (like(rng.normal(0.0, deviation, tuple(block.shape)), block) for _ in range(2))
    signed = block + real
    # where the image itself is below zero (ringing, offsets) a magnitude would fold it up
    return namespace(block).where(block < 0, signed, (signed**2 + imaginary**2) ** 0.5)


def parse_factor(text: str) -> Triple:
    """``"1x1x4"`` (i x j x k, as spacings are written) as the factor along (k, j, i): ``(4, 1, 1)``.

    Raises:
        InputError: it is not three whole numbers from 1 to 8.
    """
    factor = triple(text)
    if factor is None or any(step not in FACTORS for step in factor):
        raise InputError(f"The factor must be three whole numbers from 1 to 8 such as 1x1x4 (i x j x k), not '{text}'.")
    return factor


def _checked(volume: Volume, factor: Triple) -> Triple:
    if volume.channels != 1:
        raise InputError("Only scalar volumes can be degraded to larger voxels, not color images.")
    if len(factor) != 3 or any(step not in FACTORS for step in factor):
        raise InputError(f"The factor along each axis must be a whole number from 1 to 8, not {tuple(factor)}.")
    return tuple(int(step) for step in factor)


def _is_slice_axis(factor: Triple) -> bool:
    """Whether the axis that is coarser is the only one."""
    return sum(step > 1 for step in factor) == 1


def _kspace(centres: np.ndarray, size: int, apodisation: float) -> np.ndarray:
    """Keep the inner frequencies, taper them, look at the result at ``centres``."""
    highest = len(centres) / 2
    frequencies = np.arange(0, math.floor(highest) + 1)
    position = frequencies / highest
    weights = np.ones(len(frequencies))
    flat = 1.0 - apodisation
    tapered = position > flat
    weights[tapered] = 0.5 * (1.0 + np.cos(np.pi * (position[tapered] - flat) / max(apodisation, 1e-9)))
    weights[0] = 0.5  # each of the others stands for two, itself and its negative
    if frequencies[-1] == highest:
        weights[-1] *= 0.5  # the coarse grid cannot tell the highest from its negative
    phases = 2 * np.pi / size * (centres[:, None] - np.arange(size))
    return 2.0 / size * np.einsum("f,fcm->cm", weights, np.cos(frequencies[:, None, None] * phases))


def _gaussian(centres: np.ndarray, size: int, sigma: float) -> np.ndarray:
    if sigma < 1e-3:
        sigma = 1e-3
    distances = (centres[:, None] - np.arange(size)) / sigma
    nearest = (distances**2).min(axis=1, keepdims=True)  # so that a narrow one does not vanish between two voxels
    weights = np.exp(-0.5 * (distances**2 - nearest))
    return weights / weights.sum(axis=1, keepdims=True)


def _box(centres: np.ndarray, size: int, width: float) -> np.ndarray:
    """Share of every fine voxel that lies in the slice."""
    voxels = np.arange(size)
    low, high = centres[:, None] - width / 2, centres[:, None] + width / 2
    weights = np.clip(np.minimum(high, voxels + 0.5) - np.maximum(low, voxels - 0.5), 0.0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def _middles(size: int, step: int) -> np.ndarray:
    """Linear interpolation at the middle of each coarse voxel: one voxel of an odd step, two of an even one."""
    matrix = np.zeros((size // step, size))
    rows = np.arange(size // step)
    for offset in ((step - 1) // 2, step // 2):
        matrix[rows, rows * step + offset] += 0.5
    return matrix
