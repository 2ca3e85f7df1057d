"""One pass of a network over a volume: tile, scale, compute, scale back, write in place."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import memory
from .errors import MedGANError
from .intensity import PADDING_BELOW_HU, Scale, without_padding
from .network import IdentityNetwork, TorchNetwork
from .target import Target
from .tiling import Box, run_tiled
from .volume import Volume

_LEAST_TILES = 16


class Generation:
    """A network, a source and the array that receives the result.

    Padding of a CT (values that no scanner measures) is shown to the network as air, and comes out as it was.

    Args:
        network: what computes.
        scale: of the source. target: what the result is.
        source: physical volume; its grid times the network's scale is the grid of ``image``.
        image: ``(k, j, i[, c])``, written in place, rounded and clipped if it is of an integer type.
        strength: 0 to 1, see :class:`~medgan.synthesizer.Synthesizer`.
        notify: called with a sentence for each thing that went other than planned.
    """

    def __init__(
        self,
        network: IdentityNetwork | TorchNetwork,
        scale: Scale,
        target: Target,
        source: Volume,
        image: np.ndarray,
        strength: float,
        notify: Callable[[str], None],
    ):
        self.network, self.target, self.source, self.image = network, target, source, image
        self.strength, self.notify = np.float32(strength), notify
        self.padded = source.units == "HU" and float(source.array.min()) < PADDING_BELOW_HU
        self.keeps_padding = self.padded and image.shape == source.array.shape and target.keeps_source
        self.body = self._body() if network.spec.body_only or target.outside is not None else None
        shown = source.with_array(without_padding(source.array)) if self.padded else source
        self.work = network.spec.working_grid.enter(shown)
        self.on_own_grid = self.work is shown
        self.fitted = scale.fit(self.work.array)
        self.work_body = None
        if network.spec.body_only:
            body = source.with_array(self.body.astype(np.float32), units="")
            self.work_body = network.spec.working_grid.enter(body).array > 0.5

    def run(self, progress: Callable[[float, str], None] | None) -> None:
        """Compute everything.

        Raises:
            MedGANError: the network gave values that are no number. OutOfMemory: not even the CPU has room.
        """
        if self.on_own_grid:
            self._tiles(self._write, progress)
            return
        shape = tuple(size * factor for size, factor in zip(self.work.grid_shape, self.network.spec.scale, strict=True))
        result = np.empty((*shape, *self.image.shape[3:]), np.float32)
        # a change is brought back alone: the source keeps the sharpness of its own grid
        only_change = self.target.residual and shape == self.work.grid_shape

        def write(box: Box, block: np.ndarray) -> None:
            result[box.slices] = self._decode(box, block)
            if only_change:
                result[box.slices] -= self._shown(box)

        self._tiles(write, progress)
        made = self.work.with_array(result)
        whole = self.network.spec.working_grid.leave(made, self.source)
        for k in range(len(whole)):
            where = (slice(k, k + 1), slice(None), slice(None))
            generated = whole[k : k + 1]
            self._finish(where, self.source.array[where] + generated if only_change else generated)

    def _tiles(self, write: Callable[[Box, np.ndarray], None], progress: Callable[[float, str], None] | None) -> None:
        run_tiled(
            self.work.grid_shape,
            self._read,
            self.network.predict,
            write,
            self.network.spec.footprint,
            tile_voxels=_place(self.network, self.work, self.notify),
            progress=progress,
            notify=self.notify,
            on_fallback=self.network.fallback,
        )

    def _read(self, box: Box) -> np.ndarray:
        block = self._shown(box)
        scaled = self.fitted.forward(_components_first(block), box.slices[0])
        if not self.network.spec.coordinates:
            return scaled
        return np.concatenate([scaled, coordinates(box, self.work.grid_shape)])

    def _shown(self, box: Box) -> np.ndarray:
        """What the network is to see of a box, in physical units."""
        block = self.work.array[box.slices]
        if self.work_body is not None:
            block = np.where(self.work_body[box.slices], block, block.dtype.type(self.work.array.min()))
        return block

    def _decode(self, box: Box, block: np.ndarray) -> np.ndarray:
        """Physical values ``(k, j, i[, c])`` of a network output, float32."""
        scale = self.network.spec.scale
        inside = Box(*(tuple(at // f for at, f in zip(ends, scale, strict=True)) for ends in (box.start, box.stop)))
        source = _components_first(self._shown(inside)) if scale == (1, 1, 1) else None
        generated = self.target.decode(block, source, self.fitted, inside.slices[0])
        if not np.isfinite(generated).all():  # would become arbitrary integers
            raise MedGANError(
                "The generator computed values that are no number; verify the model, or use another device."
            )
        return generated[0] if self.image.ndim == 3 else np.moveaxis(generated, 0, -1)

    def _write(self, box: Box, block: np.ndarray) -> None:
        self._finish(box.slices, self._decode(box, block))

    def _finish(self, where: tuple[slice, slice, slice], generated: np.ndarray) -> None:
        """Blend, round and store; ``where`` in the grid of the result."""
        image = self.image
        if self.strength < 1:
            original = self.source.array[where].astype(np.float32)
            generated = original + self.strength * (generated - original)
        if self.target.only_add:  # once more: resampling may have undershot
            generated = np.maximum(generated, self.source.array[where])
        if self.target.outside is not None:
            generated = np.where(self.body[where], generated, np.float32(self.target.outside))
        if image.dtype.kind != "f":
            generated = np.clip(np.rint(generated), *_limits(image.dtype))
        if self.keeps_padding:
            before = self.source.array[where]
            generated = np.where(before < PADDING_BELOW_HU, before, generated)
        image[where] = generated

    def _body(self) -> np.ndarray:
        from .body_mask import body_mask

        return body_mask(self.source)


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


def _place(network: IdentityNetwork | TorchNetwork, volume: Volume, notify: Callable[[str], None]) -> int | None:
    """Put the network on its device, or on the CPU if there is no memory for it at all; returns the largest tile."""
    try:
        network.return_to_device()
        return _tile_voxels(network, volume)
    except Exception as error:
        if network.fallback is None or not memory.is_out_of_memory(error):
            raise
    network.fallback()
    memory.release_cached()
    notify("Out of memory on the device before the first tile: computing on the CPU.")
    return _tile_voxels(network, volume)


def _tile_voxels(network: IdentityNetwork | TorchNetwork, volume: Volume) -> int | None:
    """Largest tile: what memory allows, and where slices are independent no more than gives a steady progress."""
    limit = network.tile_voxels()
    halo = network.spec.halo
    if halo is None or halo[0] != 0:
        return limit
    slices, rows, columns = volume.grid_shape
    multiple = network.spec.multiple
    padded = math.ceil(rows / multiple[1]) * multiple[1] * math.ceil(columns / multiple[2]) * multiple[2]
    steady = math.ceil(slices / _LEAST_TILES) * padded
    return steady if limit is None else min(limit, steady)
