"""How long Slicer's start waits for each module file, beside what importing numpy costs.

    python Testing/Benchmarks/bench_import.py [--json FILE] [--repeats N]

Every import happens in an interpreter of its own. What Slicer has loaded before it comes to a module (numpy, VTK, Qt,
its own Python packages) is loaded before the clock starts; the test host stands in for Slicer. A ratio above 1 means
that the module file is quicker than numpy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOAL_MS = 50.0
HEAVY = ("torch", "monai", "SimpleITK", "pydicom", "scipy", "skimage")
TIMED = """
import sys, time
loaded, started = set(sys.modules), time.perf_counter()
import {name}
seconds = time.perf_counter() - started
print("RESULT", 1e3 * seconds, *sorted({{name.split(".")[0] for name in set(sys.modules) - loaded}}))
"""
HOST = """
import sys
sys.path[:0] = [{host!r}, {folder!r}]
import medgan_host
medgan_host.install()
import ctk, numpy, qt, slicer, vtk
import slicer.i18n, slicer.parameterNodeWrapper, slicer.ScriptedLoadableModule, slicer.util
"""


def main() -> None:
    """Measure and print; exit code 1 if a module file is over the goal or loads something heavy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="interpreters per import (at least 5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    modules = sorted(ROOT.glob("MedGAN*/MedGAN*.py"))
    times: dict[str, list[float]] = {"numpy": [], **{path.stem: [] for path in modules}}
    heavy: set[str] = set()
    for _ in range(max(5, options.repeats)):  # by turns, so that a busy machine slows all of them
        times["numpy"].append(imported("numpy", "")[0])
        for path in modules:
            host = HOST.format(host=str(ROOT / "Testing" / "Host"), folder=str(path.parent))
            milliseconds, packages = imported(path.stem, host)
            times[path.stem].append(milliseconds)
            heavy |= packages & set(HEAVY)
    medians = {name: statistics.median(values) for name, values in times.items()}
    figures = {f"import {name}, ms": value for name, value in medians.items()}
    for path in modules:
        figures[f"numpy / {path.stem}"] = medians["numpy"] / medians[path.stem]
        figures[f"goal ({GOAL_MS:g} ms) / {path.stem}"] = GOAL_MS / medians[path.stem]
    for name, value in figures.items():
        print(f"{name:<58} {value:10.1f}")
    print(f"{'heavy packages loaded':<58} {', '.join(sorted(heavy)) or 'none':>10}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if heavy or any(medians[path.stem] > GOAL_MS for path in modules):
        sys.exit(1)


def imported(name: str, before: str) -> tuple[float, set[str]]:
    """Milliseconds that one import took in a fresh interpreter, and the packages it brought along."""
    environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ}
    command = [sys.executable, "-c", before + TIMED.format(name=name)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    result = next((line for line in run.stdout.splitlines() if line.startswith("RESULT ")), None)
    if result is None:
        sys.exit(f"{name} could not be imported:\n{run.stderr}")
    _, milliseconds, *packages = result.split()
    return float(milliseconds), set(packages)


if __name__ == "__main__":
    main()
