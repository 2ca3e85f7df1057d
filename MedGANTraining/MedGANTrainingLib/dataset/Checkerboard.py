"""Two images as a checkerboard, which shows at the borders of its fields whether they lie on each other."""

from __future__ import annotations

import numpy as np
from medgan.dataset import grid_factor
from medgan.volume import Volume

from .CaseNodes import shownRange

_FIELDS = 10  # along the longest side


def checkerboard(source: Volume, target: Volume) -> Volume:
    """Both images, black to white as each is shown, in alternating cubes on the grid of the target.

    Args:
        source, target: on one grid, or the target's a refinement of it.

    Raises:
        InputError: the grids do not fit each other.
    """
    factor = grid_factor(source, target)
    first, second = _gray(source), _gray(target)
    for axis, parts in enumerate(factor):
        first = np.repeat(first, parts, axis=axis)
    if first.ndim != second.ndim:
        first, second = (
            np.repeat(one[..., np.newaxis], 3, axis=3) if one.ndim == 3 else one for one in (first, second)
        )
    even = _fields(target)
    board = np.where(even if first.ndim == 3 else even[..., np.newaxis], first, second)
    return Volume(board, target.geometry)


def _gray(volume: Volume) -> np.ndarray:
    """As it is shown: uint8, so that both are compared by what is seen, not by their units."""
    low, high = shownRange(volume)
    values = (volume.array.astype(np.float32) - low) / (high - low)
    return (255 * np.clip(np.nan_to_num(values), 0, 1)).astype(np.uint8)


def _fields(volume: Volume) -> np.ndarray:
    """True where the source is shown: cubes of equal edges in mm."""
    spacing, shape = volume.geometry.spacing_mm[::-1], volume.grid_shape
    edgeMm = max(size * step for size, step in zip(shape, spacing, strict=True)) / _FIELDS
    parity = sum(
        np.floor(np.arange(size) * step / edgeMm).astype(int).reshape([-1 if one == axis else 1 for one in range(3)])
        for axis, (size, step) in enumerate(zip(shape, spacing, strict=True))
    )
    return parity % 2 == 0
