"""Tiles put together are the whole volume: numpy networks here, torch ones in test_receptive_field.py."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medgan.errors import Cancelled
from medgan.memory import OutOfMemory
from medgan.tile_plan import TileGrid, blend_spans, blend_weights
from medgan.tiling import Box, Footprint, run_tiled


def moving_sum(radius):
    """A network of one layer in numpy: weighted sum over ``radius`` voxels per axis, zeros beyond the border."""

    def predict(block):
        for axis, reach in enumerate(radius, start=1):
            total = np.zeros_like(block)
            size = block.shape[axis]
            for shift in range(-reach, reach + 1):
                to = [slice(None)] * 4
                source = [slice(None)] * 4
                to[axis] = slice(max(0, -shift), min(size, size - shift))
                source[axis] = slice(max(0, shift), min(size, size + shift))
                if to[axis].stop > to[axis].start:
                    total[tuple(to)] += (1 + 0.3 * shift) * block[tuple(source)]
            block = total
        return block

    return predict


def tiled(volume, predict, footprint, **options):
    """Result of run_tiled, after checking that every output voxel is written exactly once."""
    grid = tuple(volume.shape[1:])
    out_shape = tuple(size * factor for size, factor in zip(grid, footprint.scale, strict=True))
    written = np.zeros(out_shape, int)
    result = []

    def read(box):
        assert all(start >= 0 for start in box.start)
        assert all(stop <= size for stop, size in zip(box.stop, grid, strict=True))
        return volume[(slice(None), *box.slices)]

    def write(box, block):
        assert block.shape[1:] == box.shape
        if not result:
            result.append(np.full((block.shape[0], *out_shape), np.nan, np.float32))
        result[0][(slice(None), *box.slices)] = block
        written[box.slices] += 1

    run_tiled(grid, read, predict, write, footprint, **options)
    assert (written == 1).all()
    return result[0]


def region_of(volume, predict, footprint, region, **options):
    """Result of run_tiled for a region, after checking that each of its output voxels is written once and no other."""
    out = region.scaled(footprint.scale)
    result, written = [], np.zeros(out.shape, int)

    def write(box, block):
        inside = box.relative_to(out.start)
        assert box.overlap(out) == box
        if not result:
            result.append(np.full((block.shape[0], *out.shape), np.nan, np.float32))
        result[0][(..., *inside.slices)] = block
        written[inside.slices] += 1

    read = lambda box: volume[(slice(None), *box.slices)]  # noqa: E731
    run_tiled(volume.shape[1:], read, predict, write, footprint, region=region, **options)
    assert (written == 1).all()
    return result[0]


def unlike_its_mean(axes, radius=(0, 0, 0)):
    """A network that looks ``radius`` far, and at the mean of all it is given along ``axes``: tiles there differ."""
    near = moving_sum(radius)

    def predict(block):
        return near(block) * (1 + np.abs(block).mean(axis=axes, keepdims=True))

    return predict


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


sizes = st.integers(1, 40)
steps = st.sampled_from([1, 2, 3, 4, 8])
halos = st.one_of(st.none(), st.integers(0, 25))


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(sizes, sizes, sizes),
    halo=st.tuples(halos, halos, halos),
    multiple=st.tuples(steps, steps, steps),
    tile_voxels=st.integers(1, 50_000),
)
def test_cores_partition_the_volume_and_respect_the_limit(shape, halo, multiple, tile_voxels):
    grid = TileGrid(shape, Footprint(halo, multiple))
    count = np.zeros(shape, int)
    inputs = []
    for core in grid.cores(tile_voxels):
        count[core.slices] += 1
        box = grid.input_box(core)
        inputs.append(box.voxels)
        for axis in range(3):
            assert core.start[axis] % multiple[axis] == 0
            assert box.start[axis] % multiple[axis] == 0
            assert box.shape[axis] % multiple[axis] == 0
            assert box.start[axis] >= 0 and box.stop[axis] <= grid.padded_shape[axis]
            if halo[axis] is None:
                assert box.shape[axis] == grid.padded_shape[axis]
            else:
                assert box.start[axis] <= max(0, core.start[axis] - halo[axis])
                assert box.stop[axis] >= min(grid.padded_shape[axis], core.stop[axis] + halo[axis])
    assert (count == 1).all()
    # a limit that cannot be met leaves tiles whose cores are as short as allowed: less than two halos
    smallest = 1
    for size, h, step in zip(grid.padded_shape, halo, multiple, strict=True):
        reach = size if h is None else -(-h // step) * step
        smallest *= min(size, 2 * reach + 2 * max(step, reach))
    assert max(inputs) <= max(tile_voxels, smallest)
    if math.prod(grid.padded_shape) <= tile_voxels:
        assert len(inputs) == 1


@pytest.mark.parametrize(("shape", "halo"), [((100, 1, 1), (3, 0, 0)), ((64, 64, 64), (5, 5, 5))])
def test_tiles_are_balanced(shape, halo):
    grid = TileGrid(shape, Footprint(halo))
    extents = np.array([grid.input_box(core).shape for core in grid.cores(math.prod(shape) // 4)])
    assert len(extents) > 3
    assert (extents.max(axis=0) - extents.min(axis=0) <= 1).all()


def test_plan_prefers_cuts_that_cost_nothing():
    # slices are independent: in-plane stays whole, and no voxel is computed twice
    grid = TileGrid((30, 128, 128), Footprint((0, 20, 20), (1, 4, 4)))
    boxes = [grid.input_box(core) for core in grid.cores(5 * 128 * 128 + 7)]
    assert len(boxes) == 6
    assert sum(box.voxels for box in boxes) == 30 * 128 * 128


@pytest.mark.parametrize("tile_voxels", [1, 300, 1000, 4000, None])
@pytest.mark.parametrize("shape", [(17, 23, 19), (1, 31, 9), (1, 1, 1), (40, 1, 2)])
@pytest.mark.parametrize("radius", [(1, 2, 3), (0, 4, 4)])
def test_tiled_equals_whole(shape, radius, tile_voxels):
    volume, predict = noise(2, *shape), moving_sum(radius)
    result = tiled(volume, predict, Footprint(radius), tile_voxels=tile_voxels)
    np.testing.assert_allclose(result, predict(volume), atol=1e-4)


def test_sizes_the_network_cannot_take_are_padded_with_edge_voxels():
    multiple, volume, predict = (2, 8, 4), noise(1, 7, 30, 13), moving_sum((1, 3, 2))

    def checked(block):
        assert all(size % m == 0 for size, m in zip(block.shape[1:], multiple, strict=True))
        return predict(block)

    padded = np.pad(volume, [(0, 0), (0, 1), (0, 2), (0, 3)], mode="edge")
    expected = predict(padded)[:, :7, :30, :13]
    for tile_voxels in (None, 1500, 200):
        result = tiled(volume, checked, Footprint((1, 3, 2), multiple), tile_voxels=tile_voxels)
        np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize("scale", [(1, 1, 1), (1, 2, 3)])
@pytest.mark.parametrize("halo", [None, (0, None, None), (0, 0, None), (0, 0, 0)])
@pytest.mark.parametrize("tile_voxels", [40, 500, None])
def test_identity_survives_blending_at_every_voxel(halo, scale, tile_voxels):
    def enlarge(block):
        for axis, factor in enumerate(scale, start=1):
            block = np.repeat(block, factor, axis)
        return block

    volume = noise(1, 11, 26, 21)
    footprint = Footprint(halo, (1, 2, 4), scale)
    result = tiled(volume, enlarge, footprint, tile_voxels=tile_voxels)
    np.testing.assert_allclose(result, enlarge(volume), atol=2e-6)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
def test_blend_weights_are_positive_and_sum_to_one(overlap):
    spans = blend_spans(100, 24, 4, overlap)
    total = np.zeros(200)
    for (start, stop), weight in zip(spans, blend_weights(spans, scale=2), strict=True):
        assert (weight > 0).all()
        assert start % 4 == 0
        total[start * 2 : stop * 2] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    shared = [before[1] - after[0] for before, after in pairwise(spans)]
    assert min(shared) >= overlap * 24 - 4


def test_blended_seams_are_smoother_than_cut_ones():
    # a network that adds a constant depending on the whole tile: where tiles meet, blending must not jump
    def predict(block):
        return np.full_like(block, block[0, 0, 0, 0])

    ramp = np.broadcast_to(np.arange(128, dtype=np.float32), (1, 1, 4, 128))
    result = tiled(ramp, predict, Footprint(None), tile_voxels=4 * 32)
    assert np.abs(np.diff(result[0, 0], axis=-1)).max() < 0.15 * (result.max() - result.min())


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    halo=st.sampled_from([None, (0, None, None), (2, None, None), (0, 0, None), (2, 1, 3), (0, 0, 0)]),
    multiple=st.sampled_from([(1, 1, 1), (1, 4, 4), (4, 2, 4)]),
    tile_voxels=st.sampled_from([None, 2000, 500, 1]),
)
def test_a_region_gets_what_it_gets_in_the_whole_volume(data, halo, multiple, tile_voxels):
    shape = (13, 17, 19)
    halos = Footprint(halo).halos
    axes = tuple(axis + 1 for axis in range(3) if halos[axis] is None)
    predict = unlike_its_mean(axes, tuple(h or 0 for h in halos)) if axes else moving_sum(halo)
    volume, footprint = noise(1, *shape), Footprint(halo, multiple)
    start = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    stop = tuple(data.draw(st.integers(at + 1, size)) for at, size in zip(start, shape, strict=True))
    region = Box(start, stop)
    whole = tiled(volume, predict, footprint, tile_voxels=tile_voxels)
    part = region_of(volume, predict, footprint, region, tile_voxels=tile_voxels)
    np.testing.assert_allclose(part, whole[(..., *region.slices)], atol=1e-4)


def test_a_region_costs_no_more_than_itself():
    volume, read = noise(1, 40, 64, 64), []

    def predict(block):
        read.append(block[0].size)
        return np.repeat(block, 2, axis=3)

    footprint = Footprint((0, 6, 6), (1, 4, 4), (1, 1, 2))
    region_of(volume, predict, footprint, Box((7, 0, 0), (8, 64, 64)), tile_voxels=5 * 64 * 64)
    assert read == [64 * 64]
    read.clear()
    region_of(volume, predict, footprint, Box((7, 21, 30), (9, 25, 34)))
    assert read == [2 * (36 - 12) * (44 - 20)]  # 20 to 28 and 28 to 36 in steps of 4, and the halo in steps of 4
    read.clear()
    region_of(volume, predict, Footprint(None, scale=(1, 1, 2)), Box((0, 0, 0), (4, 64, 64)), tile_voxels=16**3)
    assert sum(read) < 0.25 * 8 * volume.size  # blended tiles overlap by half: eight times the volume, at most a tenth


@pytest.mark.parametrize("halo", [(1, 1, 1), None])
def test_a_region_where_memory_is_short(halo):
    region, notes, fractions = Box((3, 5, 2), (9, 28, 30)), [], []
    volume, predict = noise(1, 12, 32, 32), moving_sum((1, 1, 1) if halo else (0, 0, 0))
    network = Limited(predict, 800, MemoryError())
    result = region_of(
        volume, network, Footprint(halo), region, tile_voxels=5000, notify=notes.append,
        progress=lambda fraction, message: fractions.append(fraction),
    )  # fmt: skip
    np.testing.assert_allclose(result, predict(volume)[(..., *region.slices)], atol=1e-4)
    assert notes and fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)


class Limited:
    """A network on a device that takes at most ``most`` voxels, until it is moved elsewhere."""

    def __init__(self, predict, most, error):
        self.predict, self.most, self.error = predict, most, error
        self.succeeded = 0
        self.failed = 0

    def __call__(self, block):
        if block[0].size > self.most:
            self.failed += 1
            raise self.error
        self.succeeded += block[0].size
        return self.predict(block)

    def move(self):
        self.most = math.inf


errors = [
    MemoryError(),
    OutOfMemory(),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:83] DefaultCPUAllocator: can't allocate memory: you tried ..."),
]


@pytest.mark.parametrize("error", errors)
@pytest.mark.parametrize("most", [8000, 2000, 400])
def test_out_of_memory_goes_on_with_smaller_tiles(most, error):
    volume, predict = noise(1, 24, 30, 28), moving_sum((1, 1, 1))
    network, notes = Limited(predict, most, error), []
    result = tiled(volume, network, Footprint((1, 1, 1)), tile_voxels=12_000, notify=notes.append)
    np.testing.assert_allclose(result, predict(volume), atol=1e-4)
    # one note for each failure, and a size that failed is not tried again
    assert len(notes) == network.failed <= math.ceil(math.log2(12_000 / most)) + 2
    assert all(note.startswith("Out of memory: tile halved to ") for note in notes)
    depth, rows, columns = map(int, notes[-1].split()[6].split("x"))
    assert depth * rows * columns <= most


def test_after_out_of_memory_nothing_is_computed_again():
    volume, calls = noise(1, 64, 4, 4), []

    def predict(block):
        calls.append(block.shape[1])
        if len(calls) > 2 and block.shape[1] > 8:
            raise MemoryError
        return block * 2

    result = tiled(volume, predict, Footprint((0, 0, 0)), tile_voxels=16 * 16)
    np.testing.assert_array_equal(result, volume * 2)
    # two tiles of 16 slices, one that failed, and the rest by 8
    assert calls == [16, 16, 16, 8, 8, 8, 8]


@pytest.mark.parametrize("halo", [None, (0, None, None)])
def test_out_of_memory_while_blending(halo):
    volume, notes = noise(1, 6, 32, 32), []
    network = Limited(lambda block: block, 300, MemoryError())
    result = tiled(volume, network, Footprint(halo, (1, 4, 4)), tile_voxels=4000, notify=notes.append)
    np.testing.assert_allclose(result, volume, atol=2e-6)
    assert len(notes) == network.failed > 1


@pytest.mark.parametrize("halo", [(1, 1, 1), None])
def test_fallback_is_called_once_and_the_result_is_whole(halo):
    volume, predict = noise(1, 9, 10, 12), moving_sum((0, 0, 0) if halo is None else halo)
    network, notes, moves = Limited(predict, 0, MemoryError()), [], []

    def fall_back():
        moves.append(True)
        network.move()
        return 10_000

    result = tiled(volume, network, Footprint(halo), notify=notes.append, on_fallback=fall_back)
    np.testing.assert_allclose(result, predict(volume), atol=1e-4)
    assert moves == [True]
    assert "smallest tile" in notes[-1]


def test_without_a_fallback_one_clear_error():
    network = Limited(moving_sum((1, 1, 1)), 5, MemoryError())
    with pytest.raises(OutOfMemory, match="memory"):
        tiled(noise(1, 8, 8, 8), network, Footprint((1, 1, 1)))


def test_other_errors_pass_through():
    def predict(block):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        tiled(noise(1, 8, 8, 8), predict, Footprint((1, 1, 1)), tile_voxels=200)


@pytest.mark.parametrize("halo", [(1, 1, 1), None])
def test_progress_rises_to_one_and_cancel_stops_at_once(halo):
    volume, calls, fractions = noise(1, 16, 16, 16), [], []

    def predict(block):
        calls.append(block.shape)
        return block

    tiled(volume, predict, Footprint(halo), tile_voxels=700, progress=lambda f, message: fractions.append(f))
    assert len(calls) == len(fractions) > 5
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)

    def cancel(fraction, message):
        if len(calls) == 3:
            raise Cancelled

    calls.clear()
    with pytest.raises(Cancelled):
        tiled(volume, predict, Footprint(halo), tile_voxels=700, progress=cancel)
    assert len(calls) == 3


def test_box():
    box = Box((1, 2, 3), (4, 8, 5))
    assert box.shape == (3, 6, 2)
    assert box.voxels == 36
    assert np.zeros((2, 5, 9, 6))[(..., *box.slices)].shape == (2, 3, 6, 2)
    assert box.scaled((2, 1, 3)) == Box((2, 2, 9), (8, 8, 15))
    assert box.relative_to((1, 1, 1)) == Box((0, 1, 2), (3, 7, 4))
    assert box.overlap(Box((0, 4, 4), (2, 9, 9))) == Box((1, 4, 4), (2, 8, 5))
    assert box.overlap(Box((4, 2, 3), (5, 8, 5))) is None
