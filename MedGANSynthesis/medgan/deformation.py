"""Random deformations of a whole volume onto a new grid: other poses, other proportions, smooth local changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .volume import Volume
from .working_grid import grid_of_spacing

LARGEST_TURN_DEGREES = 15.0
LARGEST_SCALING = 0.14
LOCAL_MM = 3.0
"""Standard deviation of the local displacements, which change over about 30 mm."""


@dataclass(frozen=True)
class Deformation:
    """Where the voxels of a grid lie in a volume.

    Args:
        grid: volume on whose grid results lie (its voxels mean nothing).
        at: positions in voxels of the deformed volume, ``(3, k, j, i)`` float32.
    """

    grid: Volume
    at: np.ndarray

    @classmethod
    def draw(cls, volume: Volume, spacing_mm: float, generator: np.random.Generator) -> Deformation:
        """A random rotation, scaling of each axis, and smooth displacement, onto a grid of another spacing."""
        grid = grid_of_spacing(volume, (spacing_mm,) * 3)
        shape = grid.grid_shape
        center = (np.array(shape) - 1) / 2
        index = np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32) for size in shape), indexing="ij"))
        offset_mm = (index - center[:, None, None, None].astype(np.float32)) * np.float32(spacing_mm)
        turn = _rotation(np.radians(generator.uniform(-1, 1, 3) * LARGEST_TURN_DEGREES))
        scaling = np.exp(generator.uniform(-LARGEST_SCALING, LARGEST_SCALING, 3))
        matrix = (turn * scaling).astype(np.float32)
        moved_mm = np.tensordot(matrix, offset_mm, axes=1)
        for axis in range(3):
            moved_mm[axis] += LOCAL_MM * smooth_noise(shape, generator.uniform(15, 30) / spacing_mm, generator)
        middle = (np.array(volume.grid_shape) - 1) / 2
        voxel_mm = volume.geometry.spacing_mm[::-1]
        at = moved_mm / voxel_mm[:, None, None, None] + middle[:, None, None, None]
        return cls(grid, at.astype(np.float32))

    def apply(self, array: np.ndarray, outside: float) -> np.ndarray:
        """The array on the new grid, linear interpolation, float32; ``outside`` beyond its border."""
        from scipy import ndimage

        return ndimage.map_coordinates(array, self.at, np.float32, order=1, mode="constant", cval=outside)


def smooth_noise(shape: tuple[int, ...], width: float, generator: np.random.Generator) -> np.ndarray:
    """Random field ``(k, j, i)`` of mean 0 and deviation 1 whose values change over about ``width`` voxels."""
    from scipy import ndimage

    step = max(1.0, width / 1.5)  # as coarse as a smooth field can be drawn
    coarse_shape = [int(np.ceil(size / step)) + 4 for size in shape]
    coarse = ndimage.gaussian_filter(
        generator.standard_normal(coarse_shape, dtype=np.float32), width / step, mode="wrap"
    )
    coarse /= max(float(coarse.std()), 1e-12)
    if step == 1.0:
        return coarse[tuple(slice(size) for size in shape)]
    fine = ndimage.zoom(coarse, step, order=1)
    return fine[tuple(slice(size) for size in shape)]


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation about each of the three axes in turn; angles in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix
