"""How much memory a device has left, how much a network takes per voxel, and the tile size that follows from both."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import MedGANError

# Part of the free memory that is left alone: other programs allocate too, and allocators fragment.
MARGIN = 0.25
# cuDNN and several torch kernels index a tensor with 32 bits; a larger tensor fails however much memory there is.
MOST_ELEMENTS = 2**31 - 1


class OutOfMemory(MedGANError):
    """The device has no memory left for the smallest piece of work."""

    def __init__(self, message: str = "There is not enough memory even for the smallest tile: close other programs."):
        super().__init__(message)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of numpy, torch (CPU, CUDA, MPS), cuDNN or ours means that memory ran out."""
    if isinstance(error, (OutOfMemory, MemoryError)) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    # the last two are how cuBLAS and cuDNN report that their workspace could not be allocated
    signs = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
    signs += ("cublas_status_alloc_failed", "cudnn_status_alloc_failed")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


def release_cached() -> None:
    """Hand back to the driver what torch keeps for reuse; does nothing where torch is not loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Small passes on the CPU by one thread: faster than many where other programs keep the cores busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def free_bytes(device: Any = "cpu") -> int:
    """Bytes that a computation on ``device`` ("cpu", "cuda:0", "mps" or a torch.device) can still get."""
    kind = str(device).partition(":")[0]
    if kind == "cpu":
        return _free_host_bytes()
    import torch

    if kind == "cuda":
        device = torch.device(device)
        free, _ = torch.cuda.mem_get_info(device)
        # what torch's allocator holds without using it is free for us although the driver counts it as taken
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if kind == "mps":
        shared = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return max(0, min(shared, _free_host_bytes()))
    return _free_host_bytes()


def total_bytes(device: Any = "cpu") -> int:
    """Bytes that ``device`` has altogether; arguments as in ``free_bytes``."""
    kind = str(device).partition(":")[0]
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    if kind == "mps":
        import torch

        return torch.mps.recommended_max_memory()
    if sys.platform == "win32":
        return int(_windows_memory().totalPhysical)
    built_in = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([built_in, *(limit for limit, _ in _cgroup_limits())])


def _free_host_bytes() -> int:
    if sys.platform == "win32":
        return int(_windows_memory().availablePhysical)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        # macOS reports no "available" figure without further libraries: count on half of what is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return min(available, _free_cgroup_bytes())


def _free_cgroup_bytes() -> int:
    """What the limits of a container or cluster job (cgroup v2) leave; they kill long before the machine is full."""
    return min((max(0, limit - used) for limit, used in _cgroup_limits()), default=sys.maxsize)


def _cgroup_limits() -> list[tuple[int, int]]:
    """Limit and use in bytes at every level of the control group of this process that has a limit."""
    limits = []
    with contextlib.suppress(OSError, ValueError):
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].lstrip("/")
        root = Path("/sys/fs/cgroup")
        for folder in (root / group, *(root / group).parents):
            if not folder.is_relative_to(root):
                break
            with contextlib.suppress(OSError, ValueError):  # "max", or a level without a limit
                limit = int((folder / "memory.max").read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                used = int((folder / "memory.current").read_text()) - int(stat.get("inactive_file", 0))
                limits.append((limit, used))
    return limits


def _windows_memory() -> Any:
    class MemoryStatus(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("totalPhysical", ctypes.c_ulonglong),
            ("availablePhysical", ctypes.c_ulonglong),
            ("rest", ctypes.c_ulonglong * 5),
        )

    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return status


@dataclass(frozen=True)
class Demand:
    """What one forward pass takes per voxel of its input (one position of the grid, all channels)."""

    bytes_per_voxel: float
    elements_per_voxel: float  # of the largest single tensor


def measure(
    forward: Callable[[Any], Any], in_channels: int, multiple: tuple[int, int, int], device: Any = "cpu"
) -> Demand:
    """Memory that ``forward`` needs per input voxel, from small passes on ``device``.

    ``forward`` is a network already on the device, or a function around one (half precision, channels last, ...),
    and takes a float32 tensor (1, in_channels, k, j, i) on that device. ``multiple`` as in ``tiling.Footprint``.

    Live tensors are counted, each operation's results from when they are made to when their last reference
    dies: this finds skip connections and concatenations that hooks on modules cannot see, needs no large pass
    and is the same on every device. What kernels allocate inside themselves is invisible to it. CUDA's allocator
    sees that as well (cuDNN workspaces), so there its peak is used if higher. On the CPU the process-wide peak
    cannot be reset, and convolutions there copy their input once (im2col or a blocked layout): doubled instead.
    """
    import torch

    sizes = _probe_sizes(multiple, 2**18 if str(device).startswith("cuda") else 2**10)
    with one_thread():
        small, large = (_forward_peak(forward, in_channels, size, torch.device(device)) for size in sizes)
    voxels = [math.prod(size) for size in sizes]
    slope = (large.bytes_per_voxel - small.bytes_per_voxel) / (voxels[1] - voxels[0])
    # what a network computes outside torch cannot be seen here; it says itself how much that takes
    hidden = max((getattr(part, "hidden_bytes_per_voxel", 0.0) for part in _parts(forward)), default=0.0)
    # the difference of two sizes removes what does not grow with the tile; never trust it below the plain ratio / 2
    return Demand(
        bytes_per_voxel=max(slope, 0.5 * large.bytes_per_voxel / voxels[1], 1.0) + hidden,
        elements_per_voxel=max(large.elements_per_voxel / voxels[1], 1.0),
    )


def plan_tile_voxels(
    forward: Callable[[Any], Any],
    in_channels: int,
    multiple: tuple[int, int, int],
    device: Any = "cpu",
    margin: float = MARGIN,
) -> int:
    """Largest number of input voxels of one tile (halo included) that ``device`` has the memory for; at least 1.

    Arguments as in ``measure``. The network is measured once and remembered; the free memory is asked every time.
    """
    key = (in_channels, tuple(multiple), str(device))
    known = _measured.setdefault(forward, {})
    if key not in known:
        known[key] = measure(forward, in_channels, multiple, device)
        release_cached()
    demand = known[key]
    voxels = free_bytes(device) * (1 - margin) / demand.bytes_per_voxel
    return max(1, int(min(voxels, MOST_ELEMENTS / demand.elements_per_voxel)))


# by network, then by what else the measurement depends on; forgotten with the network
_measured: weakref.WeakKeyDictionary[Any, dict[tuple, Demand]] = weakref.WeakKeyDictionary()


def _parts(forward: Callable[[Any], Any]) -> Iterator[Any]:
    """A network and the modules in it; a function alone."""
    return forward.modules() if hasattr(forward, "modules") else iter((forward,))


def _probe_sizes(multiple: tuple[int, int, int], voxels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two nearly cubic sizes that the network takes, the second about twice the first."""
    edge = voxels ** (1 / 3)
    small = [max(1, round(edge / step)) * step for step in multiple]
    return tuple(small), (small[0] * 2, small[1], small[2])


def _forward_peak(forward: Callable[[Any], Any], in_channels: int, size: tuple[int, ...], device: Any) -> Demand:
    """Peak bytes, and elements of the largest tensor, of one pass: totals, not yet per voxel."""
    import torch

    block = torch.zeros((1, in_channels, *size), device=device)
    with torch.no_grad():
        with live_tensors() as live:
            forward(block)
        if device.type != "cuda":
            return Demand(2.0 * live.peak_bytes, live.largest_elements)
        forward(block)  # once more before measuring: the first pass also tries out algorithms
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device) - block.nbytes
        torch.cuda.reset_peak_memory_stats(device)
        forward(block)
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device) - before
    return Demand(max(peak, live.peak_bytes), live.largest_elements)


def live_tensors() -> Any:
    """A torch mode that follows every tensor an operation makes for as long as its memory lives."""
    from torch import Tensor
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class LiveTensors(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.peak_bytes = self.largest_elements = 0
            self._alive: dict[int, tuple[Any, int]] = {}

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
            for tensor in tree_leaves(result):
                if isinstance(tensor, Tensor):
                    storage = tensor.untyped_storage()
                    self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
                    self.largest_elements = max(self.largest_elements, tensor.numel())
            self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._alive.values()))
            return result

    return LiveTensors()
