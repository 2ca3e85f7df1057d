"""A real worker with made-up generators, for tests: ``python fake_worker.py`` is started as a client's worker.

The name of the bundle folder says what its generator does, see ``behave``.
"""

import ctypes
import os
import signal
import sys
import time
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from medgan import protocol, worker
from medgan.errors import InputError

kept = []
seen = weakref.WeakKeyDictionary()


def times_seen(volume):
    """How often this very object was the input before; what nobody holds any more is forgotten, as a generator does."""
    seen[volume] = seen.get(volume, -1) + 1
    return seen[volume]


def load(bundle, device):
    """The fake generator of a folder's name; how often one was loaded is told in its provenance."""
    load.count += 1
    count = load.count

    def synthesize(volume, options, *, region, progress, out):
        started = time.monotonic()
        part = volume if region is None else volume.with_array(volume.array[region.slices])
        behave(Path(bundle).name, part, progress, out)
        image = out["image"] if Path(bundle).name != "elsewhere" else out["image"].copy()
        if "spread" in out:
            out["spread"][...] = 0.5
        provenance = {
            "Loaded": str(count),
            "Device": device,
            "Strength": str(options.strength),
            "PID": str(os.getpid()),
            "Seen": str(times_seen(volume)),
            "Held volumes": str(len(seen)),
        }
        return SimpleNamespace(
            volume=volume.with_array(image),
            spread=volume.with_array(out["spread"]) if "spread" in out else None,
            provenance=provenance,
            applicability=[f"{volume.modality} in {volume.units}"],
            notes=[str(volume.geometry.to_dict())],
            compute_seconds=time.monotonic() - started,
        )

    return synthesize


load.count = 0


def behave(kind, volume, progress, out):
    """What the generator ``kind`` does before it returns."""
    out["image"][...] = -volume.array if kind == "negate" else volume.array
    if kind == "slow":
        for step in range(20):
            progress(step / 20, f"step {step}")
            time.sleep(0.06)
    elif kind.startswith("tiles"):
        for step in range(40):
            progress(step / 40, "tiles")
            time.sleep(0.005)
    elif kind == "endless":
        while True:
            progress(0.5, "endless")
            time.sleep(0.005)
    elif kind == "deaf":
        progress(0.5, "deaf")
        time.sleep(0.3)
    elif kind == "stuck":
        progress(0.25, "stuck")
        time.sleep(600)
    elif kind == "crash":
        progress(0.5, "about to crash")
        print("last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "crash-at-once":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "raise":
        raise ValueError("no such thing\nsecond line")
    elif kind == "input-error":
        raise InputError("The volume is upside down; turn it over.")
    elif kind == "memory":
        np.empty(1 << 60, np.uint8)
    elif kind == "no-torch":
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    elif kind == "print":
        print("hello from Python")
        os.write(1, protocol.encode(protocol.Pong(7)))
        ctypes.CDLL(None).puts(b"hello from C")
        sys.__stdout__.write("hello from the original stream\n")
        sys.__stdout__.flush()
    elif kind == "keep":
        kept.append(volume.array)
    elif kind == "write-source":
        volume.array[...] = 0


if __name__ == "__main__":
    worker.main(load)
