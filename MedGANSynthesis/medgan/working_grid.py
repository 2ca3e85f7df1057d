"""The grid a network works on: canonical axes and its own spacing, and the way back to the grid of the source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .tile_plan import Box, Triple
from .volume import Geometry, Volume

SAME_SPACING = 0.02  # relative; below it resampling would blur more than it could mend
MOST_VOXELS = 2**31


@dataclass(frozen=True)
class WorkingGrid:
    """How a volume is laid out for a network.

    Args:
        canonical: turn the array so that i, j, k run nearest to right, anterior, superior (lossless: axes are
            swapped and flipped), so that a slice is axial whatever the acquisition was.
        spacing_mm: spacing along i, j, k to resample to, None to keep that of the source.
    """

    canonical: bool = False
    spacing_mm: tuple[float, float, float] | None = None

    def enter(self, volume: Volume) -> Volume:
        """The volume on this grid (the same object if nothing is to be done)."""
        if self.canonical:
            volume = canonical(volume)
        if self.spacing_mm is not None and not _alike(volume.geometry.spacing_mm, self.spacing_mm):
            volume = resampled(volume, grid_of_spacing(volume, self.spacing_mm))
        return volume

    def enter_mask(self, mask: np.ndarray, volume: Volume) -> np.ndarray:
        """A mask ``(k, j, i)`` of ``volume`` on this grid, bool."""
        grey = volume.with_array(mask.astype(np.float32), units="", modality="")
        return self.enter(grey).array > 0.5

    def needed(self, region: Box, source: Volume, work: Volume) -> Box:
        """The voxels of ``work`` (which is ``enter(source)``) that :meth:`leave` makes a region of the source from."""
        turned = canonical(source) if self.canonical else source
        if _same_grid(work, turned):
            return covering(region, source, work)
        widths = _smoothing(work.geometry, turned.geometry)
        reach = tuple(2 + int(4 * width + 0.5) for width in widths)  # where scipy cuts a Gaussian off, and linearity
        return covering(region, source, work, reach)

    def leave(self, result: Volume, source: Volume, linear: bool = True) -> np.ndarray:
        """The array of ``result`` (made from ``enter(source)``, on the same grid) on the grid of ``source``.

        Both may be crops, if ``result`` holds what is :meth:`needed` for ``source``.
        """
        turned = canonical(source) if self.canonical else source
        if not _same_grid(result, turned):
            empty = Volume(np.broadcast_to(np.uint8(0), turned.grid_shape), turned.geometry)
            result = resampled(result, empty, linear=linear)
        if not self.canonical:
            return result.array
        permutation, flips = _turn(source.geometry)
        array = np.flip(result.array, [axis for axis in range(3) if flips[axis]])
        back = np.argsort(permutation)
        return np.transpose(array, (*back, *range(3, array.ndim)))


def canonical(volume: Volume) -> Volume:
    """The volume with its axes swapped and flipped so that they run nearest to right, anterior, superior."""
    permutation, flips = _turn(volume.geometry)
    if permutation == (0, 1, 2) and not any(flips):
        return volume
    array = np.transpose(volume.array, (*permutation, *range(3, volume.array.ndim)))
    array = np.flip(array, [axis for axis in range(3) if flips[axis]])
    geometry = volume.geometry
    # geometry counts i, j, k; array axes count k, j, i
    columns = [2 - permutation[2 - axis] for axis in range(3)]
    directions = geometry.directions[:, columns].copy()
    spacing_mm = geometry.spacing_mm[columns]
    origin_mm = geometry.origin_mm.copy()
    for axis in range(3):
        if flips[2 - axis]:
            last = array.shape[2 - axis] - 1
            origin_mm = origin_mm + directions[:, axis] * spacing_mm[axis] * last
            directions[:, axis] = -directions[:, axis]
    return volume.with_array(array, geometry=Geometry(origin_mm, spacing_mm, directions))


def cropped(volume: Volume, region: Box) -> Volume:
    """A box of a volume, where it lies; the voxels are not copied."""
    geometry = volume.geometry.shifted(region.start[::-1])
    return volume.with_array(volume.array[region.slices], geometry=geometry)


def covering(region: Box, source: Volume, grid: Volume, margin: Triple = (0, 0, 0)) -> Box:
    """The smallest box of ``grid`` that covers a box of the grid of ``source`` up to its outer voxel faces.

    Args:
        margin: voxels of ``grid`` along k, j, i to add on each side; the box ends where the grid ends.
    """
    faces = np.array([np.array(region.start[::-1]) - 0.5, np.array(region.stop[::-1]) - 0.5])
    corners = np.array([[*(faces[at, axis] for axis, at in enumerate(ends)), 1.0] for ends in np.ndindex(2, 2, 2)])
    there = np.linalg.solve(grid.geometry.ijk_to_ras, source.geometry.ijk_to_ras) @ corners.T
    low, high = there[:3].min(axis=1)[::-1] + 0.5, there[:3].max(axis=1)[::-1] + 0.5
    rounding = 1e-4  # of a voxel: what is left of a face that fell together with one of the other grid
    start = np.floor(low + rounding).astype(int) - margin
    stop = np.maximum(np.ceil(high - rounding).astype(int), start + 1) + margin
    start = np.clip(start, 0, np.array(grid.grid_shape) - 1)
    stop = np.clip(stop, start + 1, grid.grid_shape)
    return Box(tuple(start.tolist()), tuple(stop.tolist()))


def grid_of_spacing(volume: Volume, spacing_mm: tuple[float, float, float]) -> Volume:
    """An empty volume of exactly that spacing that covers the same box (outer voxel faces) as ``volume``.

    Raises:
        InputError: it would have more voxels than can be handled.
    """
    old = volume.geometry
    sizes = [
        max(1, round(size * before / after))
        for size, before, after in zip(volume.grid_shape[::-1], old.spacing_mm, spacing_mm, strict=True)
    ]
    if np.prod(sizes, dtype=float) > MOST_VOXELS:
        raise InputError(
            f"A grid of {spacing_mm} mm would have {'x'.join(map(str, sizes))} voxels; choose a coarser spacing or "
            "crop the volume first."
        )
    # centre both boxes on each other: a size that is no whole number of voxels leaves the rest on both sides
    before = (np.array(volume.grid_shape[::-1]) - 1) / 2
    after = (np.array(sizes) - 1) / 2
    centre = old.origin_mm + (old.directions * old.spacing_mm) @ before
    origin_mm = centre - (old.directions * np.asarray(spacing_mm, float)) @ after
    return Volume(
        np.broadcast_to(np.uint8(0), tuple(sizes[::-1])), Geometry(origin_mm, np.array(spacing_mm), old.directions)
    )


def resampled(volume: Volume, grid: Volume, linear: bool = False) -> Volume:
    """``volume`` on the grid of another one, float32; cubic B-spline or linear, edge values beyond the border.

    Where the new grid is coarser the volume is smoothed first, so that fine structure does not alias.
    """
    import SimpleITK as sitk

    array = volume.array.astype(np.float32)
    widths = _smoothing(volume.geometry, grid.geometry)
    if any(widths):
        from scipy import ndimage

        array = ndimage.gaussian_filter(array, (*widths, *[0.0] * (array.ndim - 3)))
    pad = 8
    padded = np.pad(array, [(pad, pad)] * 3 + [(0, 0)] * (array.ndim - 3), mode="edge")
    moved = volume.with_array(padded, geometry=volume.geometry.shifted((-pad, -pad, -pad))).to_sitk()
    empty = Volume(np.zeros((1, 1, 1), np.uint8), grid.geometry).to_sitk()
    method = sitk.sitkLinear if linear else sitk.sitkBSpline
    size = [int(extent) for extent in grid.grid_shape[::-1]]
    image = sitk.Resample(
        moved, size, sitk.Transform(), method, empty.GetOrigin(), empty.GetSpacing(), empty.GetDirection(),
        float(array.min()), sitk.sitkVectorFloat32 if array.ndim == 4 else sitk.sitkFloat32,
    )  # fmt: skip
    result = Volume.from_sitk(image, volume.units, volume.modality)
    values = np.clip(result.array, array.min(), array.max())  # a spline overshoots at edges
    return Volume(values, grid.geometry, volume.units, volume.modality)


def _smoothing(fine: Geometry, coarse: Geometry) -> tuple[float, float, float]:
    """Width along k, j, i, in fine voxels, of a Gaussian as wide as the coarser voxel less the finer one."""
    reach = np.maximum(0.0, (coarse.spacing_mm / fine.spacing_mm) ** 2 - 1.0)
    if (reach <= 0.1).all() or not np.allclose(fine.directions, coarse.directions, atol=1e-3):
        return 0.0, 0.0, 0.0
    return tuple((0.42 * np.sqrt(reach)[::-1]).tolist())


def _same_grid(volume: Volume, other: Volume) -> bool:
    return volume.grid_shape == other.grid_shape and volume.geometry.is_close(other.geometry)


def _turn(geometry: Geometry) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Array axes (k, j, i) in canonical order, and which of them then have to be flipped."""
    strength = np.abs(geometry.directions)  # rows R, A, S; columns i, j, k
    order: list[int] = [0, 0, 0]
    rows, columns = {0, 1, 2}, {0, 1, 2}
    while rows:  # the clearest match first, so that an oblique grid still gets three different axes
        row, column = max(((r, c) for r in rows for c in columns), key=lambda pair: strength[pair])
        order[row] = column
        rows.remove(row)
        columns.remove(column)
    permutation = tuple(2 - order[2 - axis] for axis in range(3))
    flips = tuple(bool(geometry.directions[2 - axis, order[2 - axis]] < 0) for axis in range(3))
    return permutation, flips


def _alike(spacing_mm: np.ndarray, wanted_mm: tuple[float, float, float]) -> bool:
    return bool(np.all(np.abs(np.asarray(spacing_mm) / np.asarray(wanted_mm) - 1) < SAME_SPACING))
