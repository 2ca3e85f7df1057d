"""A generator ready to run: numpy block in, numpy block out, on a device, with its footprint known."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError
from .tile_plan import Footprint, Triple
from .working_grid import WorkingGrid

PLANES = {"axial": (0,), "all": (0, 1, 2)}
"""Axes (of k, j, i) across which the slices of an orientation are taken."""
_SLICES_AT_ONCE = 8


@dataclass(frozen=True)
class NetworkSpec:
    """What has to be known of a generator to run it on a volume.

    Args:
        dimensions: 2 for a network that takes slices, 3 for one that takes blocks.
        in_channels: components of the source.
        out_channels: components of the result; further network outputs are ignored.
        context: neighbouring slices on each side that a 2-D network sees.
        multiple: sizes along (k, j, i) have to be multiples of this.
        scale: output voxels per input voxel along (k, j, i).
        halo: input voxels along (k, j, i) on each side that an output voxel depends on, None where unbounded.
        coordinates: the last three of ``in_channels`` are the position along k, j, i in the whole volume, -1 to 1.
        planes: axes (of k, j, i) across which a 2-D network takes its slices; the results of several are averaged.
        canonical: the volume is turned to right-anterior-superior axes first, so that k slices are axial.
        spacing_mm: spacing along i, j, k that the volume is resampled to first, None for its own.
        body_only: what lies outside the body is shown to the network as the smallest value of the volume.
        tile: the only sizes along (k, j, i) that a foreign network takes, None where it takes any.
    """

    dimensions: int = 2
    in_channels: int = 1
    out_channels: int = 1
    context: int = 0
    multiple: Triple = (1, 1, 1)
    scale: Triple = (1, 1, 1)
    halo: tuple[int | None, int | None, int | None] | None = (0, 0, 0)
    coordinates: bool = False
    planes: tuple[int, ...] = (0,)
    canonical: bool = False
    spacing_mm: tuple[float, float, float] | None = None
    body_only: bool = False
    tile: tuple[int | None, int | None, int | None] | None = None

    def __post_init__(self) -> None:
        for name in ("multiple", "scale", "halo", "planes", "spacing_mm", "tile"):  # JSON gives lists
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def footprint(self) -> Footprint:
        """The same as the tiling needs it."""
        return Footprint(self.halo, self.multiple, self.scale, self.tile)

    @property
    def working_grid(self) -> WorkingGrid:
        """The grid the network works on."""
        return WorkingGrid(self.canonical, self.spacing_mm)

    @property
    def can_turn(self) -> bool:
        """Whether the network may be given other slices than it says: it knows what is axial, and no neighbors."""
        averages = len(self.planes) > 1  # it learnt from all of them
        return self.dimensions == 2 and self.tile is None and (averages or (self.canonical and self.context == 0))

    def oriented(self, orientations: str) -> NetworkSpec:
        """The same 2-D network on axial slices or averaged over "all" three orientations; "model" is itself.

        Raises:
            InputError: it is three-dimensional, sees neighboring slices, or takes slices as they were acquired.
        """
        if orientations == "model" or PLANES[orientations] == self.planes:
            return self
        if not self.can_turn:
            raise InputError("This model works in the orientation it was made for; leave the orientations at 'model'.")
        return self._across(PLANES[orientations])

    def _across(self, planes: tuple[int, ...]) -> NetworkSpec:
        """With other planes, the halo and the sizes along each axis following from those within a slice."""
        # several planes tell only the largest of what is needed along rows and columns
        known = [axis for axis in range(3) if axis not in self.planes] if len(self.planes) == 1 else [0, 1, 2]
        halos, multiples = self.footprint.halos, self.multiple
        within = [halos[axis] for axis in known]
        reach = None if None in within else max(within)
        step = math.lcm(*(multiples[axis] for axis in known))
        halo, multiple = [], []
        for axis in range(3):
            in_plane = any(axis != plane for plane in planes)
            across = axis in planes
            halo.append((None if reach is None else max(reach, across * self.context)) if in_plane else self.context)
            multiple.append(step if in_plane else 1)
        return dataclasses.replace(self, planes=planes, halo=tuple(halo), multiple=tuple(multiple))


class IdentityNetwork:
    """Gives back what it gets, enlarged by its scale; needs no torch. The first test of every path through MedGAN."""

    spec = NetworkSpec()
    device_name = "cpu"
    seconds = 0.0
    fallback = None

    def take(self, spec: NetworkSpec) -> None:
        """From now on be fed as another specification says."""
        self.spec = spec

    def return_to_device(self) -> None:
        """It has none."""

    def tile_voxels(self) -> int | None:
        """No limit."""
        return None

    def predict(self, block: np.ndarray) -> np.ndarray:
        """The block itself, its voxels repeated if the grid of the result is finer."""
        for axis, factor in enumerate(self.spec.scale, start=1):
            block = block if factor == 1 else np.repeat(block, factor, axis)
        return block


class TorchNetwork:
    """A torch generator on a device.

    Args:
        generator: torch module in evaluation mode; takes ``(batch, channels, [k,] j, i)`` in network units.
        spec: how to feed it.
        device: torch device; see :func:`medgan.device.choose_device`. The generator goes there with
            :meth:`return_to_device`, before each volume: a full device then is a matter of falling back.
    """

    def __init__(self, generator: Any, spec: NetworkSpec, device: Any):
        import torch

        self.spec = spec
        self.wanted_device = device
        self.device = torch.device("cpu")
        self.seconds = 0.0
        self.generator = generator.eval().requires_grad_(False)
        self.module = as_volume_network(self.generator, spec).to(self.device)
        self._modules = {spec: self.module}  # the same weights in several orientations
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # ten bits of mantissa would show as seams between tiles
        if spec.dimensions == 2:
            self.module = self.module.to(memory_format=torch.channels_last)

    @property
    def device_name(self) -> str:
        """Name for provenance, such as "cpu" or "cuda:0 (NVIDIA H200)"."""
        import torch

        return (
            f"{self.device} ({torch.cuda.get_device_name(self.device)})"
            if self.device.type == "cuda"
            else str(self.device)
        )

    def take(self, spec: NetworkSpec) -> None:
        """From now on run with other planes, see :meth:`NetworkSpec.oriented`."""
        if spec not in self._modules:
            self._modules[spec] = as_volume_network(self.generator, spec).to(self.device)
        self.spec, self.module = spec, self._modules[spec]

    def return_to_device(self) -> None:
        """Move to the device asked for, also after a lack of memory moved an earlier volume to the CPU."""
        if self.device != self.wanted_device:
            self.device = self.wanted_device
            self.module.to(self.device)

    def tile_voxels(self) -> int | None:
        """Input voxels of the largest tile the free memory of the device allows."""
        from .memory import plan_tile_voxels

        tile = self.spec.tile or (None, None, None)
        fixed = [size for size in tile if size is not None]
        if len(fixed) == self.spec.dimensions:  # nothing to plan; slices go through it some at a time
            return _SLICES_AT_ONCE * math.prod(fixed)
        steps = tuple(size or step for size, step in zip(tile, self.spec.multiple, strict=True))
        return plan_tile_voxels(self.module, self.spec.in_channels, steps, self.device)

    def predict(self, block: np.ndarray) -> np.ndarray:
        """Result ``(channels, k, j, i)`` of a float32 block ``(channels, k, j, i)``; adds to ``seconds``."""
        import torch

        started = time.monotonic()
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(block)).to(self.device)
            result = self.module(tensor[None])[0, : self.spec.out_channels].float().cpu().numpy()
        self.seconds += time.monotonic() - started
        return result

    @property
    def fallback(self) -> Callable[[], int | None] | None:
        """What to call when the device runs out of memory for good; None where there is nothing to fall back to."""
        return None if self.device.type == "cpu" else self.move_to_cpu

    def move_to_cpu(self) -> int | None:
        """Give up the device after it ran out of memory; returns the new limit of a tile."""
        import torch

        self.device = torch.device("cpu")
        self.module.to(self.device)
        return self.tile_voxels()


def as_volume_network(generator: Any, spec: NetworkSpec) -> Any:
    """The generator as a module on ``(1, channels, k, j, i)``, whatever its dimension."""
    from .generators.slicewise import SliceBySlice

    return SliceBySlice(generator, spec.context, spec.planes) if spec.dimensions == 2 else generator
