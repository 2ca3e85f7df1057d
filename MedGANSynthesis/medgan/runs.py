"""The training runs known on this computer: their folders, kept in a small file that every training adds itself to."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .file_lock import locked
from .files import write_json
from .run_folder import Run


def registry() -> Path:
    """The file that names them: ``$MEDGAN_RUNS``, else ``~/.medgan/runs.json``."""
    named = os.environ.get("MEDGAN_RUNS")
    return Path(named) if named else Path.home() / ".medgan" / "runs.json"


def known_runs() -> list[Run]:
    """The runs whose folders are there, the latest registered first; those on a disk that is away are left out."""
    return [run for run in map(Run, reversed(_read())) if run.exists]


def register(folder: str | Path) -> None:
    """Add a run, or make it the latest.

    Raises:
        InputError: the registry cannot be written.
    """
    _change(folder, keep=True)


def forget(run: Run | str | Path) -> None:
    """Leave a run out from now on; its folder stays.

    Raises:
        InputError: the registry cannot be written.
    """
    _change(run.folder if isinstance(run, Run) else run, keep=False)


def _change(folder: str | Path, keep: bool) -> None:
    path, name = registry(), str(Path(folder).resolve())
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        others = [other for other in _read() if other != name]
        write_json(path, {"runs": [*others, name] if keep else others})


def _read() -> list[str]:
    try:
        names = json.loads(registry().read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # not there yet, or damaged: it begins anew
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
