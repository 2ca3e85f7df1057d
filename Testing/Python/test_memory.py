"""What memory is left, what a network takes of it, and which errors mean that there was none."""

import math
import os

import numpy as np
import pytest
from medgan import memory
from medgan.tiling import Footprint, run_tiled


def test_memory_errors_are_told_from_others():
    assert memory.is_out_of_memory(MemoryError())
    assert memory.is_out_of_memory(memory.OutOfMemory())
    assert memory.is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert memory.is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not memory.is_out_of_memory(RuntimeError("size mismatch"))
    assert not memory.is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(MemoryError) as caught:
        np.empty(2**57)
    assert memory.is_out_of_memory(caught.value)


def test_torch_reports_an_allocation_that_cannot_be():
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58)
    assert memory.is_out_of_memory(caught.value)


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="asks the operating system for its memory")
def test_free_memory_of_the_host_is_part_of_what_is_built_in():
    assert 0 < memory.free_bytes("cpu") < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def network_of(*layers):
    torch = pytest.importorskip("torch")
    return torch.nn.Sequential(*layers).eval()


def test_demand_of_a_network_that_can_be_counted_by_hand():
    torch = pytest.importorskip("torch")
    # float32: 8 channels in (ReLU's input) and 8 out are the most alive at once, besides the one channel of input
    network = network_of(torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(8, 2, 1))
    demand = memory.measure(network, 1, (1, 1, 1))
    assert demand.elements_per_voxel == pytest.approx(8)
    # the input is made outside and not counted; doubled for what kernels on the CPU take
    assert demand.bytes_per_voxel == pytest.approx(2 * 4 * (8 + 8))


def test_demand_sees_connections_between_modules():
    torch = pytest.importorskip("torch")

    class Skip(torch.nn.Module):
        def forward(self, x):
            kept = [x + number for number in range(10)]
            return torch.cat(kept, dim=1)

    demand = memory.measure(Skip(), 1, (1, 2, 2))
    assert demand.bytes_per_voxel == pytest.approx(2 * 4 * (10 + 10))
    assert demand.elements_per_voxel == pytest.approx(10)


def test_tile_is_planned_from_free_memory(monkeypatch):
    torch = pytest.importorskip("torch")
    network = network_of(torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.ReLU())
    voxels = []
    for free in (10**7, 10**9):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free)
        voxels.append(memory.plan_tile_voxels(network, 1, (1, 1, 1), margin=0.5))
    assert voxels[0] == pytest.approx(10**7 * 0.5 / 128, rel=0.01)
    assert voxels[1] == pytest.approx(100 * voxels[0], rel=0.01)
    # more memory than 32-bit indexing can address does not make the tile larger
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10**15)
    assert memory.plan_tile_voxels(network, 1, (1, 1, 1)) * 8 <= 2**31 - 1


@pytest.fixture
def small_gpu():
    """A CUDA device of which only 2 GiB may be used."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2**31 / total))
    yield torch.device("cuda")
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def test_a_full_gpu_takes_smaller_tiles_and_gives_the_same_result(small_gpu):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = network_of(*(torch.nn.Conv3d(1 if n == 0 else 16, 16, 3, padding=1) for n in range(4)))
    network.append(torch.nn.Conv3d(16, 1, 1))
    network.double().to(small_gpu)
    volume = np.random.default_rng(0).normal(size=(1, 200, 200, 200)).astype(np.float32)
    largest, notes = [], []

    def predict(block):
        with torch.inference_mode():
            result = network(torch.from_numpy(block).to(small_gpu, torch.float64)[None])[0].float().cpu().numpy()
        largest.append(block[0].size)
        return result

    def run(**options):
        result = np.full_like(volume, np.nan)

        def write(box, block):
            result[(..., *box.slices)] = block

        read = lambda box: volume[(..., *box.slices)]  # noqa: E731
        run_tiled(volume.shape[1:], read, predict, write, Footprint((4, 4, 4)), notify=notes.append, **options)
        return result

    result = run()
    assert notes
    assert max(largest) < volume.size
    notes.clear()
    np.testing.assert_allclose(result, run(tile_voxels=60**3), atol=1e-5)
    assert not notes


def test_demand_measured_on_a_gpu_is_what_a_large_pass_takes(small_gpu):
    torch = pytest.importorskip("torch")
    network = network_of(*(torch.nn.Conv3d(1 if n == 0 else 16, 16, 3, padding=1) for n in range(4))).to(small_gpu)
    demand = memory.measure(network, 1, (1, 1, 1), small_gpu)
    size = (96, 128, 128)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.no_grad():
        network(torch.zeros((1, 1, *size), device=small_gpu))
    used = (torch.cuda.max_memory_allocated() - before) / math.prod(size)
    assert 0.8 * used < demand.bytes_per_voxel < 2 * used
