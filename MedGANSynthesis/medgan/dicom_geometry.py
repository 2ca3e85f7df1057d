"""Check where DICOM slices lie, and compute their common grid.

General image readers take one slice distance for all slices and drop the tilt of a gantry, so a series with a missing
slice becomes a distorted volume without a word. Here every position is checked, and a series that is no regular grid is
refused with a sentence that says why.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import InputError
from .volume import Geometry

SAME_POSITION_MM = 1e-3
"""Slices closer than this along the normal are taken as being at the same position."""

SAME_ORIENTATION = 2e-3
"""Largest difference between direction cosines of one stack: what rounding to three digits leaves."""

ROUNDING_MM = 0.06
"""Headers that round positions to 0.1 mm displace a slice by half of that; a grid fitted to them must allow for it."""

RELATIVE_POSITION = 0.02
"""A slice may lie off its place in the regular grid by this fraction of the slice distance."""

SIDEWAYS_VOXELS = 0.25
"""A slice may lie beside the straight stack by this fraction of the smaller in-plane voxel size."""

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_REGULAR_HINT = (
    "load it in Slicer's DICOM module with acquisition geometry regularization, resample it to a regular grid and use "
    "the result."
)


@dataclass(frozen=True, eq=False)
class Slice:
    """One image plane of a DICOM series as its header describes it (world: LPS, mm)."""

    path: Path
    frame: int
    instance_uid: str
    rows: int
    columns: int
    position_mm: np.ndarray | None
    orientation: np.ndarray | None
    spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    slope: float
    intercept: float
    has_rescale: bool
    rescale_type: str


def arrange(slices: list[Slice], name: str) -> tuple[list[Slice], Geometry, list[str]]:
    """Sort slices along their normal and compute the grid they form.

    Args:
        slices: planes of one series in any order; not empty.
        name: how messages call the series.

    Returns:
        the slices in order of growing position along the normal, their RAS geometry, and notes for the user.

    Raises:
        InputError: the slices do not form one regular grid; the sentence says why.
    """
    _require_one_size(slices, name)
    if len(slices) == 1:
        return _single(slices[0])
    missing = sum(1 for s in slices if s.position_mm is None or s.orientation is None or s.spacing_mm is None)
    if missing:
        raise InputError(
            f"{name} has {len(slices)} images, but {missing} of them state no position, orientation or pixel spacing, "
            "so their grid is unknown; convert the series with a tool that knows its scanner (for example dcm2niix)."
        )
    axes = _require_one_orientation(slices, name)
    slices, notes = _without_copies(slices)
    if len(slices) == 1:
        ordered, geometry, single_notes = _single(slices[0])
        return ordered, geometry, notes + single_notes
    positions = np.stack([s.position_mm for s in slices])
    order = np.argsort(positions @ axes[:, 2], kind="stable")
    slices, positions = [slices[n] for n in order], positions[order]
    along = positions @ axes[:, 2]
    _require_distinct(along, name)
    column_mm, row_mm = slices[0].spacing_mm[1], slices[0].spacing_mm[0]
    _require_straight(positions, axes, min(column_mm, row_mm), name)
    distance_mm = _regular_distance(along, name, notes)
    geometry = Geometry(positions[0] * _LPS_TO_RAS, (column_mm, row_mm, distance_mm), axes * _LPS_TO_RAS[:, np.newaxis])
    return slices, geometry, notes


def _plane_axes(orientation: np.ndarray) -> np.ndarray:
    """3x3, columns: direction of growing column index, of growing row index, and their normal (LPS unit vectors)."""
    lengths = np.linalg.norm(orientation, axis=1)
    if not np.isfinite(orientation).all() or (np.abs(lengths - 1.0) > 0.01).any():
        raise InputError("The image orientation in the DICOM header is not valid; export the series again.")
    row, column = orientation / lengths[:, np.newaxis]
    if abs(row @ column) > SAME_ORIENTATION:
        raise InputError("Rows and columns are not perpendicular in the DICOM header; export the series again.")
    normal = np.cross(row, column)
    return np.stack([row, column, normal / np.linalg.norm(normal)], axis=1)


def _single(only: Slice) -> tuple[list[Slice], Geometry, list[str]]:
    notes = []
    spacing = only.spacing_mm
    if spacing is None:
        spacing = (1.0, 1.0)
        notes.append("The header states no pixel spacing; 1 mm is assumed.")
    thickness = only.thickness_mm
    if not thickness or thickness <= 0:
        thickness = 1.0
        notes.append("One slice of unknown thickness; 1 mm is assumed.")
    position, axes = np.zeros(3), np.eye(3)
    if only.position_mm is None or only.orientation is None:
        notes.append("The header states no position in the patient; the image is placed at the origin.")
    else:
        position, axes = only.position_mm, _plane_axes(only.orientation)
    geometry = Geometry(position * _LPS_TO_RAS, (spacing[1], spacing[0], thickness), axes * _LPS_TO_RAS[:, np.newaxis])
    return [only], geometry, notes


def _require_one_size(slices: list[Slice], name: str) -> None:
    def counted(keys: list[tuple[str, tuple]]) -> str:
        return ", ".join(f"{count} of {text}" for (text, _), count in Counter(keys).most_common())

    sizes = [(f"{s.columns}x{s.rows} pixels", (s.columns, s.rows)) for s in slices]
    if len(set(sizes)) > 1:
        raise InputError(f"{name} mixes images of different sizes ({counted(sizes)}); keep only those of one volume.")
    spacings = [(f"{s.spacing_mm[1]:.4g}x{s.spacing_mm[0]:.4g} mm", ()) for s in slices if s.spacing_mm]
    first = next((np.array(s.spacing_mm) for s in slices if s.spacing_mm), None)
    if any(s.spacing_mm and np.abs(np.array(s.spacing_mm) / first - 1.0).max() > 1e-3 for s in slices):
        raise InputError(f"{name} mixes pixel spacings ({counted(spacings)}); keep only the images of one volume.")


def _plane_name(axes: np.ndarray) -> str:
    normal = np.abs(axes[:, 2])
    return ("sagittal", "coronal", "axial")[int(normal.argmax())] if normal.max() > 0.9 else "oblique"


def _require_one_orientation(slices: list[Slice], name: str) -> np.ndarray:
    first = _plane_axes(slices[0].orientation)
    others = [s for s in slices if np.abs(s.orientation - slices[0].orientation).max() > SAME_ORIENTATION]
    if others:
        counts = Counter(_plane_name(_plane_axes(s.orientation)) for s in slices)
        planes = ", ".join(f"{count} {plane}" for plane, count in counts.most_common())
        raise InputError(
            f"{name} mixes orientations ({planes} images; {len(others)} of {len(slices)} are turned against the "
            "first), so it is no single volume; keep only the images of one orientation."
        )
    return first


def _without_copies(slices: list[Slice]) -> tuple[list[Slice], list[str]]:
    """Drop second copies of the very same image (same instance, same position), which exports often contain."""
    seen: dict[tuple, Slice] = {}
    for one in slices:
        seen.setdefault((one.instance_uid or str(one.path), one.frame, tuple(one.position_mm)), one)
    copies = len(slices) - len(seen)
    notes = [f"{copies} files are second copies of the same image and were ignored."] if copies else []
    return list(seen.values()), notes


def _require_distinct(along: np.ndarray, name: str) -> None:
    at_same = np.diff(along) < SAME_POSITION_MM
    if not at_same.any():
        return
    groups = np.split(along, np.flatnonzero(~at_same) + 1)
    sizes = {len(group) for group in groups}
    if len(sizes) == 1:
        per_position = sizes.pop()
        raise InputError(
            f"{name} holds {per_position} images at each of its {len(groups)} positions (time points, echoes or "
            "reconstructions); split it so that each folder holds one volume."
        )
    crowded = [group for group in groups if len(group) > 1]
    where = ", ".join(f"{group[0]:.2f}" for group in crowded[:3]) + (", ..." if len(crowded) > 3 else "")
    raise InputError(
        f"{name} has {sum(len(g) for g in crowded)} different images at {len(crowded)} duplicate positions "
        f"({where} mm along the slice normal); remove the images that do not belong to the volume."
    )


def _gap_range(along: np.ndarray) -> str:
    gaps = np.diff(along)
    return f"{gaps.min():.4g} to {gaps.max():.4g} mm"


def _require_straight(positions: np.ndarray, axes: np.ndarray, in_plane_mm: float, name: str) -> None:
    """Refuse stacks whose slices do not lie behind each other: tilted gantry, or slices moved sideways."""
    relative = positions - positions[0]
    along = relative @ axes[:, 2]
    sideways = relative @ axes[:, :2]
    if np.abs(sideways).max() <= SIDEWAYS_VOXELS * in_plane_mm:
        return
    drift = (along @ sideways) / (along @ along)
    uneven = np.abs(sideways - np.outer(along, drift)).max()
    if uneven > SIDEWAYS_VOXELS * in_plane_mm:
        raise InputError(
            f"The slices of {name} are moved sideways against each other by up to {np.abs(sideways).max():.3g} mm, "
            f"so they form no straight volume; {_REGULAR_HINT}"
        )
    tilt = np.degrees(np.arctan(np.linalg.norm(drift)))
    gaps = np.diff(along)
    uneven_gaps = gaps.max() - gaps.min() > max(ROUNDING_MM, RELATIVE_POSITION * gaps.mean())
    also = f", and its slice distances vary ({_gap_range(along)})" if uneven_gaps else ""
    raise InputError(
        f"{name} was acquired with a gantry tilt of {tilt:.1f} degrees{also}, so its voxels are skewed; {_REGULAR_HINT}"
    )


def _regular_distance(along: np.ndarray, name: str, notes: list[str]) -> float:
    """Slice distance in mm of a stack whose slices all lie on one regular grid."""
    count = len(along)
    distance = (along[-1] - along[0]) / (count - 1)
    index = np.arange(count)
    off_grid = np.abs(along - np.polyval(np.polyfit(index, along, 1), index)).max()
    gaps = np.diff(along)
    allowed = max(ROUNDING_MM, RELATIVE_POSITION * gaps.min())
    if off_grid <= min(allowed, 0.2 * gaps.min()):
        if off_grid > 0.01:
            notes.append(
                f"Slice positions are off a regular grid by up to {off_grid:.3f} mm; the mean distance "
                f"{distance:.4g} mm is used."
            )
        return float(distance)
    smallest = np.median(gaps[gaps < 1.2 * gaps.min()])
    steps = np.round(gaps / smallest)
    if (np.abs(gaps - steps * smallest) <= allowed * steps).all() and (steps > 1).any():
        raise InputError(_missing_sentence(along, gaps, steps, smallest, name))
    raise InputError(
        f"The slice distances of {name} vary from {_gap_range(along)}, so it is no regular volume; {_REGULAR_HINT}"
    )


def _missing_sentence(along: np.ndarray, gaps: np.ndarray, steps: np.ndarray, smallest: float, name: str) -> str:
    holes = np.flatnonzero(steps > 1)
    where = ", ".join(f"{gaps[n]:.4g} mm after {along[n]:.2f} mm" for n in holes[:3])
    missing = int((steps - 1).sum())
    slices = "slice is" if missing == 1 else "slices are"
    return (
        f"{missing} {slices} missing in {name}: slices are {smallest:.4g} mm apart, but there are gaps of {where}"
        f"{', ...' if len(holes) > 3 else ''} (position along the slice normal); export or copy the series again."
    )
