"""How long a live preview takes beyond its computation, from the moment a slice view has scrolled.

    python Testing/Benchmarks/bench_preview_slicer.py [--json FILE] [--repeats N]

The volume is 512 x 512 x 32, int16; one axial view of 512 x 512 pixels shows it. "Beyond computation" is the time from
the change of the slice node to the new voxels in the preview's node, on the warm worker, minus the time within the
network; the delay of the schedule is part of it, rendering is not (Slicer takes about 20 ms for it). The naive way for
comparison: copy the slice into a volume of its own and apply the model to that. Runs on the stand-in for Slicer.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "Testing" / "Host"), str(REPOSITORY / "MedGANSynthesis")]

import medgan_host  # noqa: E402

medgan_host.install()

import numpy as np  # noqa: E402
import qt  # noqa: E402
import slicer  # noqa: E402
from medgan.bundle_search import find_bundles  # noqa: E402
from medgan.options import ApplyOptions  # noqa: E402
from MedGANSynthesisLib.nodes import setHounsfieldUnits  # noqa: E402
from MedGANSynthesisLib.preview.PreviewController import PreviewController  # noqa: E402
from MedGANSynthesisLib.preview.PreviewSchedule import DELAY_MS  # noqa: E402
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic  # noqa: E402
from MedGANSynthesisLib.SynthesisParameterNode import PreviewMode  # noqa: E402

GOAL_MS = 100.0
SLICES = 32


class Stopwatch(PreviewController):
    """A preview that remembers when its last result was shown and how long the network took for it."""

    shownAt = computeSeconds = 0.0

    def _take(self, key, request, mask, keepsSource, result):
        shown = super()._take(key, request, mask, keepsSource, result)
        self.shownAt, self.computeSeconds = time.perf_counter(), result.compute_seconds
        return shown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    bundle = next(bundle for bundle in find_bundles("denoise-ct") if not bundle.manifest.is_identity)
    node, logic = chest(), SynthesisLogic()
    figures = preview(bundle, node, logic, options) | naive(bundle, node, logic, options)
    for name, value in figures.items():
        print(f"{name:<62} {value:10.1f}")
    print(f"{'goal beyond computation (ms)':<62} {GOAL_MS:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    logic.stopEngine()


def preview(bundle, node, logic, options) -> dict[str, float]:
    """Scroll slice by slice."""
    red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    slicer.app.layoutManager().layout = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    red.GetSliceNode().SetDimensions(512, 512, 1)
    red.GetSliceCompositeNode().SetBackgroundVolumeID(node.GetID())
    red.FitSliceToBackground()
    controller = Stopwatch(logic, lambda text: None)
    started = time.perf_counter()
    controller.setContext(None, bundle, node, ApplyOptions(), {}, options.device)
    controller.setMode(PreviewMode.VisibleSlices)
    wait(lambda: controller.shownAt > started)
    figures = {"first preview, worker not running, ms": 1e3 * (controller.shownAt - started)}
    totals, network = [], []
    for step in range(options.repeats):
        started = time.perf_counter()
        red.SetSliceOffset(2.5 * (1 + step % (SLICES - 1)))
        wait(lambda since=started: controller.shownAt > since)
        totals.append(controller.shownAt - started)
        network.append(controller.computeSeconds)
    controller.cleanup()
    beyond = [total - within for total, within in zip(totals, network, strict=True)]
    figures["preview of a slice, ms"] = 1e3 * statistics.median(totals)
    figures["... of which within the network, ms"] = 1e3 * statistics.median(network)
    figures["preview of a slice, beyond computation, ms"] = 1e3 * statistics.median(beyond)
    figures["... the longest, ms"] = 1e3 * max(beyond)
    figures["... of which the delay that gathers changes, ms"] = float(DELAY_MS)
    return figures


def naive(bundle, node, logic, options) -> dict[str, float]:
    """A volume of one slice, applied to and removed again; and the whole volume, per slice."""
    volumes, times = slicer.modules.volumes.logic(), []
    array = slicer.util.arrayFromVolume(node)
    for step in range(options.repeats):
        started = time.perf_counter()
        slice_ = volumes.CloneVolume(slicer.mrmlScene, node, "slice")
        slicer.util.updateVolumeFromArray(slice_, array[step % SLICES][np.newaxis])
        output = logic.apply(bundle.task, slice_, model=bundle, device=options.device)
        times.append(time.perf_counter() - started)
        for each in (slice_, output):
            slicer.mrmlScene.RemoveNode(each)
    started = time.perf_counter()
    logic.apply(bundle.task, node, model=bundle, device=options.device)
    whole = time.perf_counter() - started
    return {
        "naive: a slice as a volume of its own, ms": 1e3 * statistics.median(times),
        "whole volume, per slice, ms": 1e3 * whole / SLICES,
    }


def chest():
    """Noise over the range of a CT, in HU."""
    array = np.random.default_rng(0).normal(-300, 400, (SLICES, 512, 512)).clip(-1024, 3071).astype(np.int16)
    node = slicer.util.addVolumeFromArray(array, np.diag([0.7, 0.7, 2.5, 1.0]), "CT")
    setHounsfieldUnits(node)
    return node


def wait(condition, seconds: float = 120.0) -> None:
    """Run the event loop until something is true."""
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError("No preview came.")
        slicer.app.processEvents(int(qt.QEventLoop.AllEvents) | int(qt.QEventLoop.WaitForMoreEvents))


if __name__ == "__main__":
    main()
