"""Error maps: where and by how much a generator is wrong, one volume per case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Case
from .image_io import write_volume
from .volume import Volume

ERROR_MAPS = "error-maps"
COLOR_UNITS = "dE2000"
_LIMIT_PERCENTILE = 99.5
_MOST_VOXELS = 1_000_000


def error_volume(truth: Volume, made: Volume) -> Volume:
    """Result minus truth of every voxel, float32, on the grid of the truth and in its units; of color the dE2000."""
    if truth.channels == 1:
        return truth.with_array(made.array.astype(np.float32) - truth.array.astype(np.float32))
    from .metrics.staining import color_difference

    return truth.with_array(color_difference(truth.array, made.array), units=COLOR_UNITS, modality="")


class ErrorMaps:
    """Writes the error maps of an evaluation as NRRD.

    Args:
        folder: where to. methods: which methods are worth a map, with their labels.

    Attributes:
        rows: what was written: ``case``, ``patient``, ``method``, ``path`` (below the folder of the evaluation),
            ``units``, ``limit`` (what nearly all errors stay below, whatever their sign).
    """

    def __init__(self, folder: Path, methods: Mapping[str, str]):
        self._folder, self._methods = folder, methods
        self.rows: list[dict[str, Any]] = []

    def add(self, case: Case, truth: Volume, made: Mapping[str, Volume]) -> None:
        """Write those of a case. Raises InputError: the disk is full."""
        for method in self._methods:
            error = error_volume(truth, made[method])
            name = f"{len(self.rows) + 1:03d}-{_safe(case.id)}-{method}.nrrd"  # two ids may look alike once safe
            note = f"Error of '{self._methods[method]}': output minus truth"
            write_volume(error, self._folder / name, {"Case": case.id, "Note": note})
            facts = {"case": case.id, "patient": case.patient, "method": method}
            self.rows.append({**facts, "path": f"{ERROR_MAPS}/{name}", "units": error.units, "limit": _limit(error)})


def _limit(error: Volume) -> float:
    """From a sample of the voxels that differ at all; 0 where there are none."""
    flat = np.abs(error.array.reshape(-1)[:: max(1, error.array.size // _MOST_VOXELS)])
    flat = flat[np.isfinite(flat) & (flat > 0)]
    return float(np.percentile(flat, _LIMIT_PERCENTILE)) if flat.size else 0.0


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text)[:60]
