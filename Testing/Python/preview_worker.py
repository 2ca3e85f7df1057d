"""A worker whose generators tell what they were asked for: ``python preview_worker.py`` is started as Slicer's worker.

The result is minus the strength times the source, so that a preview shows which voxels and which options it was made
of. The name of the bundle's folder says what else a generator does: "slow" takes its time, "fails" refuses.
"""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from medgan import worker
from medgan.errors import InputError


def load(bundle, device):
    """The generator of a folder's name."""
    kind, calls = Path(bundle).name, []

    def synthesize(volume, options, *, region, progress, out):
        calls.append(region)
        if kind == "fails":
            raise InputError(f"Refused {len(calls)} times.")
        for step in range(20 if kind == "slow" else 1):
            progress(step / 20, "computing")
            time.sleep(0.02 if kind == "slow" else 0)
        part = volume.array if region is None else volume.array[region.slices]
        result = np.rint(-options.strength * part)
        if out["image"].dtype.kind != "f":
            limits = np.iinfo(out["image"].dtype)
            result = result.clip(limits.min, limits.max)
        out["image"][...] = result
        return SimpleNamespace(
            volume=volume.with_array(out["image"]),
            spread=None,
            provenance={"PID": str(os.getpid()), "Device": device},
            applicability=[],
            notes=[],
            compute_seconds=0.0,
        )

    return synthesize


if __name__ == "__main__":
    worker.main(load)
