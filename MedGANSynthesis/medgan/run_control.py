"""What people want of a training that runs in another process: a file in its folder, so that it works everywhere."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from .files import write_json

FILE = "control.json"
RUN, PAUSE, STOP = "run", "pause", "stop"


def ask(folder: Path, wish: str) -> None:
    """Ask the process of a run for :data:`RUN` (after a pause), :data:`PAUSE` or :data:`STOP`."""
    write_json(Path(folder) / FILE, {"want": wish})


def asked(folder: Path) -> str:
    """What is asked for at the moment, :data:`RUN` if nothing is."""
    try:
        wish = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))["want"]
    except (OSError, ValueError, KeyError, TypeError):
        return RUN
    return wish if wish in (PAUSE, STOP) else RUN


def forget(folder: Path) -> None:
    """Nothing is asked for any more."""
    with contextlib.suppress(OSError):
        (Path(folder) / FILE).unlink()
