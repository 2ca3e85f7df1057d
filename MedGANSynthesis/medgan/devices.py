"""What can compute on this machine, for the list a user chooses from; found out in the worker, which may load torch."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GIB = 1 << 30


@dataclass(frozen=True)
class DeviceInfo:
    """A device that computes.

    Args:
        name: as ``Synthesizer`` and ``Client.apply`` take it: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
        label: for people, with its memory: ``"GPU 0: NVIDIA H200 (120 of 139 GiB free)"``.
        total_bytes, free_bytes: of its memory; free for us, so what the worker itself keeps for reuse counts as free.
    """

    name: str
    label: str
    total_bytes: int
    free_bytes: int


def describe_devices() -> list[DeviceInfo]:
    """The devices of this machine, the fastest first; imports torch, and the CPU alone if that cannot be done."""
    devices = []
    with contextlib.suppress(Exception):  # not installed, half installed, or for another driver: the CPU is left
        import torch

        for index in range(torch.cuda.device_count()):
            with contextlib.suppress(Exception):  # a GPU that others have locked must not hide the next one
                name = f"cuda:{index}"
                devices.append(_describe(name, f"GPU {index}: {torch.cuda.get_device_name(index)}"))
        if torch.backends.mps.is_available():
            devices.append(_describe("mps", "GPU of this Mac"))
    return [*devices, cpu()]


def cpu() -> DeviceInfo:
    """The processor, of which every machine has one; needs no torch."""
    return _describe("cpu", f"CPU: {os.cpu_count()} cores")


def _describe(name: str, title: str) -> DeviceInfo:
    from . import memory

    total, free = memory.total_bytes(name), memory.free_bytes(name)
    free = min(free, total)
    digits = 0 if total >= 10 * _GIB else 1
    return DeviceInfo(name, f"{title} ({free / _GIB:.{digits}f} of {total / _GIB:.{digits}f} GiB free)", total, free)


def resident_bytes() -> int:
    """Memory of the machine that this process takes at the moment; 0 where the system does not tell."""
    with contextlib.suppress(Exception):
        if sys.platform == "win32":
            return _windows_working_set()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _windows_working_set() -> int:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("size", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in ("peak", "workingSet", "a", "b", "c", "d", "pagefile", "peakFile")),
        )

    counters = Counters(size=ctypes.sizeof(Counters))
    kernel: Any = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    kernel.K32GetProcessMemoryInfo.argtypes = (wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD)
    kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size)
    return int(counters.workingSet)
