"""A slice of a fixed validation case, generated again and again: what people look at while a network learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dataset import Dataset
from .network import NetworkSpec
from .recipes.base import Recipe
from .training_events import SampleDrawn
from .volume import Volume
from .working_grid import canonical

SOFT_TISSUE_HU = (-160.0, 240.0)
HEAD_HU = (-200.0, 1000.0)
_MOST_NEIGHBOURS = 12  # slices on each side of a 3-D network's; a deep network's halo would take the whole volume


class FixedSlice:
    """The middle slice of the first validation case (of the training where there is none).

    Only the slices around it are computed, so an image costs a fraction of a validation; where a network counts
    positions in the volume, all are.

    Args:
        dataset: where the case is read from, once.
        recipe: scales and target.
        spec: of the generator, halo included.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe, spec: NetworkSpec):
        self._recipe, self._spec = recipe, spec
        cases = [*dataset.split("validation"), *dataset.split("train")]
        self._case = next(case for case in cases if case.source)  # the sampler has seen that there is one
        source, truth = dataset.volumes(self._case)
        if spec.canonical:
            source, truth = canonical(source), None if truth is None else canonical(truth)
        middle = source.grid_shape[0] // 2
        around = source.grid_shape[0] if spec.coordinates else self._neighbours()
        first, last = max(0, middle - around), min(source.grid_shape[0], middle + around + 1)
        self._source = _slab(source, first, last)
        self._at = (middle - first) * spec.scale[0] + spec.scale[0] // 2
        self._fixed = {"input": _slice(source, middle)}
        if truth is not None:
            self._fixed["truth"] = _slice(truth, middle * spec.scale[0] + spec.scale[0] // 2)

    def draw(self, generator: Any, epoch: int, step: int, device: str) -> SampleDrawn:
        """What ``generator`` (in evaluation mode, on ``device``) makes of it after so many epochs and steps."""
        from .synthesizer import generate

        recipe = self._recipe
        result = generate(generator, self._spec, recipe.source_scale(), recipe.target(), self._source, device)
        slices = {**self._fixed, "output": _slice(result, self._at)}
        images = {name: volume.array[0] for name, volume in slices.items()}
        same_kind = recipe.target().keeps_source
        window = window_of(result.units, images.get("truth", images["output"]), same_kind)
        input_window = None if same_kind else window_of(self._source.units, images["input"], True)
        geometries = {name: volume.geometry.to_dict() for name, volume in slices.items()}
        return SampleDrawn(
            epoch, step, self._case.id, images, result.units, window, input_window, self._source.units, geometries
        )

    def _neighbours(self) -> int:
        if self._spec.dimensions == 2 and self._spec.planes == (0,):
            return self._spec.context
        halo = self._spec.halo[0] if self._spec.halo else None
        return _MOST_NEIGHBOURS if halo is None else min(halo, _MOST_NEIGHBOURS)


def window_of(units: str, image: np.ndarray, same_kind: bool) -> tuple[float, float]:
    """Values to show black and white: a CT window for HU, 0 to 255 for colors, else the range of the image."""
    if image.ndim == 3:
        return (0.0, 255.0)
    if units == "HU":
        return SOFT_TISSUE_HU if same_kind else HEAD_HU
    low, high = (float(value) for value in np.percentile(image, (0.5, 99.5)))
    return (low, high) if high > low else (low, low + 1.0)


def _slab(volume: Volume, first: int, last: int) -> Volume:
    return volume.with_array(volume.array[first:last], geometry=volume.geometry.shifted((0, 0, first)))


def _slice(volume: Volume, k: int) -> Volume:
    """One slice as float32, copied so that the rest can go."""
    k = min(k, len(volume.array) - 1)
    slab = _slab(volume, k, k + 1)
    return slab.with_array(np.array(slab.array, np.float32))
