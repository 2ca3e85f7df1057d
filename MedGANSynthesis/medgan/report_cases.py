"""What a report keeps of a case: one slice of every image to look at, and a sample of voxels to plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .dataset import Case
from .metrics import staining
from .metrics.judges import Reference
from .volume import Volume

SAMPLED_VOXELS = 20_000
TRUTH = "truth"
SOURCE = "source"


@dataclass(frozen=True)
class CaseRecord:
    """One case of a report.

    Args:
        case, patient: names.
        values: ``<method>_<metric>`` to value.
        pictures: ``source``, ``truth`` and the result of every method, each one slice ``(rows, columns[, 3])``.
        errors: method to the slice's error: result minus truth in ``units``, dE2000 for color; empty without truth.
        samples: method to the values of sampled voxels of the mask (luma for color), and ``truth`` to theirs.
        units: of the values, "HU" or "" for an arbitrary scale.
        value_range: range of the metrics, in those units.
        aspect: height of a pixel relative to its width.
        plane: where the slice is, such as "slice k = 12".
        box: first and last row, first and last column that are worth showing.
    """

    case: str
    patient: str
    values: dict[str, float]
    pictures: dict[str, np.ndarray]
    errors: dict[str, np.ndarray] = field(default_factory=dict)
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    units: str = ""
    value_range: tuple[float, float] = (0.0, 1.0)
    aspect: float = 1.0
    plane: str = ""
    box: tuple[int, int, int, int] | None = None

    @classmethod
    def of(
        cls, case: Case, reference: Reference, has_truth: bool, made: Mapping[str, Volume], row: Mapping[str, Any]
    ) -> CaseRecord:
        """Record a case.

        Args:
            reference: source, truth and mask. has_truth: whether the truth is one.
            made: method to its result, on the grid of the truth.
            row: metrics of the case.
        """
        source, truth = reference.source, reference.truth
        axis = viewing_axis(source, truth)
        others = tuple(other for other in range(3) if other != axis)
        index = int(np.argmax(reference.mask.sum(axis=others)))

        def picture(volume: Volume) -> np.ndarray:
            place = index * volume.grid_shape[axis] // truth.grid_shape[axis]  # a coarse source has fewer slices
            return _upright(np.take(volume.array, place, axis), axis)

        pictures = {SOURCE: picture(source), **{name: picture(image) for name, image in made.items()}}
        errors: dict[str, np.ndarray] = {}
        samples: dict[str, np.ndarray] = {}
        if has_truth:
            pictures[TRUTH] = picture(truth)
            errors = {name: error_of(pictures[TRUTH], pictures[name]) for name in made}
            samples = _samples(reference, made)
        high_mm, wide_mm = truth.geometry.spacing_mm[::-1][list(others)]
        return cls(
            case.id,
            case.patient,
            {key: value for key, value in row.items() if isinstance(value, float)},
            {name: _compact(content) for name, content in pictures.items()},
            errors,
            samples,
            truth.units,
            reference.value_range,
            float(high_mm / wide_mm),
            f"slice {'kji'[axis]} = {index}",
            _box(picture(truth.with_array(reference.mask.astype(np.uint8)))),
        )


def viewing_axis(source: Volume, truth: Volume) -> int:
    """Array axis to look along: k, or j where only the resolution along k was to be improved."""
    factors = np.array(truth.grid_shape) / np.array(source.grid_shape)
    return 1 if factors[0] > max(factors[1:]) and truth.grid_shape[0] > 1 else 0


def error_of(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Result minus truth of a slice in its units, float32; for color the dE2000 of each pixel."""
    if truth.ndim == 3:
        return staining.color_difference(truth, image)
    return image.astype(np.float32) - truth.astype(np.float32)


def _samples(reference: Reference, made: Mapping[str, Volume]) -> dict[str, np.ndarray]:
    places = np.flatnonzero(reference.mask)
    if len(places) > SAMPLED_VOXELS:
        places = np.random.default_rng(0).choice(places, SAMPLED_VOXELS, replace=False)
    images = {TRUTH: reference.truth, **made}
    return {name: _scalar(image.array.reshape(-1, *image.array.shape[3:])[places]) for name, image in images.items()}


def _scalar(values: np.ndarray) -> np.ndarray:
    return (staining.luma(values) if values.ndim == 2 else values).astype(np.float32)


def _upright(picture: np.ndarray, axis: int) -> np.ndarray:
    """Slices across j have k upwards, where the head is."""
    return picture[::-1] if axis == 1 else picture


def _compact(picture: np.ndarray) -> np.ndarray:
    """Little memory is worth more here than the last digit."""
    return picture if picture.dtype.kind in "iu" else picture.astype(np.float32)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row and column of a slice's mask, with a margin; of the whole slice where there is no mask."""
    ends = []
    for axis in (0, 1):
        hit = np.flatnonzero(mask.any(axis=1 - axis))
        first, last = (hit[0], hit[-1]) if hit.size else (0, mask.shape[axis] - 1)
        margin = max(2, (last - first) // 20)
        ends += [int(max(first - margin, 0)), int(min(last + margin, mask.shape[axis] - 1))]
    return ends[0], ends[1], ends[2], ends[3]
