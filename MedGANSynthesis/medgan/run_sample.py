"""The sample of a run on disk: one slice of a held-out case as NRRD volumes that lie where they lie in the patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .files import make_folder, write_json
from .image_io import write_volume
from .training_events import SampleDrawn
from .volume import Geometry, Volume

FOLDER = "sample"
ROLES = ("input", "output", "truth")


def write_sample(folder: Path, event: SampleDrawn) -> None:
    """Write ``sample/input.nrrd``, ``output.nrrd`` and, where there is one, ``truth.nrrd``; then ``sample.json``.

    Raises:
        InputError: they cannot be written.
    """
    place = Path(folder) / FOLDER
    make_folder(place)
    for role, image in event.images.items():
        units = event.units if role != "input" else event.input_units
        geometry = Geometry(**event.geometries[role])
        write_volume(Volume(image[None], geometry, units), place / f"{role}.nrrd")
    shown = {"window": event.window, "input_window": event.input_window or event.window}
    write_json(
        place / "sample.json",
        {"case": event.case, "epoch": event.epoch, "step": event.step, "roles": list(event.images), **shown},
    )


def read_sample(folder: Path) -> dict[str, Any] | None:
    """``{"input": path, "output": path, "truth": path, "case": ..., "epoch": ..., "step": ..., "window": (low, high),
    "input_window": (low, high)}``; None before the first one. ``truth`` is left out where there is none.
    """
    place = Path(folder) / FOLDER
    try:
        content = json.loads((place / "sample.json").read_text(encoding="utf-8"))
        roles = [role for role in content.pop("roles") if role in ROLES]
        for name in ("window", "input_window"):
            content[name] = tuple(content[name])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {**{role: place / f"{role}.nrrd" for role in roles}, **content}
