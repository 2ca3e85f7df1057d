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
    run = _Run(
        TileGrid(tuple(int(size) for size in grid_shape), footprint),
        read,
        predict,
        write,
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
        limit: float,
        overlap: float,
        progress: Callable[[float, str], None],
        notify: Callable[[str], None],
        on_fallback: Callable[[], int | None] | None,
    ):
        self.grid, self.footprint = grid, grid.footprint
        self.read, self.predict, self.write = read, predict, write
        self.limit = limit
        self.overlap = overlap
        self.progress, self.notify, self.on_fallback = progress, notify, on_fallback
        self.done = 0  # tiles
        self.fraction = 0.0

    def execute(self) -> None:
        total, finished = math.prod(self.grid.shape), 0
        pending = deque(self.grid.cores(self.limit))
        while pending:
            core = pending.popleft()
            too_large = self.grid.input_box(core).voxels > self.limit
            halves = self.grid.halves(core) if too_large else None
            if halves:
                pending.extendleft(reversed(halves))
                continue
            try:
                self._compute(core, finished / total, core.voxels / total)
            except memory.OutOfMemory:
                self._shrink(core)
                pending.appendleft(core)
                continue
            finished += core.voxels

    def _compute(self, core: Box, fraction: float, share: float) -> None:
        """Compute and write one core box: ``share`` of the work, of which ``fraction`` is finished before."""
        box = self.grid.input_box(core)
        shape = self._blend_shape(box)
        if shape == box.shape:
            block = self._predict(box)
            inside = core.relative_to(box.start).scaled(self.footprint.scale)
            self.write(core.scaled(self.footprint.scale), block[(..., *inside.slices)])
            self._advance(fraction + share)
            return
        block = self._blend(box, shape, fraction, share)
        # slab by slab, so that what the writer converts stays as small as a tile
        for start in range(core.start[0], core.stop[0], shape[0]):
            slab = core.with_axis(0, start, min(core.stop[0], start + shape[0]))
            inside = slab.relative_to(box.start).scaled(self.footprint.scale)
            self.write(slab.scaled(self.footprint.scale), block[(..., *inside.slices)])

    def _blend(self, box: Box, shape: Triple, fraction: float, share: float) -> np.ndarray:
        """The whole of ``box`` (C', *box.shape * scale) from overlapping tiles of ``shape``."""
        scale = self.footprint.scale
        spans = [
            blend_spans(box.shape[axis], shape[axis], self.footprint.multiple[axis], self.overlap) for axis in range(3)
        ]
        weights = [blend_weights(spans[axis], scale[axis]) for axis in range(3)]
        total = math.prod(len(axis_spans) for axis_spans in spans)
        blended = None
        for count, index in enumerate(product(*(range(len(axis_spans)) for axis_spans in spans)), start=1):
            local = Box(*zip(*(spans[axis][part] for axis, part in enumerate(index)), strict=True))
            block = self._predict(local.relative_to(tuple(-start for start in box.start)))
            if blended is None:
                sizes = (size * factor for size, factor in zip(box.shape, scale, strict=True))
                blended = np.zeros((block.shape[0], *sizes), np.float32)
            k, j, i = (weights[axis][part] for axis, part in enumerate(index))
            blended[(..., *local.scaled(scale).slices)] += block * (k[:, None, None] * (j[:, None] * i))
            self._advance(fraction + share * count / total)
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
        """Tile of at most ``self.limit`` voxels inside an input box, as nearly cubic as its axes allow."""
        halos, multiples = self.footprint.halos, self.footprint.multiple
        shape = list(box.shape)
        while math.prod(shape) > self.limit:
            shrinkable = [axis for axis in range(3) if halos[axis] is None and shape[axis] > multiples[axis]]
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
