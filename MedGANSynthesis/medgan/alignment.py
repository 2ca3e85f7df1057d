"""How well two images of a body lie on each other: a number that tells a good registration from a failed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .body_mask import body_mask, dice
from .errors import InputError
from .volume import Volume

WORKING_MM = 2.0
"""Images are averaged to voxels of about this size before they are compared or registered."""
HU_RANGE = (-500.0, 1300.0)
DISPLACEMENT_MM = 8.0
DISPLACEMENT_RADIANS = 0.25
RIND_MM = 4.0
CLEAR_PEAK = 0.6
"""Share of its mutual information that a well aligned pair loses when displaced; head MR and CT lose 0.25 to 0.45."""
GOOD_QUALITY = 0.25
LEAST_OVERLAP = 0.3
LEAST_DICE = 0.6
LEAST_VOXELS = 500
LEAST_SLICES = 4


@dataclass(frozen=True)
class Alignment:
    """How well two images lie on each other.

    Args:
        mutual_information: in nats, within either body, voxels of about 2 mm, 32 x 32 bins.
        body_dice: overlap of the body masks where both images have voxels, 0 to 1.
        quality: 0 (nothing in common) to 1 (no displacement makes it better, and all make it much worse).
        reason: why the pair must not be used, ``""`` if it may.
    """

    mutual_information: float
    body_dice: float
    quality: float
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the pair may be used."""
        return not self.reason


def measure(fixed: Volume, moved: Volume, inside: np.ndarray | None = None) -> Alignment:
    """Compare two scalar volumes on the same grid.

    Outlines of bodies fit each other in many wrong ways, so what counts is the mutual information inside of both
    bodies: where the images show the same anatomy it drops whenever one of them is pushed by 8 mm or turned by 14
    degrees, to any side. ``quality`` is the smallest such drop, relative to a clear one, times the overlap of the
    bodies.

    Args:
        fixed, moved: scalar volumes ``(k, j, i)`` on one grid, of any units.
        inside: ``(k, j, i)``, where ``moved`` shows something (default: everywhere).

    Raises:
        InputError: the grids differ, or an image has several components or is a single slice.
    """
    if fixed.array.shape != moved.array.shape or not fixed.geometry.is_close(moved.geometry):
        raise InputError("The alignment of two images can only be measured on the same grid; resample one of them.")
    fixed, moved = coarse(fixed), coarse(moved)
    seen = np.ones(fixed.array.shape, bool) if inside is None else _coarse_mask(inside, fixed.array.shape)
    bodies = body_mask(fixed), body_mask(moved)
    if np.count_nonzero(bodies[0] & seen) < LEAST_OVERLAP * np.count_nonzero(bodies[0]):
        return Alignment(0.0, 0.0, 0.0, f"the images share less than {LEAST_OVERLAP:.0%} of the body")
    if not bodies[0].any() or not bodies[1].any():
        which = "moving" if bodies[0].any() else "fixed"
        return Alignment(0.0, 0.0, 0.0, f"no body is found in the {which} image: it is empty or of one value")
    bodies = bodies[0] & seen, bodies[1] & seen
    overlap = dice(*bodies)
    ranges = clip_range(fixed), clip_range(moved)
    information = _mutual_information(fixed.array, moved.array, bodies[0] | bodies[1], ranges)
    drop = _smallest_drop(fixed, moved, bodies[0] & bodies[1], ranges)
    quality = float(np.clip(drop / CLEAR_PEAK, 0, 1) * np.clip(overlap / 0.8, 0, 1))
    reason = ""
    if overlap < LEAST_DICE:
        reason = f"the bodies overlap too little (Dice {overlap:.2f})"
    elif quality < GOOD_QUALITY:
        reason = f"the images do not show the same anatomy in the same place (quality {quality:.2f})"
    return Alignment(information, overlap, quality, reason)


def coarse(volume: Volume) -> Volume:
    """The volume averaged to voxels of about 2 mm, float32.

    Raises:
        InputError: it has several components, a voxel that is no number, or is thinner than four slices.
    """
    import SimpleITK as sitk

    if volume.channels > 1 or min(volume.grid_shape) < LEAST_SLICES:
        raise InputError(
            f"Only scalar volumes of at least {LEAST_SLICES} slices, rows and columns can be registered or compared, "
            f"not {' x '.join(map(str, volume.array.shape[::-1]))}; align such images with another tool first."
        )
    if volume.non_finite:
        raise InputError("The image has voxels that are no number (NaN or infinite); replace them first.")
    image = sitk.BinShrink(sitk.Cast(volume.to_sitk(), sitk.sitkFloat32), shrink_factors(volume.to_sitk(), WORKING_MM))
    small = Volume.from_sitk(image)
    return small.with_array(small.array.copy(), units=volume.units, modality=volume.modality)


def shrink_factors(image: Any, spacing_mm: float) -> list[int]:
    """By how much to shrink a SimpleITK image along (i, j, k) for about this spacing; at least 4 voxels remain."""
    return [
        int(max(1, min(round(spacing_mm / old), size // LEAST_SLICES)))
        for old, size in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]


def clip_range(volume: Volume) -> tuple[float, float]:
    """The values worth telling apart: soft tissue and bone in a CT, else without the extreme half percents."""
    if volume.units == "HU":
        return HU_RANGE
    low, high = np.percentile(volume.array, (0.5, 99.5))
    return float(low), float(max(high, low + 1e-6))


def _coarse_mask(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Every n-th voxel of a mask, as BinShrink would keep them."""
    steps = [full // small for full, small in zip(mask.shape, shape, strict=True)]
    picked = mask[tuple(slice(step // 2, None, step) for step in steps)]
    return picked[tuple(slice(size) for size in shape)].astype(bool)


def _mutual_information(
    one: np.ndarray, other: np.ndarray, where: np.ndarray, ranges: tuple[tuple[float, float], ...]
) -> float:
    """Mutual information in nats of two images over a mask."""
    values = [np.clip(array[where], *limits) for array, limits in zip((one, other), ranges, strict=True)]
    joint = np.histogram2d(*values, bins=32, range=ranges)[0]
    joint /= max(joint.sum(), 1.0)
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / product[some])).sum())


def _smallest_drop(fixed: Volume, moved: Volume, both: np.ndarray, ranges: tuple[tuple[float, float], ...]) -> float:
    """Least relative loss of mutual information, inside of both bodies, over twelve displacements of ``moved``."""
    import SimpleITK as sitk
    from scipy import ndimage

    inner = ndimage.distance_transform_edt(both, sampling=fixed.geometry.spacing_mm[::-1]) > RIND_MM
    if np.count_nonzero(inner) < LEAST_VOXELS:
        return 0.0
    aligned = _mutual_information(fixed.array, moved.array, inner, ranges)
    if aligned <= 1e-6:
        return 0.0
    image, background = moved.to_sitk(), float(moved.array.min())
    center = fixed.geometry.ijk_to_lps @ np.append(np.mean(np.nonzero(both), axis=1)[::-1], 1.0)
    worst = 0.0
    for axis in range(6):
        for sign in (-1.0, 1.0):
            push = np.zeros(6)
            push[axis] = sign * (DISPLACEMENT_MM if axis < 3 else DISPLACEMENT_RADIANS)
            transform = sitk.Euler3DTransform(center[:3].tolist(), *push[3:].tolist(), push[:3].tolist())
            displaced = sitk.GetArrayFromImage(sitk.Resample(image, image, transform, sitk.sitkLinear, background))
            worst = max(worst, _mutual_information(fixed.array, displaced, inner, ranges))
    return 1.0 - worst / aligned
