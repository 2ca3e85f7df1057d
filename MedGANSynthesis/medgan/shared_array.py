"""Arrays in shared memory: the client owns the blocks, the worker looks into them.

The client creates and unlinks; it keeps blocks for the next call, because the first touch of fresh pages costs several
times the copy itself. The worker attaches without registering at Python's resource tracker: a tracker unlinks what it
knows when its process ends, so a dead worker would take the client's memory along (Python issue 82300, ``track=False``
since 3.13).
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import DTypeLike

from .errors import WorkerError
from .protocol import ArrayRef

_ALIGNMENT = 4096
_GRAIN = 1 << 20
MAX_IDLE_BYTES = 1 << 30
ArraySpec = tuple[Sequence[int], DTypeLike]


def view(block: SharedMemory, ref: ArrayRef) -> np.ndarray:
    """The array ``ref`` tells of, on the memory of ``block``. Raises ValueError if it does not lie inside.

    ``frombuffer`` and not ``ndarray(buffer=...)``: the former keeps the memory mapped for as long as the array lives,
    with the latter touching the array after ``block.close()`` is a segmentation fault.
    """
    dtype = np.dtype(ref.dtype)
    return np.frombuffer(block.buf, dtype, math.prod(ref.shape), ref.offset).reshape(ref.shape)


class SharedArrays:
    """Named arrays, C-contiguous and in native byte order, side by side in one block.

    Args:
        block: a block of at least ``needed_bytes(arrays)``.
        arrays: ``(shape, dtype)`` by name.
    """

    def __init__(self, block: SharedMemory, arrays: Mapping[str, ArraySpec]):
        self.block = block
        self.refs: dict[str, ArrayRef] = {}
        offset = 0
        for name, (shape, dtype) in arrays.items():
            native = np.dtype(dtype).newbyteorder("=").str
            self.refs[name] = ArrayRef(block.name, offset, tuple(int(n) for n in shape), native)
            offset += _aligned_bytes(shape, dtype)

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of that name; valid until the block goes back to its pool."""
        return view(self.block, self.refs[name])


def _aligned_bytes(shape: Sequence[int], dtype: DTypeLike) -> int:
    return -(-np.dtype(dtype).itemsize * math.prod(int(n) for n in shape) // _ALIGNMENT) * _ALIGNMENT


class BlockPool:
    """Shared memory blocks of the client, reused from call to call.

    Args:
        max_idle_bytes: blocks that lie idle beyond this are freed, the largest first.
    """

    def __init__(self, max_idle_bytes: int = MAX_IDLE_BYTES):
        self._max_idle_bytes = max_idle_bytes
        self._idle: list[SharedMemory] = []
        self._used: list[SharedMemory] = []

    def acquire(self, arrays: Mapping[str, ArraySpec], reuse: bool = True) -> SharedArrays:
        """Room for arrays of ``(shape, dtype)`` by name, with whatever content.

        Args:
            reuse: whether it may be in a block that lies idle, which may be larger; for what is soon given back.

        Raises:
            WorkerError: the system has not that much shared memory.
        """
        size = sum(_aligned_bytes(shape, dtype) for shape, dtype in arrays.values())
        fitting = [block for block in self._idle if reuse and block.size >= size]
        if fitting:
            block = min(fitting, key=lambda candidate: candidate.size)
            self._idle.remove(block)
        else:
            block = self._create(size)
        self._used.append(block)
        return SharedArrays(block, arrays)

    def release(self, arrays: SharedArrays) -> None:
        """Take the memory back for the next call. The arrays may not be used from now on."""
        block = arrays.block
        if block not in self._used:
            return  # the pool was closed meanwhile
        self._used.remove(block)
        self._idle.append(block)
        self._idle.sort(key=lambda candidate: candidate.size)
        while sum(candidate.size for candidate in self._idle) > self._max_idle_bytes:
            free(self._idle.pop())

    def discard(self, arrays: SharedArrays) -> None:
        """Give the memory back to the system: a worker that was killed may still be writing into it for a moment."""
        if arrays.block in self._used:
            self._used.remove(arrays.block)
            free(arrays.block)

    def trim(self) -> None:
        """Free all blocks that are not in use."""
        while self._idle:
            free(self._idle.pop())

    def close(self) -> None:
        """Free all blocks."""
        self.trim()
        while self._used:
            free(self._used.pop())

    def _create(self, size: int) -> SharedMemory:
        # What lies idle is too small for this call, and most likely for the next.
        self.trim()
        size = -(-size // _GRAIN) * _GRAIN
        block = None
        try:
            block = SharedMemory(_unused_name(), create=True, size=size)
            _reserve(block, size)
        except OSError as error:
            if block is not None:
                free(block)
            raise WorkerError(
                f"The system has no {size >> 20} MiB of shared memory left for this volume: "
                "free memory, crop the volume, or enlarge the shared memory (in Docker: --shm-size)."
            ) from error
        return block


def _unused_name() -> str:
    """A name that tells whose memory it is: ``medgan_<process>_<random>`` (31 characters are the limit on macOS)."""
    return f"medgan_{os.getpid()}_{secrets.token_hex(4)}"


def _reserve(block: SharedMemory, size: int) -> None:
    """Make the system commit the memory now; else the first touch of a full /dev/shm ends the process (SIGBUS)."""
    descriptor = getattr(block, "_fd", -1)
    if descriptor >= 0 and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)


def free(block: SharedMemory) -> None:
    """Unlink and unmap. An array that still lives on the block stays valid; its memory goes when the array does."""
    with contextlib.suppress(FileNotFoundError):
        block.unlink()
    _close(block)


def _close(block: SharedMemory) -> None:
    try:
        block.close()
    except BufferError:
        # An array that still lives keeps the memory mapped; without our own hold on it, close() ends the rest.
        block._buf = block._mmap = None
        block.close()


class AttachedBlocks:
    """In the worker: the client's blocks, never unlinked here.

    They stay mapped from job to job: mapping 32 MiB anew costs ten times the copy of a volume (15 ms against 1.5 ms).
    """

    def __init__(self) -> None:
        self._blocks: dict[str, SharedMemory] = {}

    def __getitem__(self, name: str) -> SharedMemory:
        return self._blocks[name]

    def attach(self, names: Iterable[str]) -> None:
        """Have exactly these blocks. Raises FileNotFoundError if one does not exist."""
        names = set(names)
        for name in set(self._blocks) - names:
            _close(self._blocks.pop(name))
        for name in names - set(self._blocks):
            self._blocks[name] = _attach(name)


def _attach(name: str) -> SharedMemory:
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    register = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        return SharedMemory(name)
    finally:
        resource_tracker.register = register
