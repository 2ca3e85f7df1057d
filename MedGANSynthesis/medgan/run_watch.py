"""The process that trains, writing down for others where it is, and heeding what they ask of it."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from pathlib import Path
from types import TracebackType

from . import run_control, runs
from .errors import Cancelled, InputError, MedGANError, sentence
from .file_lock import FileLock
from .files import make_folder
from .run_folder import LOCK, Run
from .run_request import Request
from .run_sample import write_sample
from .run_status import RunStatus, read_status, write_status
from .run_steps import StepWriter
from .training_events import (
    EpochDone,
    SampleDrawn,
    StepDone,
    TrainingEnded,
    TrainingEvent,
    TrainingStarted,
    TrainingWarning,
)

BEAT_S = 1.0
_LOOK_S = 0.1
_ENDS = {"finished": "The model is finished.", "early stop": "The model is finished: it no longer got better."}


class RunRecorder:
    """Watcher and progress of a training that keeps its folder up to date; a context manager around all of it.

    A thread rewrites ``status.json`` every second, also while a long computation says nothing, so that others can tell
    that it lives. The folder is locked as long: two trainings in one would destroy each other's.

    Args:
        folder: of the run, made if need be.
        request: what was asked for, so that others can go on with it.

    Raises:
        InputError: (on entering) another process trains there, or it cannot be written to.
    """

    def __init__(self, folder: Path, request: Request):
        self._folder, self._request = Path(folder), request
        self._lock = FileLock(self._folder / LOCK)
        self._status = RunStatus()
        self._guard, self._writing = threading.Lock(), threading.Lock()
        self._leaving = threading.Event()
        self._writer = StepWriter(self._folder)
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._reason = ""

    def __enter__(self) -> RunRecorder:
        make_folder(self._folder)
        if not self._lock.acquire():
            raise InputError(f"Another process is training in {self._folder}; stop it first, or use another folder.")
        self._remove_leftovers()
        before = read_status(self._folder)
        if before.state != "starting":
            run_control.forget(self._folder)  # of a process that is gone
        with contextlib.suppress(MedGANError):  # a server where nothing may be written at home
            runs.register(self._folder)
        before = before if (self._folder / "checkpoint.pt").exists() else RunStatus()
        self._status = before.begun("running", "Reading the training images", self._request)
        self._status = self._status.changed(pid=os.getpid(), host=platform.node())
        self._write()
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._heart.join()
        state, message = self._end(error)
        self._update(state=state, message=message, remaining_s=None)
        run_control.forget(self._folder)
        self._write()
        self._lock.release()

    def __call__(self, event: TrainingEvent) -> None:
        """Take in an event; waits while a pause is wished for.

        Raises:
            Cancelled: the training is to stop.
        """
        if isinstance(event, TrainingStarted):
            self._begin(event)
        elif isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, EpochDone):
            self._update(epoch=event.epoch)
        elif isinstance(event, SampleDrawn):
            self._sample(event)
        elif isinstance(event, TrainingWarning):
            self._warn(event.message)
        elif isinstance(event, TrainingEnded):
            self._reason = event.reason
            self._update(best_epoch=event.best_epoch, bundle=event.bundle or "")
            return
        self._obey()

    def progress(self, fraction: float, message: str) -> None:
        """What the training does now; waits and raises as for an event."""
        self._update(fraction=fraction, message=message)
        self._obey()

    def say(self, message: str) -> None:
        """The same while it is not known how far that is."""
        self._update(message=message)
        self._obey()

    def _begin(self, event: TrainingStarted) -> None:
        done, steps = event.resumed_at * event.steps_per_epoch, event.epochs * event.steps_per_epoch
        self._writer.begin(done)
        self._update(
            device=event.device, epochs=event.epochs, epoch=min(event.resumed_at + 1, event.epochs), step=done,
            steps=steps, fraction=done / steps,
        )  # fmt: skip

    def _step(self, event: StepDone) -> None:
        self._writer.add(event)
        self._update(
            step=event.step, steps=event.steps, epoch=event.epoch, losses=event.losses,
            learning_rates=event.learning_rates, samples_per_s=event.samples_per_s, remaining_s=event.remaining_s,
        )  # fmt: skip

    def _sample(self, event: SampleDrawn) -> None:
        try:
            write_sample(self._folder, event)
        except MedGANError as error:  # a full disk: the checkpoint is what matters
            self._warn(str(error))

    def _warn(self, message: str) -> None:
        if message not in self._status.warnings:
            self._update(warnings=(*self._status.warnings, message))

    def _obey(self) -> None:
        wish = run_control.asked(self._folder)
        if wish == run_control.PAUSE:
            message = self._status.message
            self._update(state="paused", message="Paused")
            self._write()
            while (wish := run_control.asked(self._folder)) == run_control.PAUSE:
                time.sleep(_LOOK_S)
            self._update(state="running", message=message)
            self._write()
        if wish == run_control.STOP:
            raise Cancelled("Stopped; the same command goes on from the last checkpoint.")

    def _end(self, error: BaseException | None) -> tuple[str, str]:
        if error is None:
            return self._reason or "finished", _ENDS.get(self._reason, "Done.")
        if isinstance(error, (Cancelled, KeyboardInterrupt)):
            kept = (self._folder / "checkpoint.pt").exists()
            return (
                "stopped",
                "Stopped; the last checkpoint is kept." if kept else "Stopped before the first checkpoint.",
            )
        return "diverged" if self._reason == "diverged" else "failed", sentence(error)

    def _update(self, **changes: object) -> None:
        with self._guard:
            self._status = self._status.changed(**changes)

    def _beat(self) -> None:
        while not self._leaving.wait(BEAT_S):
            self._write()

    def _write(self) -> None:
        with self._writing, contextlib.suppress(MedGANError):  # a full disk: the next one may be written
            write_status(self._folder, self._status)

    def _remove_leftovers(self) -> None:
        """Files that a process that was killed had not finished writing."""
        for path in (*self._folder.glob(".[0-9]*-*"), *self._folder.glob("sample/.[0-9]*-*")):
            with contextlib.suppress(OSError):
                path.unlink()


def note_refusal(folder: Path, message: str) -> None:
    """Say in the status of a run that it was to start and why it did not; nothing where no run is, or while one works.

    Who started it without a terminal, as Slicer does, sees it there.
    """
    status = Run(folder).status
    if not (Path(folder) / "status.json").exists() or status.state in ("running", "paused"):
        return
    state = "failed" if status.state == "starting" else status.state
    with contextlib.suppress(MedGANError):
        write_status(Path(folder), status.changed(state=state, message=message, remaining_s=None))
