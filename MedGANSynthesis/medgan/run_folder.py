"""The folder of a training run, seen from outside: how far it is, its curves and samples, pausing and stopping it.

``medgan train`` writes there and any process reads: Slicer, a console, ``medgan runs``. Nothing here needs torch.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import run_control
from .dataset import Dataset
from .errors import InputError
from .file_lock import is_held
from .files import make_folder
from .run_request import Request
from .run_sample import read_sample
from .run_status import RunStatus, read_status, write_status
from .run_steps import StepReader

if TYPE_CHECKING:
    import numpy as np

    from .plan import Plan

LOCK, LOG = "run.lock", "log.txt"
START_S = 120.0  # torch may come from a slow disk

# By folder and when its status was begun; kept so that those that have ended are collected, and known to have ended.
_started: dict[tuple[Path, float], subprocess.Popen] = {}


class Run:
    """A training run.

    Args:
        folder: where it trains; need not exist yet.

    Example:
        >>> run = Run("my-run")  # doctest: +SKIP
        >>> run.start(Request("denoise-ct", "my-dataset"))  # doctest: +SKIP
        >>> run.status.remaining_s, run.steps()["l1"][-1]  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).resolve()
        self._steps = StepReader(self.folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.folder == self.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def status(self) -> RunStatus:
        """Where it is, see :class:`~medgan.run_status.RunStatus`; "interrupted" where its process is gone."""
        status = read_status(self.folder)
        if not status.live or is_held(self.folder / LOCK):
            return status
        dead = self._is_dead(status)
        status = read_status(self.folder)  # it may have ended between both looks
        if not status.live or (status.state == "starting" and not dead and status.age_s < START_S):
            return status
        if status.state == "starting":
            said = self._last_words()
            message = f"The training did not start; {self.log} " + (f"ends with: {said}" if said else "may say why.")
        else:
            kept = "it goes on from the last checkpoint" if self.has_checkpoint else "there is no checkpoint yet"
            message = f"The process that trained is gone; {kept} when it is started again."
        return status.changed(state="interrupted", message=message, remaining_s=None)

    @property
    def state(self) -> str:
        """``status.state``."""
        return self.status.state

    @property
    def exists(self) -> bool:
        """Whether a run has begun, or was about to begin, in the folder."""
        return any((self.folder / name).exists() for name in ("status.json", "checkpoint.pt", "history.json"))

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return (self.folder / "checkpoint.pt").exists()

    @property
    def log(self) -> Path:
        """What its process printed, if it was started by :meth:`start`."""
        return self.folder / LOG

    @property
    def bundle(self) -> Path | None:
        """Folder of the finished model, None while there is none."""
        bundle = self.status.bundle
        return Path(bundle) if bundle and (Path(bundle) / "configs" / "metadata.json").exists() else None

    def history(self) -> list[dict[str, Any]]:
        """The rows of ``history.json``, one per finished epoch; :mod:`medgan.training_events` takes them apart."""
        try:
            rows = json.loads((self.folder / "history.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def steps(self, most: int | None = None) -> dict[str, np.ndarray]:
        """The live losses, columns of equal length: ``step``, ``epoch``, losses and learning rates; NaN where a loss
        was not there. Only what is new since the last call is read.

        Args:
            most: about how many rows at most, evenly spread; None for all.
        """
        return self._steps.table(most)

    def sample(self) -> dict[str, Any] | None:
        """The held-out slice as it is generated now: ``{"input", "output", "truth"}`` (paths of NRRD volumes of one
        slice; no truth where there is none), ``case``, ``epoch``, ``step``, ``window`` and ``input_window`` (low,
        high); None before the first.
        """
        return read_sample(self.folder)

    def plan(self) -> Plan | None:
        """The settings it trains with; None before they are settled.

        Raises:
            InputError: ``plan.json`` is damaged.
        """
        from .plan import Plan

        path = self.folder / "plan.json"
        return Plan.load(path) if path.exists() else None

    def pause(self) -> None:
        """Have it wait, with everything in memory, until :meth:`resume`.

        Raises:
            InputError: no process is at work on it.
        """
        self._ask(run_control.PAUSE)

    def resume(self) -> None:
        """Have it go on after :meth:`pause`; a run whose process has ended is started again by :meth:`start`.

        Raises:
            InputError: no process is at work on it.
        """
        self._ask(run_control.RUN)

    def stop(self) -> None:
        """Have it end; the last checkpoint is kept and :meth:`start` goes on from there.

        Raises:
            InputError: no process is at work on it.
        """
        self._ask(run_control.STOP)

    def _ask(self, wish: str) -> None:
        if not self.status.live:
            raise InputError(f"The training in {self.folder} is not running; start it first.")
        run_control.ask(self.folder, wish)

    def command(
        self, request: Request | None = None, python: str | Sequence[str] = (), resume: bool = True
    ) -> list[str]:
        """Program and arguments of the process that trains; its environment needs
        :func:`medgan.transport.worker_environment`.

        Args:
            request: what to train; None for what this run was begun with.
            python: interpreter (or beginning of the command line), default the running one; in Slicer PythonSlicer.
            resume: False starts anew.

        Raises:
            InputError: it is not known what this run was begun with.
        """
        return self._request(request).command(self.folder, python, resume)

    def prepare(self, request: Request | None = None, resume: bool = True) -> Request:
        """Make the folder, check what can be checked without torch, and say that the run is about to start.

        Call it right before the process of :meth:`command` is started; :meth:`start` does so itself.

        Args:
            request: what to train; None goes on with what this run was begun with.
            resume: False starts anew.

        Raises:
            InputError: it runs already, the dataset is gone, damaged, of a newer schema or for another task, or no
                longer what this run began with, the name is none for a model, or the folder cannot be written to.
        """
        from . import recipes, runs

        request = self._request(request)
        request.check_name()
        if self.status.live:
            raise InputError(f"The training in {self.folder} is running already; stop it first.")
        dataset = Dataset.load(request.dataset)
        if dataset.task != recipes.recipe_class(request.task).TASK:
            raise InputError(f"The dataset was made for the task {dataset.task}, not {request.task}; choose one.")
        if resume and self.has_checkpoint and (plan := self.plan()) is not None:
            plan.resumed(dataset, request.preset or None, dict(request.parameters))
        make_folder(self.folder)
        run_control.forget(self.folder)
        before = read_status(self.folder) if resume else RunStatus()
        write_status(self.folder, before.begun("starting", "Starting", request))
        runs.register(self.folder)
        return request

    def start(self, request: Request | None = None, resume: bool = True, python: str | Sequence[str] = ()) -> int:
        """Start the process that trains, which outlives this one; what it prints goes to :attr:`log`.

        Args:
            request: what to train; None goes on with what this run was begun with.
            resume: False starts anew.
            python: see :meth:`command`.

        Returns:
            process id.

        Raises:
            InputError: see :meth:`prepare`.
        """
        from .transport import worker_environment

        request = self.prepare(request, resume)
        for process in _started.values():
            process.poll()
        detached: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            detached = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command(request, python, resume), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **worker_environment()}, **detached,
            )  # fmt: skip
        _started[self.folder, read_status(self.folder).started] = process
        return process.pid

    def _is_dead(self, status: RunStatus) -> bool:
        """Whether the process that was to write the next status was started here, and has ended."""
        process = _started.get((self.folder, status.started))
        return process is not None and process.poll() is not None

    def _last_words(self) -> str:
        """The last line its process printed, '' for none."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _request(self, request: Request | None) -> Request:
        request = request or read_status(self.folder).request
        if request is None:
            raise InputError(f"It is not known what was trained in {self.folder}; give task and dataset again.")
        return dataclasses.replace(request, dataset=str(Path(request.dataset).resolve()))
