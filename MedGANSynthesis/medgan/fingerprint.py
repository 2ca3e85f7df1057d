"""Fingerprint of a dataset: what a training has to know of its images to be planned, read from them once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from .dataset import SPLITS, Dataset
from .errors import InputError
from .recipes.base import Recipe
from .volume import Volume
from .working_grid import canonical, grid_of_spacing

_SAMPLED = 20_000
_PERCENTILES = (1, 50, 99)


def fingerprint(dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """Facts of a dataset, JSON-ready.

    Returns:
        ``cases`` by split and ``patients`` of the training; ``case_list``, a hash of what is in which split; and of
        the training cases ``smallest``, ``median`` and ``largest`` extents along i, j, k on the grid that the recipe
        works on (each axis by itself), ``spacing_mm`` (lowest and highest along i, j, k), ``voxels`` of all sources
        on that grid, ``bytes`` of all images, and percentiles of source and target values.

    Raises:
        InputError: there is no training case, or an image cannot be used.
    """
    cases = dataset.split("train")
    if not cases:
        raise InputError(f"{dataset.folder} has no case in its train split, so there is nothing to learn from.")
    extents, spacings, values, size = [], [], {"source": [], "target": []}, 0
    for case in cases:
        source, target = dataset.volumes(case)
        for name, volume in (("source", source), ("target", target)):
            if volume is not None:
                values[name].append(_sample(volume.array))
                size += volume.array.nbytes
        reference, factor = (source, (1, 1, 1)) if source is not None else (target, recipe.network_spec().scale)
        shape = working_shape(reference, recipe)
        extents.append([size // step for size, step in zip(shape, factor, strict=True)][::-1])
        spacings.append(reference.geometry.spacing_mm)
    extents, spacings = np.array(extents), np.array(spacings)
    return {
        "cases": {split: len(dataset.split(split)) for split in SPLITS},
        "patients": len({case.patient for case in cases}),
        "case_list": case_list(dataset),
        "smallest": extents.min(axis=0).tolist(),
        "median": np.median(extents, axis=0).astype(int).tolist(),
        "largest": extents.max(axis=0).tolist(),
        "spacing_mm": [spacings.min(axis=0).round(4).tolist(), spacings.max(axis=0).round(4).tolist()],
        "voxels": int(extents.prod(axis=1).sum()),
        "bytes": size,
        "percentiles": {name: _percentiles(parts) for name, parts in values.items() if parts},
    }


def case_list(dataset: Dataset) -> str:
    """SHA-256 of which images are in which split, to see whether a dataset is still the same."""
    cases = [
        (case.id, case.patient, case.source, case.target, case.split, dict(case.sha256))
        for case in sorted(dataset.cases, key=lambda case: case.id)
    ]
    return hashlib.sha256(json.dumps(cases).encode()).hexdigest()


def working_shape(volume: Volume, recipe: Recipe) -> tuple[int, int, int]:
    """Extents along k, j, i of a volume on the grid its recipe works on."""
    grid = recipe.network_spec().working_grid
    empty = Volume(np.broadcast_to(np.uint8(0), volume.grid_shape), volume.geometry)
    empty = canonical(empty) if grid.canonical else empty
    return (empty if grid.spacing_mm is None else grid_of_spacing(empty, grid.spacing_mm)).grid_shape


def _sample(array: np.ndarray) -> np.ndarray:
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLED)].astype(np.float32)


def _percentiles(parts: list[np.ndarray]) -> dict[str, float]:
    values = np.percentile(np.concatenate(parts), _PERCENTILES)
    return {str(percentile): round(float(value), 4) for percentile, value in zip(_PERCENTILES, values, strict=True)}
