"""Runs a network over a volume in tiles, and puts the results together without seams.

Axes are (k, j, i) everywhere; blocks are numpy arrays (channels, k, j, i). The tiles of a network whose receptive
field is finite are cut so that the result *equals* that of the whole volume: every tile is computed from an input
grown by the halo, which ends where the volume ends, so that the network's own border handling acts exactly where it
would have acted. Along axes where the receptive field is unbounded, overlapping tiles are blended instead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from . import memory
from .tile_plan import Box, Footprint, TileGrid, Triple, blend_spans, blend_weights

__all__ = ["Box", "Footprint", "run_tiled"]


def run_tiled(
    grid_shape: Sequence[int],
    read: Callable[[Box], np.ndarray],
    predict: Callable[[np.ndarray], np.ndarray],
    write: Callable[[Box, np.ndarray], None],
    footprint: Footprint,
    *,
    region: Box | None = None,
    tile_voxels: int | None = None,
    overlap: float = 0.5,
    progress: Callable[[float, str], None] | None = None,
    notify: Callable[[str], None] | None = None,
    on_fallback: Callable[[], int | None] | None = None,
) -> None:
    """Compute a network over a volume of shape ``grid_shape`` (k, j, i), in tiles where it does not fit at once.

    read(box)           -> float32 (C, *box.shape) of an input box, which always lies inside the volume.
    predict(block)      -> float32 (C', *block.shape[1:] * scale). Blocks are padded (edge voxels repeated, at the far
                        end only) to sizes the network takes. May raise any out-of-memory error of torch or numpy.
    write(box, block)   takes the finished block of a box of the output grid (``grid_shape * scale``). The boxes do not
                        overlap and together cover the grid. The block may be a view: copy what is to be kept.
    region              compute only this box of the volume, by default all of it; only its part of the output grid is
                        written. It gets what it would get in the whole volume: where tiles are blended, those of the
                        whole volume that touch it are computed (given the same ``tile_voxels``).
    tile_voxels         most voxels of one tile's input, halo included (``memory.plan_tile_voxels``); None: no limit.
                        The volume is computed at once when it fits; a limit below the smallest tile counts as that.
    overlap             part of a tile shared with its neighbor along axes that have to be blended (0 <= overlap < 1).
    progress            progress(fraction 0..1, message) after each tile; an exception in it (Cancelled) passes on.
    notify              notify(sentence) when the memory did not suffice: smaller tiles, or the fallback.
    on_fallback         called once when even the smallest tile does not fit: moves the network to where more memory
                        is, may return a new ``tile_voxels``. Without it, or if it still does not fit: OutOfMemory.

    Result: equal to that of the whole padded volume (float rounding apart) where ``footprint.is_exact`` or the
    volume fits at once; else blended with weights that sum to one at every voxel, corners included.
    """
    shape = tuple(int(size) for size in grid_shape)
    run = _Run(
        TileGrid(shape, footprint),
        read,
        predict,
        write,
        region=region or Box((0, 0, 0), shape),
        limit=math.inf if tile_voxels is None else tile_voxels,
        overlap=overlap,
        progress=progress or (lambda fraction, message: None),
        notify=notify or (lambda sentence: None),
        on_fallback=on_fallback,
    )
    run.execute()


class _Run:
    """One call of ``run_tiled``: the tiles still to do, and the tile size that memory was found to allow."""

    def __init__(
        self,
        grid: TileGrid,
        read: Callable[[Box], np.ndarray],
        predict: Callable[[np.ndarray], np.ndarray],
        write: Callable[[Box, np.ndarray], None],
        region: Box,
        limit: float,
        overlap: float,
        progress: Callable[[float, str], None],
        notify: Callable[[str], None],
        on_fallback: Callable[[], int | None] | None,
    ):
        self.grid, self.footprint = grid, grid.footprint
        self.read, self.predict, self.write = read, predict, write
        self.region = region
        self.limit = limit
        self.overlap = overlap
        self.progress, self.notify, self.on_fallback = progress, notify, on_fallback
        self.done = 0  # tiles
        self.fraction = 0.0

    def execute(self) -> None:
        total, finished = self.region.voxels, 0
        pending = deque(self._cores())
        while pending:
            core = pending.popleft()
            part = core.overlap(self.region)
            if part is None:
                continue
            too_large = self.grid.input_box(core).voxels > self.limit
            halves = self.grid.halves(core) if too_large else None
            if halves:
                pending.extendleft(reversed(halves))
                continue
            try:
                self._compute(core, part, finished / total, part.voxels / total)
            except memory.OutOfMemory:
                self._shrink(core)
                pending.appendleft(core)
                continue
            finished += part.voxels

    def _cores(self) -> list[Box]:
        """The cores to compute: those of the whole volume, or as little as gives the region the same values."""
        cores = self.grid.cores(self.limit)
        if self.region == Box((0, 0, 0), self.grid.shape):
            return cores
        touched = [core for core in cores if core.overlap(self.region)]
        blended = [core for core in touched if self._blends(core)]
        alone = self.grid.aligned(self.region)
        if not blended and self.grid.input_box(alone).voxels <= self.limit:
            return [alone]
        return [core if core in blended else self.grid.aligned(core.overlap(self.region)) for core in touched]

    def _blends(self, core: Box) -> bool:
        box = self.grid.input_box(core)
        return self._blend_shape(box) != box.shape

    def _compute(self, core: Box, part: Box, fraction: float, share: float) -> None:
        """Compute a core box and write a part: ``share`` of the work, of which ``fraction`` is finished before."""
        box = self.grid.input_box(core)
        shape = self._blend_shape(box)
        scale = self.footprint.scale
        if shape == box.shape:
            block = self._predict(box)
            inside = part.relative_to(box.start).scaled(scale)
            self.write(part.scaled(scale), block[(..., *inside.slices)])
            self._advance(fraction + share)
            return
        block = self._blend(box, shape, part, fraction, share)
        # slab by slab, so that what the writer converts stays as small as a tile
        for start in range(part.start[0], part.stop[0], shape[0]):
            slab = part.with_axis(0, start, min(part.stop[0], start + shape[0]))
            inside = slab.relative_to(part.start).scaled(scale)
            self.write(slab.scaled(scale), block[(..., *inside.slices)])

    def _blend(self, box: Box, shape: Triple, part: Box, fraction: float, share: float) -> np.ndarray:
        """``part`` of the input box (C', *part.shape * scale) from those of its tiles of ``shape`` that touch it."""
        scale = self.footprint.scale
        spans = [
            blend_spans(box.shape[axis], shape[axis], self.footprint.multiple[axis], self.overlap) for axis in range(3)
        ]
        weights = [blend_weights(spans[axis], scale[axis]) for axis in range(3)]
        tiles = []
        for index in product(*(range(len(axis_spans)) for axis_spans in spans)):
            local = Box(*zip(*(spans[axis][at] for axis, at in enumerate(index)), strict=True))
            tile = local.relative_to(tuple(-start for start in box.start))
            if shared := tile.overlap(part):
                tiles.append((tile, shared, [weights[axis][at] for axis, at in enumerate(index)]))
        blended = None
        for count, (tile, shared, tile_weights) in enumerate(tiles, start=1):
            block = self._predict(tile)
            if blended is None:
                blended = np.zeros((block.shape[0], *part.scaled(scale).shape), np.float32)
            inside = shared.relative_to(tile.start).scaled(scale).slices
            k, j, i = (weight[where] for weight, where in zip(tile_weights, inside, strict=True))
            to = shared.relative_to(part.start).scaled(scale).slices
            blended[(..., *to)] += block[(..., *inside)] * (k[:, None, None] * (j[:, None] * i))
            self._advance(fraction + share * count / len(tiles))
        return blended

    def _predict(self, box: Box) -> np.ndarray:
        """Run the network on a box that may end in the padding; memory.OutOfMemory if it does not fit."""
        try:
            block = self.read(box.clipped(self.grid.shape))
            missing = [(0, size - have) for size, have in zip(box.shape, block.shape[1:], strict=True)]
            if any(after for _, after in missing):
                block = np.pad(block, [(0, 0), *missing], mode="edge")
            return self.predict(block)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
        # only here, where the error and the tensors of its frames are gone
        memory.release_cached()
        raise memory.OutOfMemory

    def _blend_shape(self, box: Box) -> Triple:
        """Tile of at most ``self.limit`` voxels inside an input box, as nearly cubic as its axes allow.

        Where the network takes one extent only, it is that, or the box's, which the network then pads.
        """
        halos, multiples = self.footprint.halos, self.footprint.multiple
        fixed = self.footprint.tile or (None, None, None)
        shape = [min(size, only or size) for size, only in zip(box.shape, fixed, strict=True)]
        while math.prod(shape) > self.limit:
            free = [axis for axis in range(3) if halos[axis] is None and fixed[axis] is None]
            shrinkable = [axis for axis in free if shape[axis] > multiples[axis]]
            if not shrinkable:
                break
            axis = max(shrinkable, key=lambda a: shape[a])
            shape[axis] -= multiples[axis]
        return tuple(shape)

    def _shrink(self, core: Box) -> None:
        """After ``core`` did not fit: a smaller limit, else the fallback, else OutOfMemory."""
        box = self.grid.input_box(core)
        shape = self._blend_shape(box)
        halves = self.grid.halves(core) if shape == box.shape else None
        if halves:
            smaller = max((self.grid.input_box(half).shape for half in halves), key=math.prod)
            self.limit = math.prod(smaller)
        else:
            self.limit = math.prod(shape) // 2
            smaller = self._blend_shape(box)
        if smaller != shape:
            self.limit = math.prod(smaller)
            self.notify("Out of memory: tile halved to {}x{}x{} voxels.".format(*smaller))
            return
        if self.on_fallback is None:
            raise memory.OutOfMemory
        self.limit = self.on_fallback() or math.prod(shape)
        self.on_fallback = None
        self.notify("Out of memory even with the smallest tile: going on with the CPU.")

    def _advance(self, fraction: float) -> None:
        self.done += 1
        # a blended part that starts anew with smaller tiles must not make the bar jump back
        self.fraction = max(self.fraction, min(1.0, fraction))
        self.progress(self.fraction, f"{self.done} tiles computed")
