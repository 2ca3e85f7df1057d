"""Losses of a training as it goes on: ``steps.jsonl``, one line per report, read while it is being written."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from .files import replacing
from .training_events import StepDone

FILE = "steps.jsonl"


class StepWriter:
    """Appends the losses of a training.

    A row is one line, so a process that is killed leaves at most one torn line, which readers pass over.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        self._path = Path(folder) / FILE
        self._torn = False

    def begin(self, step: int) -> None:
        """Leave out what lies beyond a step: the weights never got there, or another training did.

        Raises:
            InputError: the file cannot be written.
        """
        kept = [row for row in _rows(_content(self._path)) if row["step"] <= step]
        with replacing(self._path) as beside:
            beside.write_text("".join(_line(row) for row in kept), encoding="utf-8")
        self._torn = False

    def add(self, event: StepDone) -> None:
        """Append one; on a full disk it is left out, as nothing depends on it."""
        rates = {f"learning_rate_{player}": rate for player, rate in event.learning_rates.items()}
        row = {"step": event.step, "epoch": event.epoch, **event.losses, **rates}
        line = ("\n" if self._torn else "") + _line(row)
        try:
            with self._path.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(line)
            self._torn = False
        except OSError:
            self._torn = True


class StepReader:
    """Reads what has been appended since it last looked.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        self._path = Path(folder) / FILE
        self._known: tuple[int, int] = (0, 0)  # identity of the file, bytes read
        self._rows: list[dict[str, Any]] = []

    def table(self, most: int | None = None) -> dict[str, np.ndarray]:
        """Columns of equal length, float64: ``step``, ``epoch``, the losses and the learning rates.

        A loss that was not there at a step (the discriminator before it joins) is NaN.

        Args:
            most: about how many rows at most, spread evenly and with the last one; None for all.
        """
        self._read()
        rows = self._rows
        if most is not None and len(rows) > most:
            rows = rows[len(rows) - 1 :: -math.ceil(len(rows) / most)][::-1]
        names = dict.fromkeys(("step", "epoch"))
        for row in rows:
            names |= dict.fromkeys(row)
        return {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._path.open("rb") as stream:
            facts = _facts(stream)
            identity, position = self._known
            if facts[0] != identity or facts[1] < position:  # cut by a resume, or begun anew
                self._rows, position = [], 0
            stream.seek(position)
            whole = stream.read().rpartition(b"\n")[0]
            self._rows += _rows(whole)
            self._known = (facts[0], position + len(whole) + bool(whole))
            return
        self._known, self._rows = (0, 0), []


def _facts(stream: Any) -> tuple[int, int]:
    import os

    facts = os.fstat(stream.fileno())
    return facts.st_ino, facts.st_size


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _rows(content: bytes) -> list[dict[str, Any]]:
    """The lines that are whole."""
    rows = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append({name: value for name, value in row.items() if isinstance(value, int | float)})
    return rows


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"
