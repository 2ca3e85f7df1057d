"""Random patch pairs from a dataset, held and augmented on the device that trains.

A patch is a function of seed, step and its number within the (global) batch alone: a training resumes exactly, and two
processes with half a batch each see what one process sees with the whole.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import augment
from .dataset import Dataset
from .errors import InputError
from .generation import coordinates
from .held_images import Held, ImageHolder
from .intensity import Fitted
from .recipes.base import Recipe
from .tile_plan import Box, Triple


@dataclass
class Pair:
    """A patch pair on its way into a batch, torch tensors on the device.

    Args:
        source: physical ``(components, k, j, i)`` float32. target: likewise, on the grid of the result.
        mask: body, ``(1, k, j, i)`` float32 on the source grid, or None.
        fitted: scale of the source's volume. slices: which slices of the volume the source covers.
        extra: more images of the same batch position that a recipe wants, physical, by name.
        regions: gives a random crop of some training target, ``regions(shape) -> (components, k, j, i)``.
    """

    source: Any
    target: Any
    mask: Any
    fitted: Fitted
    slices: np.ndarray
    extra: dict[str, Any] = field(default_factory=dict)
    regions: Any = None


@dataclass
class Batch:
    """Network numbers of a step: ``(batch, channels, j, i)`` for 2-D networks, ``(batch, channels, k, j, i)`` else.

    Args:
        source: network input, context slices and coordinates included.
        target: what is to be learnt.
        mask: 1 in the body, on the grid of the target; None where the dataset has none.
        extra: further images a recipe asked for, scaled as the source is.
    """

    source: Any
    target: Any
    mask: Any = None
    extra: dict[str, Any] = field(default_factory=dict)


class PatchSampler:
    """Draws batches of patches, mostly inside the body, in network units.

    Args:
        dataset: its ``train`` split is held in memory, on the device if it fits there.
        recipe: patch and batch size, context, scales, augmentation.
        device: torch device of the batches, the CPU by default.
        process, processes: which part of the global batch to draw.

    Raises:
        InputError: the split is empty, an image is smaller than a patch, or patches do not fit the network.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe, device: Any = "cpu", process: int = 0, processes: int = 1):
        import torch

        self.recipe, self.spec, self.device = recipe, recipe.network_spec(), torch.device(device)
        self.shape, self.margin = recipe.patch_shape(), recipe.margin()
        self.first = process * recipe.batch_size
        self.target = recipe.target()
        self._check_shape()
        cases = dataset.split("train")
        if not cases:
            raise InputError(f"{dataset.folder} has no case in its train split, so there is nothing to learn from.")
        holder = ImageHolder(recipe, self.device)
        self.held = [holder.hold(dataset, case) for case in cases]
        self.sources = [held for held in self.held if held.source is not None]
        self.targets = [held for held in self.held if held.target is not None]
        if not self.sources or not self.targets:
            raise InputError(f"{dataset.folder} has only one side of the images in its train split; add the other.")

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        import torch

        parts = [self._sample(step, self.first + number) for number in range(self.recipe.batch_size)]
        stacked = {}
        for item in ("source", "target", "mask"):
            values = [getattr(part, item) for part in parts]
            stacked[item] = None if any(value is None for value in values) else torch.stack(values)
        extra = {name: torch.stack([part.extra[name] for part in parts]) for name in parts[0].extra}
        return Batch(**stacked, extra=extra)

    def _sample(self, step: int, number: int) -> Batch:
        """One patch pair, scaled and laid out for the network (no batch axis)."""
        generator = np.random.default_rng([self.recipe.seed, step, number])
        held = self.sources[generator.integers(len(self.sources))]
        plane = int(generator.choice(self.spec.planes)) if self.spec.dimensions == 2 else 0
        pair, start, fitted_shape = self._crop(held, plane, generator)
        if not self.recipe.PAIRED:
            other = self.targets[generator.integers(len(self.targets))]
            pair.target = self._crop(other, plane, generator, only_target=True)[0].target
        pair = self._turned(pair, plane, generator)
        pair.regions = lambda shape: self._region(shape, generator)
        pair = self._without_margin(self.recipe.augment(pair, generator))
        return self._laid_out(pair, start, fitted_shape)

    def _crop(
        self, held: Held, plane: int, generator: np.random.Generator, only_target: bool = False
    ) -> tuple[Pair, np.ndarray, Triple]:
        """A patch around a voxel of the body, with margin and context; slices taken across axis ``plane``."""
        reference = held.target if only_target else held.source
        factor = (1, 1, 1) if only_target and held.source is None else held.factor
        whole = tuple(size // f for size, f in zip(reference.shape[1:], factor, strict=True)) if only_target else (
            tuple(reference.shape[1:])
        )  # fmt: skip
        order = (plane, *[axis for axis in range(3) if axis != plane])
        shape = np.array([self.shape[order.index(axis)] for axis in range(3)])
        reach = np.array([self.margin[order.index(axis)] for axis in range(3)])
        if self.spec.dimensions == 2:
            reach[plane] += self.spec.context
        centre = held.centres[generator.integers(len(held.centres))]
        start = np.clip(centre - generator.integers(0, shape), 0, np.maximum(np.array(whole) - shape, 0))
        step = np.array([self.recipe.patch_step()[order.index(axis)] for axis in range(3)])
        start = start // step * step
        index = [
            np.clip(np.arange(s - r, s + n + r), 0, size - 1)
            for s, n, r, size in zip(start, shape, reach, whole, strict=True)
        ]

        def take(tensor: Any, factors: Triple) -> Any:
            if tensor is None:
                return None
            if factors != (1, 1, 1):
                fine = [(i[:, None] * f + np.arange(f)).ravel() for i, f in zip(index, factors, strict=True)]
            else:
                fine = index
            block = _taken(tensor, fine)
            return block.permute(0, *(1 + axis for axis in order)).float().to(self.device)

        pair = Pair(
            None if only_target else take(held.source, (1, 1, 1)),
            take(held.target, factor),
            None if only_target else take(held.mask, (1, 1, 1)),
            held.fitted,
            index[plane] if self.spec.dimensions == 2 else index[0],
        )
        return pair, start[list(order)], tuple(whole[axis] for axis in order)

    def _turned(self, pair: Pair, plane: int, generator: np.random.Generator) -> Pair:
        """Mirrored, transposed and rotated, everything alike."""
        recipe = self.recipe
        order = (plane, *[axis for axis in range(3) if axis != plane])  # axes of the volume as the patch has them
        flips = [order.index(axis) for axis in recipe.flip_axes() if generator.random() < 0.5] if recipe.flips else []
        swap = recipe.flips and recipe.transposes() and generator.random() < 0.5
        angle = generator.uniform(-1, 1) * recipe.rotation_degrees if recipe.rotation_degrees else 0.0

        def turn(tensor: Any) -> Any:
            if tensor is None:
                return None
            tensor = tensor.flip([1 + axis for axis in flips]) if flips else tensor
            tensor = tensor.transpose(-1, -2) if swap else tensor
            return augment.rotated(tensor, angle) if angle else tensor

        return dataclasses.replace(pair, source=turn(pair.source), target=turn(pair.target), mask=turn(pair.mask))

    def _without_margin(self, pair: Pair) -> Pair:
        if not any(self.margin):
            return pair

        def cut(tensor: Any, factor: Triple) -> Any:
            if tensor is None:
                return None
            inside = tuple(slice(m * f or None, -m * f or None) for m, f in zip(self.margin, factor, strict=True))
            return tensor[(slice(None), *inside)]

        one = (1, 1, 1)
        extra = {name: cut(tensor, one) for name, tensor in pair.extra.items()}
        slices = pair.slices[self.margin[0] or None : -self.margin[0] or None]
        return dataclasses.replace(
            pair,
            source=cut(pair.source, one),
            target=cut(pair.target, self.spec.scale),
            mask=cut(pair.mask, one),
            extra=extra,
            slices=slices,
        )

    def _laid_out(self, pair: Pair, start: np.ndarray, whole: Triple) -> Batch:
        """Network numbers: scaled, coordinates added, context slices turned into channels."""
        import torch

        target = self.target.encode(pair.target, pair.source, pair.fitted, pair.slices)
        source = pair.fitted.forward(pair.source, pair.slices)
        extra = {name: pair.fitted.forward(tensor, pair.slices) for name, tensor in pair.extra.items()}
        mask = pair.mask
        if self.spec.coordinates:
            box = Box(tuple(int(s) for s in start), tuple(int(s + n) for s, n in zip(start, self.shape, strict=True)))
            where = torch.from_numpy(coordinates(box, whole)).to(self.device)
            source = torch.cat([source, where])
        if mask is not None and self.spec.scale != (1, 1, 1):
            for axis, factor in enumerate(self.spec.scale):
                mask = mask.repeat_interleave(factor, dim=1 + axis)
        if self.spec.dimensions == 2:
            middle = self.spec.context
            source = source.transpose(0, 1).flatten(0, 1)  # by slice first, as SliceBySlice orders them
            target = target[:, middle]
            mask = None if mask is None else mask[:, middle]
            extra = {name: tensor.transpose(0, 1).flatten(0, 1) for name, tensor in extra.items()}
        return Batch(source, target, mask, extra)

    def _region(self, shape: Triple, generator: np.random.Generator) -> Any:
        """A random crop of some target, as large as ``shape`` or as its volume."""
        tensor = self.targets[generator.integers(len(self.targets))].target
        index = []
        for size, extent in zip(shape, tensor.shape[1:], strict=True):
            length = min(size, extent)
            begin = int(generator.integers(extent - length + 1))
            index.append(np.arange(begin, begin + length))
        return _taken(tensor, index).float().to(self.device)

    def _check_shape(self) -> None:
        for name, size, step in zip("kji", self.shape, self.spec.multiple, strict=True):
            if size % step and (name != "k" or self.spec.dimensions == 3):  # slices come one by one
                raise InputError(
                    f"The patch size of {size} voxels along {name} does not fit the network; it must be a multiple of "
                    f"{step}, such as {-(-size // step) * step} (parameter patch_size)."
                )


def _taken(tensor: Any, index: list[np.ndarray]) -> Any:
    """``tensor[:, k, j, i]`` of an open grid of indices; contiguous ranges are sliced, which is far faster."""
    import torch

    for axis, positions in enumerate(index):
        first, last = int(positions[0]), int(positions[-1])
        if last - first + 1 == len(positions):
            tensor = tensor.narrow(1 + axis, first, len(positions))
        else:
            tensor = tensor.index_select(1 + axis, torch.as_tensor(positions, device=tensor.device))
    return tensor
