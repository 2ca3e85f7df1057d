"""A generator ready to run: numpy block in, numpy block out, on a device, with its footprint known."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .tile_plan import Footprint, Triple
from .working_grid import WorkingGrid


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

    def __post_init__(self) -> None:
        for name in ("multiple", "scale", "halo", "planes", "spacing_mm"):  # JSON gives lists
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def footprint(self) -> Footprint:
        """The same as the tiling needs it."""
        return Footprint(self.halo, self.multiple, self.scale)

    @property
    def working_grid(self) -> WorkingGrid:
        """The grid the network works on."""
        return WorkingGrid(self.canonical, self.spacing_mm)


class IdentityNetwork:
    """Gives back what it gets; needs no torch. The first test of every path through MedGAN."""

    spec = NetworkSpec()
    device_name = "cpu"
    seconds = 0.0
    fallback = None

    def return_to_device(self) -> None:
        """It has none."""

    def tile_voxels(self) -> int | None:
        """No limit."""
        return None

    def predict(self, block: np.ndarray) -> np.ndarray:
        """The block itself."""
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
        self.module = as_volume_network(generator.eval().requires_grad_(False), spec).to(self.device)
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

    def return_to_device(self) -> None:
        """Move to the device asked for, also after a lack of memory moved an earlier volume to the CPU."""
        if self.device != self.wanted_device:
            self.device = self.wanted_device
            self.module.to(self.device)

    def tile_voxels(self) -> int | None:
        """Input voxels of the largest tile the free memory of the device allows."""
        from .memory import plan_tile_voxels

        return plan_tile_voxels(self.module, self.spec.in_channels, self.spec.multiple, self.device)

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
