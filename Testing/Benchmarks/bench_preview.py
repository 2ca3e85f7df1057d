"""What a preview of one axial slice costs beyond its computation, with the volume held by the worker and without.

    python Testing/Benchmarks/bench_preview.py [--json FILE] [--repeats N]

The volume is 512 x 512 x 64, int16 (32 MiB); the generator is the shipped denoise-ct-multi, on the CPU. "Beyond
computation" is the time from ``Client.apply`` to the voxels in the caller's memory, minus the time within the network.

* held: the volume lies with the worker, each request names a slice of it.
* whole: the whole volume is sent with each request for a slice.
* alone: the slice is sent as a volume of its own. This is no preview, because its intensities are fitted to it alone,
  but it shows what the request would cost if the volume did not matter.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MedGANSynthesis"))

from medgan.bundle import Bundle
from medgan.bundle_search import resolve
from medgan.client import Client
from medgan.held import Held
from medgan.tile_plan import Box
from medgan.volume import Geometry, Volume

GOAL_MS = 100.0
SLICES = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20, help="warm requests per case (at least 20)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--device", default="cpu", help="where it computes")
    options = parser.parse_args()
    repeats = max(20, options.repeats)
    figures = measure(resolve("denoise-ct-multi"), options.device, repeats)
    for name, value in figures.items():
        print(f"{name:<58} {value:10.2f}")
    held, whole, alone = (figures[f"{case}: beyond computation, ms"] for case in ("held", "whole", "alone"))
    print(f"{'whole / held':<58} {whole / held:10.1f}")
    print(f"{'alone / held':<58} {alone / held:10.1f}")
    print(f"{'goal (ms) / held':<58} {GOAL_MS / held:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(bundle: Bundle, device: str, repeats: int) -> dict[str, float]:
    """Medians over the requests of each case in ms; every request is for another slice."""
    volume = chest_like_volume()
    figures: dict[str, float] = {}
    with Client() as client:
        figures["hold, ms"], held = timed(client.hold, volume)
        first_ms, _ = timed(request, client, bundle, device, held, axial_slice(0))
        figures["first request, worker not running, ms"] = first_ms
        cases = {
            "held": lambda k: (held, axial_slice(k)),
            "whole": lambda k: (volume, axial_slice(k)),
            "alone": lambda k: (volume.with_array(volume.array[k : k + 1]), None),
        }
        for case, arguments in cases.items():
            request(client, bundle, device, *arguments(SLICES - 1))
            totals, overheads = [], []
            for number in range(repeats):
                source, region = arguments(number % SLICES)
                total_ms, compute_s = timed(request, client, bundle, device, source, region)
                totals.append(total_ms)
                overheads.append(total_ms - 1e3 * compute_s)
            figures[f"{case}: whole request, ms"] = statistics.median(totals)
            figures[f"{case}: beyond computation, ms"] = statistics.median(overheads)
            figures[f"{case}: beyond computation, slowest, ms"] = max(overheads)
    return figures


def request(client: Client, bundle: Bundle, device: str, source: Volume | Held, region: Box | None) -> float:
    """One preview, copied from shared memory to where it is shown; seconds within the network."""
    shown = np.empty((1, 512, 512), np.int16)

    def consume(result) -> float:
        np.copyto(shown, result.volume.array)
        return result.compute_seconds

    return client.apply(source, bundle, device=device, region=region, consume=consume).wait()


def axial_slice(k: int) -> Box:
    """All of slice ``k``."""
    return Box((k, 0, 0), (k + 1, 512, 512))


def timed(action: Callable, *arguments: object) -> tuple[float, Any]:
    """Milliseconds that ``action`` took, and what it gave."""
    started = time.perf_counter()
    value = action(*arguments)
    return 1e3 * (time.perf_counter() - started), value


def chest_like_volume() -> Volume:
    """Noise over the range of a CT, in HU."""
    array = np.random.default_rng(0).normal(-300, 400, (SLICES, 512, 512)).clip(-1024, 3071).astype(np.int16)
    return Volume(array, Geometry(spacing_mm=(0.7, 0.7, 2.5)), "HU", "CT")


if __name__ == "__main__":
    main()
