"""Status of a training run: what ``status.json`` in its folder says of it, for every process that wants to know."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import write_json
from .run_request import Request

FILE = "status.json"
LIVE = ("starting", "running", "paused")
"""States in which a process is at work, or about to be."""
ENDED = ("finished", "early stop", "stopped", "failed", "diverged", "interrupted")


@dataclass(frozen=True)
class RunStatus:
    """Where a run is.

    Args:
        state: "new" (nothing has begun), "starting" (its process has not spoken yet), "running", "paused", "finished",
            "early stop", "stopped", "failed", "diverged" or "interrupted" (its process is gone without a word).
        message: a sentence for people: what it does now, or why it ended.
        fraction: 0 to 1. epoch: the one it is at, from 1; epochs: planned. step: finished; steps: planned in all.
        losses: by name, of the last step told. learning_rates: "generator" and "discriminator".
        samples_per_s: patches per second, lately. remaining_s: seconds to the end, None while unknown.
        device: where it computes, "" before that is known.
        warnings: sentences of the watchdog (:mod:`medgan.training_health`), each once.
        started, updated: seconds since 1970; the latter at most a few seconds ago while a process lives.
        pid: of the process, 0 for none yet. host: name of its computer.
        best_epoch: the one that is shipped, None while nothing was validated.
        bundle: folder of the finished model, "" while there is none.
        request: what was asked for, None where that is not known.
    """

    state: str = "new"
    message: str = ""
    fraction: float = 0.0
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict, hash=False)
    learning_rates: Mapping[str, float] = field(default_factory=dict, hash=False)
    samples_per_s: float = 0.0
    remaining_s: float | None = None
    device: str = ""
    warnings: tuple[str, ...] = ()
    started: float = 0.0
    updated: float = 0.0
    pid: int = 0
    host: str = ""
    best_epoch: int | None = None
    bundle: str = ""
    request: Request | None = None

    @property
    def live(self) -> bool:
        """Whether a process is at work on it, or about to be."""
        return self.state in LIVE

    @property
    def age_s(self) -> float:
        """Seconds since it was written; long only if the machine slept or the process is gone."""
        return max(0.0, time.time() - self.updated)

    def begun(self, state: str, message: str, request: Request) -> RunStatus:
        """That of a process that goes on from here."""
        return self.changed(
            state=state, message=message, request=request, started=time.time(), warnings=(), samples_per_s=0.0,
            remaining_s=None, pid=0, bundle="",
        )  # fmt: skip

    def changed(self, **changes: Any) -> RunStatus:
        """The same with some fields replaced."""
        return dataclasses.replace(self, **changes)


def read_status(folder: Path) -> RunStatus:
    """What ``status.json`` says; a "new" one where there is none or it cannot be read."""
    try:
        content = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
        known = {one.name for one in dataclasses.fields(RunStatus)}
        content = {name: value for name, value in content.items() if name in known}
        content["warnings"] = tuple(content.get("warnings", ()))
        if content.get("request") is not None:
            content["request"] = Request.from_dict(content["request"])
        return RunStatus(**content)
    except (OSError, ValueError, TypeError, AttributeError):
        return RunStatus()


def write_status(folder: Path, status: RunStatus) -> None:
    """Replace ``status.json``, stamped with the time.

    Raises:
        InputError: it cannot be written.
    """
    content = {one.name: getattr(status, one.name) for one in dataclasses.fields(status)}
    content["request"] = None if status.request is None else status.request.to_dict()
    content |= {"losses": dict(status.losses), "learning_rates": dict(status.learning_rates), "updated": time.time()}
    write_json(Path(folder) / FILE, content)
