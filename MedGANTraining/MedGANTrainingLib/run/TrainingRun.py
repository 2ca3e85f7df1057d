"""TrainingRun: a training as Slicer sees it: a folder that a process of its own writes to, whatever Slicer does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import qt
from medgan import runs as registry
from medgan.dataset import Dataset
from medgan.errors import InputError, MedGANError
from medgan.run_folder import Run
from medgan.run_request import Request
from MedGANSynthesisLib.QProcessTransport import interpreterPath
from slicer.i18n import tr as _

from ..dependencies import ensureTrainingDependencies

OVER = ("finished", "early stop")
"""States of a run that has nothing left to do."""
_LOOK_AGAIN_MS = 200


class TrainingRun(Run):
    """A run as ``medgan.run_folder.Run`` describes it: status, history, steps, sample, pause, stop, bundle.

    Nothing is remembered: every answer comes from the folder. The process is detached, with its output in ``log.txt``
    of the folder, so that it goes on when Slicer is closed.

    Args:
        folder: where it trains; need not exist yet.
    """

    def start(self, request: Request | None = None, resume: bool = True) -> int:
        """Begin, or go on from the last checkpoint.

        Args:
            request: what to train; None goes on with what the run was begun with.
            resume: False starts anew.

        Returns:
            process id.

        Raises:
            MedGANError: it runs already, the dataset cannot be used any more, the folder cannot be written to, or
                PyTorch is missing; in one sentence.
        """
        ensureTrainingDependencies()
        return super().start(request, resume, interpreterPath())

    def resume(self) -> None:
        """Go on after a pause, or, where the process has ended, from the last checkpoint. Raises MedGANError."""
        status = self.status
        if status.live:
            super().resume()
        elif status.state in OVER:
            raise InputError(
                _("This training is finished; to train further, choose a new folder and start from its model.")
            )
        else:
            self.start()

    def wait(self, timeoutS: float | None = None) -> str:
        """Wait for its end, while windows are repainted but take no input. Returns the state it is in then.

        A paused run does not end by itself: give a time, or resume it first.
        """
        flags = int(qt.QEventLoop.ExcludeUserInputEvents) | int(qt.QEventLoop.WaitForMoreEvents)
        deadline = None if timeoutS is None else time.monotonic() + timeoutS
        waker = qt.QTimer()  # its events alone end the waiting
        waker.start(_LOOK_AGAIN_MS)
        while self.status.live and (deadline is None or time.monotonic() < deadline):
            qt.QApplication.instance().processEvents(flags)
        waker.stop()
        return self.state


def train(
    dataset: Dataset | str | Path,
    folder: str | Path,
    preset: str = "recommended",
    device: str = "auto",
    startFrom: Any = None,
    wait: bool = False,
    parameters: dict[str, Any] | None = None,
    name: str = "",
) -> TrainingRun:
    """Start a training in a folder, or go on with the one that is there.

    Args:
        dataset: what to learn from, or its folder.
        startFrom: a model (bundle, its folder or name) whose generator is the start; None for a new one.
        wait: return when it has ended.
        parameters: of the recipe, by name; they stand whatever the images say.
        name: of the model, '' for task and preset.

    Raises:
        MedGANError: see ``TrainingRun.start``; with ``wait`` also if the training failed.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    start = str(getattr(startFrom, "path", None) or startFrom or "")
    run = TrainingRun(folder)
    run.start(Request(dataset.task, str(dataset.folder), preset, device, parameters or {}, "", start, name))
    if wait and run.wait() in ("failed", "diverged", "interrupted"):
        raise MedGANError(run.status.message)
    return run


def runs() -> list[TrainingRun]:
    """The trainings known on this computer, whoever started them, the latest first."""
    return [TrainingRun(run.folder) for run in registry.known_runs()]


def freeFolder(beside: str | Path, task: str) -> Path:
    """A folder for a new run that holds nothing yet, beside a dataset."""
    parent, number = Path(beside).absolute().parent, 1
    while (folder := parent / f"{task}-run-{number}").exists():
        number += 1
    return folder
