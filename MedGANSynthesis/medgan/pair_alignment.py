"""Lay the target of a pair onto the grid of its source: as the headers say, registered, or by a given transform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .alignment import LEAST_SLICES, measure
from .dataset import grid_factor
from .errors import InputError
from .volume import Volume

LEAST_COVERED = 0.5
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class AlignedPair:
    """A target on the grid of its source (for super-resolution on a refinement of it).

    Args:
        target: the target there.
        facts: how it was laid there and how well (method, quality, mutual_information, body_dice).
        transform: 4x4 from points of the source to points of the target, RAS mm; of an elastic registration its affine
            part.
        doubt: what speaks against using the pair, half a sentence, ``""`` if nothing does.
    """

    target: Volume
    facts: dict[str, Any] = field(default_factory=dict)
    transform: np.ndarray = field(default_factory=lambda: np.eye(4))
    doubt: str = ""


def align_pair(
    source: Volume,
    target: Volume,
    register: str = "",
    super_resolution: bool = False,
    transform: np.ndarray | None = None,
    progress: Progress | None = None,
) -> AlignedPair:
    """The target on the grid of the source, and how well it lies there.

    Args:
        register: "rigid", "affine" or "bspline"; "" believes the headers.
        super_resolution: the target is finer than the source by a whole factor, about the ratio of their spacings.
        transform: 4x4 from source to target points, RAS mm, set by a person; nothing is registered then.

    Raises:
        InputError: pictures (or single slices) do not lie on one grid, or images cannot be registered at all.
    """
    flat = 1 in source.grid_shape or 1 in target.grid_shape or source.channels > 1 or target.channels > 1
    try:
        factor = grid_factor(source, target)
    except InputError:
        factor = None
        if flat and transform is None:
            raise InputError(
                f"The pictures have {_size(source)} and {_size(target)} pixels and nothing says how they lie on each "
                "other; cut them to the same region first."
            ) from None
    grid = _refined(source, target) if super_resolution else source
    if transform is not None:
        return _placed(source, target, grid, np.asarray(transform, np.float64), "adjusted")
    if register:
        return _registered(source, target, grid, register, progress)
    if factor == (1, 1, 1):
        found = None if flat or min(source.grid_shape) < LEAST_SLICES else measure(source, target)
        return AlignedPair(target, _facts("as given", found), doubt="" if found is None else found.reason)
    if factor is not None and super_resolution:
        return AlignedPair(target, {"method": "as given"})
    return _placed(source, target, grid, np.eye(4), "resampled")


def _placed(source: Volume, target: Volume, grid: Volume, matrix: np.ndarray, method: str) -> AlignedPair:
    """By a known transform; in doubt if the images do not lie on each other then."""
    from .registration import resample

    transform = _sitk_transform(matrix)
    moved, inside = resample(target, grid, transform)
    found, reason = None, ""
    if source.channels == target.channels == 1 and min(*source.grid_shape, *target.grid_shape) >= LEAST_SLICES:
        found = measure(source, *((moved, inside) if grid is source else resample(target, source, transform)))
        reason = found.reason
    elif inside.mean() < LEAST_COVERED:
        reason = f"the target covers only {inside.mean():.0%} of the source's grid"
    return AlignedPair(moved, _facts(method, found), matrix, reason)


def _registered(source: Volume, target: Volume, grid: Volume, kind: str, progress: Progress | None) -> AlignedPair:
    from .registration import register, resample

    found = register(source, target, kind, progress=progress)
    moved = found.moved if grid is source else resample(target, grid, found.transform)[0]
    return AlignedPair(moved, _facts(kind, found), _ras_matrix(found.transform), found.reason)


def _sitk_transform(matrix: np.ndarray) -> Any:
    """The SimpleITK transform of a 4x4 in RAS mm."""
    import SimpleITK as sitk

    lps = _LPS @ matrix @ _LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def _ras_matrix(transform: Any) -> np.ndarray:
    """4x4 in RAS mm of a linear SimpleITK transform, or of the linear ones of a composite."""
    import SimpleITK as sitk

    if isinstance(transform, sitk.CompositeTransform):
        linear = [transform.GetNthTransform(n) for n in range(transform.GetNumberOfTransforms())]
        linear = [one.Downcast() for one in linear if one.IsLinear()]
    else:
        linear = [transform.Downcast()]
    matrix = np.eye(4)
    for one in linear:
        corners = [one.TransformPoint(point) for point in ((0.0, 0.0, 0.0), *np.eye(3).tolist())]
        step = np.eye(4)
        step[:3, 3] = corners[0]
        step[:3, :3] = (np.array(corners[1:]) - corners[0]).T
        matrix = matrix @ step  # the last of a composite is applied first
    return _LPS @ matrix @ _LPS


def _refined(source: Volume, target: Volume) -> Volume:
    """The grid of the source refined to about the spacing of the target."""
    ratio = source.geometry.spacing_mm / target.geometry.spacing_mm
    factor = np.maximum(np.rint(ratio), 1).astype(int)
    shape = [size * f for size, f in zip(source.grid_shape, factor[::-1], strict=True)]
    return Volume(np.broadcast_to(np.uint8(0), shape), source.geometry.shifted((0, 0, 0), factor))


def _facts(method: str, found: Any) -> dict[str, Any]:
    """``found``: an Alignment, a Registration, or None where nothing was measured."""
    if found is None:
        return {"method": method}
    return {
        "method": method,
        "quality": round(found.quality, 3),
        "mutual_information": round(found.mutual_information, 4),
        "body_dice": round(found.body_dice, 4),
    }


def _size(volume: Volume) -> str:
    return " x ".join(str(size) for size in volume.grid_shape[::-1])
