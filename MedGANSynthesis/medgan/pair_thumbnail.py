"""A small picture of a pair: source, target in the same place, and both as a checkerboard, through the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .volume import Geometry, Volume

PANEL = 160
"""Pixels along the longer side of a panel."""
SQUARES = 8
_GAP = 4
_CT_WINDOW_HU = (-160.0, 240.0)


def pair_thumbnail(source: Volume | None, target: Volume | None) -> np.ndarray:
    """Panels side by side: source, target, checkerboard; of a single image one panel.

    They show the middle slice of the source that is nearest to axial, nose up and the patient's right on the left;
    of pictures the picture as it is stored.

    Returns:
        uint8 ``(rows, columns, 3)``.
    """
    first = source if source is not None else target
    plane = _middle_plane(first)
    panels = [_panel(volume, plane) for volume in (source, target) if volume is not None]
    if len(panels) == 2:
        panels.append(checkerboard(*panels))
    gap = np.zeros((panels[0].shape[0], _GAP, 3), np.uint8)
    parts = [part for panel in panels for part in (panel, gap)]
    return np.concatenate(parts[:-1], axis=1)


def checkerboard(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squares of two pictures ``(rows, columns, 3)`` in turn."""
    rows, columns = one.shape[:2]
    side = max(rows, columns) / SQUARES
    dark = (np.arange(rows)[:, np.newaxis] // side + np.arange(columns) // side) % 2 == 1
    return np.where(dark[..., np.newaxis], other, one)


def write_png(picture: np.ndarray, path: Path) -> None:
    """Write uint8 ``(rows, columns, 3)`` as PNG."""
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(path))


def _middle_plane(volume: Volume) -> Volume:
    """A grid of one slice through the middle with square pixels: columns to the left, rows to the back."""
    geometry, sizes = volume.geometry, np.array(volume.grid_shape[::-1])
    columns, rows, through = 0, 1, 2
    signs = np.ones(3)
    if sizes[2] > 1:
        world = np.abs(geometry.directions).argmax(axis=0)
        if sorted(world) == [0, 1, 2]:
            columns, rows, through = (int(np.flatnonzero(world == axis)[0]) for axis in (0, 1, 2))
        signs = np.array([-np.sign(geometry.directions[world[n], n]) for n in range(3)])  # to the left, to the back
    extents = sizes * geometry.spacing_mm
    pixel_mm = max(extents[columns], extents[rows]) / PANEL
    counts = [max(1, round(extents[axis] / pixel_mm)) for axis in (columns, rows)]
    steps = [geometry.directions[:, axis] * signs[axis] for axis in (columns, rows)]
    center = (geometry.ijk_to_ras @ [*((sizes - 1) / 2), 1.0])[:3]
    if sizes[through] % 2 == 0:  # between two slices everything is blurred
        center = center + geometry.directions[:, through] * geometry.spacing_mm[through] / 2
    origin = center - sum(step * pixel_mm * (count - 1) / 2 for step, count in zip(steps, counts, strict=True))
    directions = np.stack([*steps, geometry.directions[:, through]], axis=1)
    grid = Geometry(origin, (pixel_mm, pixel_mm, geometry.spacing_mm[through]), directions)
    return Volume(np.zeros((1, counts[1], counts[0]), np.uint8), grid)


def _panel(volume: Volume, plane: Volume) -> np.ndarray:
    """The image there as RGB, uint8."""
    from .registration import resample

    values = resample(volume, plane)[0].array[0].astype(np.float32)
    if volume.channels > 1:
        return np.clip(values[..., :3], 0, 255).astype(np.uint8)
    low, high = _CT_WINDOW_HU if volume.units == "HU" else np.percentile(volume.array, (1.0, 99.5))
    grey = np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.repeat(np.rint(grey).astype(np.uint8)[..., np.newaxis], 3, axis=2)
