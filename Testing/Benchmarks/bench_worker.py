"""What calling a generator in the worker costs beyond its computation, how fast a worker starts, what memory it takes.

    python Testing/Benchmarks/bench_worker.py [--json FILE] [--repeats N]

The volume is 512 x 512 x 32, int16 (16 MiB). "Beyond computation" is the time from ``Client.apply`` to the result in
the caller's memory, minus the time within the network; it contains both copies, the scaling to float32 and back, and
the tiling.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MedGANSynthesis"))

from medgan.bundle import Bundle
from medgan.bundle_search import find_bundles
from medgan.client import Client
from medgan.volume import Geometry, Volume

GOAL_MS = 60.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20, help="warm calls per case (at least 10)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    repeats = max(10, options.repeats)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        identity = Bundle.create_identity(Path(folder) / "identity")
        figures |= cold_start(10)
        figures |= warm_calls("identity", identity, repeats)
    trained = [bundle for bundle in find_bundles("denoise-ct") if not bundle.manifest.is_identity]
    if trained:
        figures |= warm_calls(trained[0].name, trained[0], 10)
    for name, value in figures.items():
        print(f"{name:<58} {value:10.1f}")
    overhead = figures["identity: beyond computation, consume, ms"]
    print(f"{'goal (ms) / overhead':<58} {GOAL_MS / overhead:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def cold_start(repeats: int) -> dict[str, float]:
    """Start of a worker until it answers, median in ms."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        with Client() as client:
            client.ping()
            times.append(time.perf_counter() - started)
    return {"cold start to first answer, ms": 1e3 * statistics.median(times)}


def warm_calls(name: str, bundle: Bundle, repeats: int) -> dict[str, float]:
    """First call, then medians in ms of ``repeats`` warm calls, and the worker's memory peak in MiB."""
    volume = chest_like_volume()
    target = volume.array.copy()
    figures = {}
    with Client() as client:
        started = time.perf_counter()
        client.apply(volume, bundle).wait()
        figures[f"{name}: first call, worker not running, ms"] = 1e3 * (time.perf_counter() - started)
        figures[f"{name}: memory peak of the worker, MiB"] = peak_memory_mib(client.worker_pid)
        for mode in ("consume", "copy"):
            totals, overheads = [], []
            for _ in range(repeats):
                started = time.perf_counter()
                compute_s = call(client, volume, bundle, target if mode == "consume" else None)
                totals.append(time.perf_counter() - started)
                overheads.append(totals[-1] - compute_s)
            figures[f"{name}: whole call, {mode}, ms"] = 1e3 * statistics.median(totals)
            figures[f"{name}: beyond computation, {mode}, ms"] = 1e3 * statistics.median(overheads)
    return figures


def call(client: Client, volume: Volume, bundle: Bundle, target: np.ndarray | None) -> float:
    """One warm call; seconds within the network."""
    if target is None:
        return client.apply(volume, bundle).wait().compute_seconds

    def consume(result) -> float:
        target[...] = result.volume.array
        return result.compute_seconds

    return client.apply(volume, bundle, consume=consume).wait()


def chest_like_volume() -> Volume:
    """Noise over the range of a CT, in HU."""
    array = np.random.default_rng(0).normal(-300, 400, (32, 512, 512)).clip(-1024, 3071).astype(np.int16)
    return Volume(array, Geometry(spacing_mm=(0.7, 0.7, 2.5)), "HU", "CT")


def peak_memory_mib(pid: int) -> float:
    """Highest resident memory of a process so far (Linux; elsewhere NaN)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))


if __name__ == "__main__":
    main()
