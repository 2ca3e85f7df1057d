"""One pass of a network over a volume, or a region of it: tile, scale, compute, scale back, blend with the source."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import memory
from .errors import MedGANError
from .fitted_source import FittedSource
from .intensity import PADDING_BELOW_HU
from .network import IdentityNetwork, TorchNetwork
from .options import ApplyOptions
from .target import Target
from .tiling import Box, run_tiled
from .working_grid import cropped

Progress = Callable[[float, str], None]
Predict = Callable[[np.ndarray], np.ndarray]
Where = tuple[slice, slice, slice]
Take = Callable[[Where, np.ndarray], None]
"""Takes float32 values ``(k, j, i[, c])`` and where they belong in the result, which begins where the region does."""

_LEAST_TILES = 16


class Generation:
    """A network, a source and the part of it that is wanted.

    Padding of a CT (values that no scanner measures) is shown to the network as air, and comes out as it was.

    Args:
        network: what computes.
        source: what is shown to it.
        target: what the result is.
        region: of the grid of ``source.source``; None is all of it.
        options: strength and whether to enhance only, see :class:`~medgan.options.ApplyOptions`.
        recolour: what is done to physical values ``(3, k, j, i)`` of a color result; None is nothing.
        notify: called with a sentence for each thing that went other than planned.
    """

    def __init__(
        self,
        network: IdentityNetwork | TorchNetwork,
        source: FittedSource,
        target: Target,
        region: Box | None = None,
        options: ApplyOptions | None = None,
        recolour: Callable[[np.ndarray], np.ndarray] | None = None,
        notify: Callable[[str], None] = lambda sentence: None,
    ):
        options = options or ApplyOptions()
        self.network, self.source, self.target, self.recolour = network, source, target, recolour
        self.region = region or Box((0, 0, 0), source.source.grid_shape)
        self.strength, self.notify = np.float32(options.strength), notify
        self.never_below = target.only_add or options.enhancement_only
        self.keeps_padding = source.padded and target.keeps_source and network.spec.scale == (1, 1, 1)

    def run(self, take: Take, progress: Progress | None = None, predict: Predict | None = None) -> None:
        """Compute everything.

        Args:
            take: gets the result part by part, each voxel once.
            progress: called with (fraction, message); may raise to stop.
            predict: instead of the network's own, for variants of it.

        Raises:
            MedGANError: the network gave values that are no number. OutOfMemory: not even the CPU has room.
        """
        predict = predict or self.network.predict
        if self.source.on_own_grid:
            offset = self.region.scaled(self.network.spec.scale).start

            def write(box: Box, block: np.ndarray) -> None:
                where = box.relative_to(offset).slices
                take(where, self._finished(where, self._decoded(box, block)))

            self._tiles(self.region, predict, write, progress)
            return
        self._run_on_working_grid(take, progress, predict)

    def _run_on_working_grid(self, take: Take, progress: Progress | None, predict: Predict) -> None:
        source, work, scale = self.source.source, self.source.work, self.network.spec.scale
        needed = self.source.grid.needed(self.region, source, work)
        components = self.target.channels or source.channels
        shape = (*needed.scaled(scale).shape, *((components,) if components > 1 else ()))
        result = np.empty(shape, np.float32)
        # a change is brought back alone: the source keeps the sharpness of its own grid
        only_change = self.target.residual and scale == (1, 1, 1)

        def write(box: Box, block: np.ndarray) -> None:
            where = box.relative_to(needed.scaled(scale).start).slices
            result[where] = self._decoded(box, block)
            if only_change:
                result[where] -= self.source.shown(box)

        self._tiles(needed, predict, write, progress)
        original = cropped(source, self.region)
        whole = self.source.grid.leave(cropped(work, needed).with_array(result), original)
        _, rows, columns = self.region.shape
        for k in range(len(whole)):
            where = (slice(k, k + 1), slice(0, rows), slice(0, columns))
            made = original.array[where] + whole[where] if only_change else whole[where]
            take(where, self._finished(where, made))

    def _tiles(
        self, region: Box, predict: Predict, write: Callable[[Box, np.ndarray], None], progress: Progress | None
    ) -> None:
        limit = _place(self.network, region, self.source.work.grid_shape, self.notify)
        if not self.network.spec.footprint.is_exact:
            limit = self.source.same_limit(limit)
        run_tiled(
            self.source.work.grid_shape,
            self.read,
            predict,
            write,
            self.network.spec.footprint,
            region=region,
            tile_voxels=limit,
            progress=progress,
            notify=self.notify,
            on_fallback=self.network.fallback,
        )

    def read(self, box: Box) -> np.ndarray:
        """Network numbers ``(channels, k, j, i)`` of a box of the network's grid."""
        scaled = self.source.fitted.forward(_components_first(self.source.shown(box)), box.slices[0])
        if not self.network.spec.coordinates:
            return scaled
        return np.concatenate([scaled, coordinates(box, self.source.work.grid_shape)])

    def _decoded(self, box: Box, block: np.ndarray) -> np.ndarray:
        """Physical values ``(k, j, i[, c])`` of a network output, float32."""
        scale = self.network.spec.scale
        inside = Box(*(tuple(at // f for at, f in zip(ends, scale, strict=True)) for ends in (box.start, box.stop)))
        source = _components_first(self.source.shown(inside)) if scale == (1, 1, 1) else None
        generated = self.target.decode(block, source, self.source.fitted, inside.slices[0])
        if not np.isfinite(generated).all():  # would become arbitrary integers
            raise MedGANError(
                "The generator computed values that are no number; verify the model, or use another device."
            )
        if self.recolour is not None:
            generated = self.target.with_background(self.recolour(generated), source)
        return np.moveaxis(generated, 0, -1) if len(generated) > 1 else generated[0]

    def _finished(self, where: Where, generated: np.ndarray) -> np.ndarray:
        """Blend with the source; ``where`` counts from the start of the result."""
        in_source = tuple(
            slice(part.start + begin, part.stop + begin) for part, begin in zip(where, self.region.start, strict=True)
        )
        if self.strength < 1:
            original = self.source.source.array[in_source].astype(np.float32)
            generated = original + self.strength * (generated - original)
        if self.never_below:  # also where the target only adds: resampling may have undershot
            generated = np.maximum(generated, self.source.source.array[in_source])
        if self.target.outside is not None:
            generated = np.where(self.source.body[in_source], generated, np.float32(self.target.outside))
        if self.keeps_padding:
            before = self.source.source.array[in_source]
            generated = np.where(before < PADDING_BELOW_HU, before, generated)
        return generated


def stored_in(image: np.ndarray) -> Take:
    """A taker that writes into ``image``, rounded and clipped if it is of an integer type."""

    def take(where: Where, values: np.ndarray) -> None:
        image[where] = values if image.dtype.kind == "f" else np.clip(np.rint(values), *_limits(image.dtype))

    return take


def coordinates(box: Box, shape: tuple[int, int, int]) -> np.ndarray:
    """Position of every voxel of a box in a volume of ``shape``, -1 to 1 along each axis: ``(3, k, j, i)``.

    Source: CoordConv (Liu et al. 2018), with the absolute position, so that a tile knows where in the body it lies.
    """
    axes = [
        np.arange(start, stop, dtype=np.float32) * np.float32(2.0 / max(size - 1, 1)) - np.float32(1.0)
        for start, stop, size in zip(box.start, box.stop, shape, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _components_first(block: np.ndarray) -> np.ndarray:
    """``(k, j, i[, c])`` as ``(c, k, j, i)``."""
    return block[np.newaxis] if block.ndim == 3 else np.moveaxis(block, -1, 0)


def _limits(dtype: np.dtype) -> tuple[np.float32, np.float32]:
    """The range of an integer type in float32 numbers that it holds: the largest int32 itself rounds to 2**31."""
    lowest, highest = np.float32(np.iinfo(dtype).min), np.float32(np.iinfo(dtype).max)
    return lowest, highest if int(highest) <= np.iinfo(dtype).max else np.nextafter(highest, np.float32(0))


def _place(
    network: IdentityNetwork | TorchNetwork, region: Box, shape: tuple[int, int, int], notify: Callable[[str], None]
) -> int | None:
    """Put the network on its device, or on the CPU if there is no memory for it at all; returns the largest tile."""
    try:
        network.return_to_device()
        return _tile_voxels(network, region, shape)
    except Exception as error:
        if network.fallback is None or not memory.is_out_of_memory(error):
            raise
    network.fallback()
    memory.release_cached()
    notify("Out of memory on the device before the first tile: computing on the CPU.")
    return _tile_voxels(network, region, shape)


def _tile_voxels(network: IdentityNetwork | TorchNetwork, region: Box, shape: tuple[int, int, int]) -> int | None:
    """Largest tile: what memory allows, and where slices are independent no more than gives a steady progress."""
    limit = network.tile_voxels()
    halo = network.spec.halo
    if halo is None or halo[0] != 0:
        return limit
    multiple = network.spec.multiple
    rows, columns = (-(-size // step) * step for size, step in zip(shape[1:], multiple[1:], strict=True))
    steady = math.ceil(region.shape[0] / _LEAST_TILES) * rows * columns
    return steady if limit is None else min(limit, steady)
