"""The arithmetic of tiles: boxes, what a network's outputs depend on, and which boxes a volume is cut into."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Box:
    """Half-open box of voxels: ``start`` is inside, ``stop`` is not; axes (k, j, i)."""

    start: Triple
    stop: Triple

    @property
    def shape(self) -> Triple:
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def voxels(self) -> int:
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in an array [k, j, i]; in one with channels first use ``array[(..., *box.slices)]``."""
        return tuple(slice(start, stop) for start, stop in zip(self.start, self.stop, strict=True))

    def clipped(self, shape: Sequence[int]) -> Box:
        """The part of the box below ``shape``."""
        return Box(self.start, tuple(min(stop, size) for stop, size in zip(self.stop, shape, strict=True)))

    def overlap(self, other: Box) -> Box | None:
        """What both boxes share, None if it is nothing."""
        start = tuple(map(max, self.start, other.start))
        stop = tuple(map(min, self.stop, other.stop))
        return Box(start, stop) if all(a < b for a, b in zip(start, stop, strict=True)) else None

    def scaled(self, factor: Triple) -> Box:
        """The same box on a grid with ``factor`` voxels for each voxel of this one."""
        return Box(
            tuple(start * f for start, f in zip(self.start, factor, strict=True)),
            tuple(stop * f for stop, f in zip(self.stop, factor, strict=True)),
        )

    def relative_to(self, origin: Triple) -> Box:
        """The same box counted from ``origin``."""
        return Box(
            tuple(start - o for start, o in zip(self.start, origin, strict=True)),
            tuple(stop - o for stop, o in zip(self.stop, origin, strict=True)),
        )

    def with_axis(self, axis: int, start: int, stop: int) -> Box:
        """The same box with another extent along one axis."""
        starts, stops = list(self.start), list(self.stop)
        starts[axis], stops[axis] = start, stop
        return Box(tuple(starts), tuple(stops))


@dataclass(frozen=True)
class Footprint:
    """What a block of outputs of a network depends on; axes (k, j, i).

    halo      input voxels needed on each side of a block that starts and ends at multiples of ``multiple``. ``None``
              for an axis: unbounded (global normalization, attention, position-dependent resizing). ``None`` instead
              of the tuple: unbounded along every axis.
    multiple  sizes that the network takes are multiples of this, and tiles start at multiples of it.
    scale     output voxels per input voxel (super-resolution).
    tile      the only extents that the network takes, None for an axis (or at all) where it takes any.
    """

    halo: tuple[int | None, int | None, int | None] | None
    multiple: Triple = (1, 1, 1)
    scale: Triple = (1, 1, 1)
    tile: tuple[int | None, int | None, int | None] | None = None

    @property
    def halos(self) -> tuple[int | None, int | None, int | None]:
        """Halo per axis, also where ``halo`` is None."""
        return (None, None, None) if self.halo is None else self.halo

    @property
    def is_exact(self) -> bool:
        """Whether tiles of any size reproduce the whole volume."""
        return None not in self.halos


@dataclass(frozen=True)
class TileGrid:
    """A volume of ``shape`` (k, j, i) as the tiles of a network see it: in steps of the network's ``multiple``."""

    shape: Triple
    footprint: Footprint

    @property
    def padded_shape(self) -> Triple:
        """The volume's shape rounded up to sizes that the network takes."""
        return tuple(-(-size // m) * m for size, m in zip(self.shape, self.footprint.multiple, strict=True))

    def input_box(self, core: Box) -> Box:
        """What has to go through the network to get ``core`` exactly; may end in the padding, never beyond it.

        Along axes with an unbounded halo this is the whole padded volume.
        """
        box = core
        axes = zip(self.footprint.halos, self.footprint.multiple, self.padded_shape, strict=True)
        for axis, (halo, multiple, size) in enumerate(axes):
            if halo is None:
                box = box.with_axis(axis, 0, size)
                continue
            start = (core.start[axis] - halo) // multiple * multiple
            stop = -(-(core.stop[axis] + halo) // multiple) * multiple
            box = box.with_axis(axis, max(0, start), min(size, stop))
        return box

    def aligned(self, box: Box) -> Box:
        """The smallest core that holds ``box``: it starts and ends where tiles may, or with the volume."""
        multiple = self.footprint.multiple
        start = tuple(begin // m * m for begin, m in zip(box.start, multiple, strict=True))
        stop = tuple(-(-end // m) * m for end, m in zip(box.stop, multiple, strict=True))
        return Box(start, stop).clipped(self.shape)

    def cores(self, tile_voxels: float = math.inf) -> list[Box]:
        """Partition of the volume whose input boxes have at most ``tile_voxels`` voxels, at the least total work.

        The work is the sum of all input boxes. Their sizes are balanced along each axis. Axes with an unbounded halo
        stay whole. No core is cut shorter than the halo (in 3-D, tiles of three halos are already 27 times the work):
        where the limit cannot be met like this, the partition with the smallest largest input box is returned.
        """
        options = [self._axis_options(axis) for axis in range(3)]
        cuts = [self._cuts(axis, parts) for axis, parts in enumerate(_cheapest(options, tile_voxels))]
        intervals = (pairwise(c) for c in cuts)
        return [Box(*zip(*box, strict=True)).clipped(self.shape) for box in product(*intervals)]

    def halves(self, core: Box) -> tuple[Box, Box] | None:
        """``core`` cut in two so that the larger of the two input boxes gets as small as possible.

        None if no cut makes it smaller than the input box of ``core`` is, or the halves would be shorter than the halo.
        """
        best, best_voxels = None, self.input_box(core).voxels
        for axis, (halo, multiple) in enumerate(zip(self.footprint.halos, self.footprint.multiple, strict=True)):
            units = -(-core.shape[axis] // multiple)
            if halo is None or units < 2 * self._shortest(axis):
                continue
            start, stop = core.start[axis], core.stop[axis]
            middle = start + units // 2 * multiple
            parts = core.with_axis(axis, start, middle), core.with_axis(axis, middle, stop)
            voxels = max(self.input_box(part).voxels for part in parts)
            if voxels < best_voxels:
                best, best_voxels = parts, voxels
        return best

    def _halo_units(self, axis: int) -> int:
        return -(-(self.footprint.halos[axis] or 0) // self.footprint.multiple[axis])

    def _shortest(self, axis: int) -> int:
        """Length of the shortest core, in steps of ``multiple``."""
        return max(1, self._halo_units(axis))

    def _axis_options(self, axis: int) -> np.ndarray:
        """Ways to cut one axis: rows (parts, largest input extent, sum of input extents), larger extents first."""
        size = self.padded_shape[axis]
        if self.footprint.halos[axis] is None:
            return np.array([(1, size, size)])
        units = size // self.footprint.multiple[axis]
        # the number of parts matters only through the length of the cores: about 2 sqrt(units) different ones
        most = max(1, units // self._shortest(axis))
        counts = sorted({-(-units // -(-units // parts)) for parts in range(1, most + 1)})
        rows: list[tuple[int, int, int]] = []
        for parts in counts:
            extents = self._extents(axis, self._cuts(axis, parts))
            if not rows or extents.max() < rows[-1][1]:
                rows.append((parts, int(extents.max()), int(extents.sum())))
        return np.array(rows)

    def _cuts(self, axis: int, parts: int) -> list[int]:
        """Boundaries of ``parts`` cores whose *input* extents are equal up to one step of ``multiple``."""
        multiple = self.footprint.multiple[axis]
        units = self.padded_shape[axis] // multiple
        halo = self._halo_units(axis)
        # the outermost parts have a halo on one side only, so their cores may be longer by one halo
        inner = (units + 2 * halo * (parts - 1)) / parts - 2 * halo
        if inner >= self._shortest(axis):
            inside = [int(part * inner + halo + 0.5) for part in range(1, parts)]
        else:
            inside = [part * units // parts for part in range(1, parts)]
        return [cut * multiple for cut in (0, *inside, units)]

    def _extents(self, axis: int, cuts: list[int]) -> np.ndarray:
        multiple, size = self.footprint.multiple[axis], self.padded_shape[axis]
        halo = self._halo_units(axis) * multiple
        edges = np.array(cuts)
        return np.minimum(size, edges[1:] + halo) - np.maximum(0, edges[:-1] - halo)


def _cheapest(options: Iterable[np.ndarray], tile_voxels: float) -> list[int]:
    """Number of parts per axis: least work, then fewest tiles, among those whose largest input box fits."""
    k_options, j_options, i_options = options
    best: tuple[float, list[int]] | None = None
    for parts, extent, total in k_options[::-1]:  # of equal plans the one that cuts along k: contiguous in memory
        largest = extent * np.multiply.outer(j_options[:, 1], i_options[:, 1])
        # one more voxel for each tile: decides between equal work, and stands for what a tile costs in itself
        work = total * np.multiply.outer(j_options[:, 2], i_options[:, 2])
        work = work + parts * np.multiply.outer(j_options[:, 0], i_options[:, 0])
        work = np.where(largest <= tile_voxels, work, np.inf)
        j, i = np.unravel_index(np.argmin(work), work.shape)
        if np.isfinite(work[j, i]) and (best is None or work[j, i] < best[0]):
            best = float(work[j, i]), [int(parts), int(j_options[j, 0]), int(i_options[i, 0])]
    if best is not None:
        return best[1]
    return [int(rows[-1, 0]) for rows in (k_options, j_options, i_options)]


def blend_spans(size: int, tile: int, multiple: int, overlap: float) -> list[tuple[int, int]]:
    """Extents (start, stop) of overlapping tiles of length ``tile``, evenly spread over an axis of ``size`` voxels.

    Starts are multiples of ``multiple``, neighbors share at least about ``overlap`` of a tile.
    """
    room = size - tile
    if room <= 0:
        return [(0, size)]
    stride = max(multiple, int(tile * (1 - overlap)) // multiple * multiple)
    count = -(-room // stride) + 1
    starts = [part * (room // multiple) // (count - 1) * multiple for part in range(count)]
    return [(start, start + tile) for start in starts]


def blend_weights(spans: Sequence[tuple[int, int]], scale: int = 1) -> list[np.ndarray]:
    """Weights (float32, one array per extent, at output resolution) that sum to one at every voxel of the axis.

    A squared sine: zero slope where a tile begins, yet positive on every voxel, so that voxels which only one tile
    covers (the ends of the axis) get weight one by the normalization.
    """
    windows = []
    for start, stop in spans:
        length = (stop - start) * scale
        windows.append(np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2)
    total = np.zeros(max(stop for _, stop in spans) * scale)
    for (start, stop), window in zip(spans, windows, strict=True):
        total[start * scale : stop * scale] += window
    return [
        (window / total[start * scale : stop * scale]).astype(np.float32)
        for (start, stop), window in zip(spans, windows, strict=True)
    ]
