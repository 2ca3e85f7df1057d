"""Training images as they are held on the device: on the network's grid, with the scale and the body of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .body_mask import body_mask
from .dataset import Case, Dataset
from .errors import InputError
from .fitted_source import as_shown
from .intensity import Fitted
from .modalities import MODALITIES, components
from .recipes.base import Recipe
from .tile_plan import Triple
from .volume import Volume

_CENTRES = 20_000


@dataclass
class Held:
    """A training pair on the device, components first; missing partners of unpaired data are None."""

    source: Any
    target: Any
    mask: Any
    fitted: Fitted | None
    centres: np.ndarray
    factor: Triple


class ImageHolder:
    """Prepares the cases of a training and puts them on its device.

    Args:
        recipe: grid, scales and sizes of the patches.
        device: torch device of the training; what does not fit there stays in pinned memory of the host.
    """

    def __init__(self, recipe: Recipe, device: Any):
        self.recipe, self.spec, self.device = recipe, recipe.network_spec(), device
        self.shape, self.target = recipe.patch_shape(), recipe.target()
        self.room_bytes = self._room_bytes()

    def hold(self, dataset: Dataset, case: Case) -> Held:
        """Read, check and prepare a case as :class:`~medgan.generation.Generation` would show it to the network.

        Raises:
            InputError: it cannot be read, has other components than the task takes, lacks its target, or is smaller
                than a patch.
        """
        source, target = dataset.volumes(case)
        _check_components(case.id, self.recipe.TASK, source, target)
        if self.recipe.PAIRED and source is not None and target is None:
            raise InputError(
                f"Case {case.id} has no target, but {self.recipe.TASK} learns from pairs; take the case out of the "
                "train split, or choose a task for unpaired images."
            )
        mask = dataset.mask(case)
        if mask is None and self.spec.body_only and source is not None:
            mask = body_mask(source)
        grid = self.spec.working_grid
        body = None
        if mask is not None and source is not None:
            body = grid.enter_mask(mask, source)
        if target is not None and self.target.outside is not None and not self.recipe.PAIRED:
            target = target.with_array(np.where(body_mask(target), target.array, self.target.outside))  # no table
        source, target = (None if volume is None else grid.enter(as_shown(volume)) for volume in (source, target))
        for volume in (source, target):
            if volume is not None:
                self._check_size(case.id, volume, self.spec.scale if volume is target else (1, 1, 1))
        fitted = None if source is None else self.recipe.source_scale().fit(source.array)
        if self.spec.body_only and source is not None:  # as in Generation
            source = source.with_array(np.where(body, source.array, source.array.min()))
        inside = body
        if inside is None:
            array = (target if source is None else source).array
            array = array if array.ndim == 3 else 255.0 - array.mean(axis=3)  # slides: tissue is what is not white
            inside = array > array.mean(dtype=np.float64)
        return Held(
            self._tensor(source), self._tensor(target), None if body is None else self._tensor(source.with_array(
                body.astype(np.uint8))), fitted, _some_voxels(inside), self.spec.scale,
        )  # fmt: skip

    def _tensor(self, volume: Volume | None) -> Any:
        """Components first, in the type of the file, on the device if there is room."""
        import torch

        if volume is None:
            return None
        array = volume.array if volume.array.ndim == 4 else volume.array[..., np.newaxis]
        array = np.moveaxis(array, -1, 0)
        if array.dtype in (np.uint16, np.uint32, np.uint64, np.int64, np.float64):  # torch lacks some of them
            array = array.astype(np.int32 if array.dtype == np.uint16 else np.float32)
        tensor = torch.from_numpy(np.array(array, order="C"))  # a copy: files are read into memory not to be written
        if self.device.type != "cuda":
            return tensor
        if tensor.nbytes > self.room_bytes:
            return tensor.pin_memory()
        self.room_bytes -= tensor.nbytes
        return tensor.to(self.device)

    def _room_bytes(self) -> int:
        """What images may take of the device's memory; the networks, which come later, need the rest."""
        import torch

        return torch.cuda.mem_get_info(self.device)[0] // 3 if self.device.type == "cuda" else 0

    def _check_size(self, case: str, volume: Volume, factor: Triple) -> None:
        for name, size, extent, step, f in zip(
            "kji", self.shape, volume.grid_shape, self.spec.multiple, factor, strict=True
        ):
            if extent // f < size:
                most = extent // f // step * step
                smallest = type(self.recipe).__dataclass_fields__["patch_size"].metadata["minimum"] or 1
                raise InputError(
                    f"Case {case} has {extent // f} voxels along {name}, fewer than a patch ({size}); "
                    + (f"set patch_size to {most} or less there." if most >= smallest else "leave it out.")
                )


def _check_components(case: str, task: str, source: Volume | None, target: Volume | None) -> None:
    for volume, modality in zip((source, target), MODALITIES.get(task, ("", "")), strict=True):
        wanted = components(modality)
        if volume is not None and volume.channels != wanted:
            raise InputError(
                f"Case {case} has an image of {volume.channels} component(s) per voxel, but {task} learns from images "
                f"of {wanted}; leave it out of the dataset."
            )


def _some_voxels(inside: np.ndarray) -> np.ndarray:
    """At most ``_CENTRES`` indices (k, j, i) of voxels inside, evenly spread; of all voxels if none is."""
    flat = np.flatnonzero(inside)
    if not flat.size:
        flat = np.arange(inside.size)
    chosen = flat[:: max(1, flat.size // _CENTRES)]
    return np.stack(np.unravel_index(chosen, inside.shape), axis=1)
