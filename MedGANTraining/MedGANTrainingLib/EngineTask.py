"""EngineTask: one ``medgan`` command in the background, that can be waited for, asked and cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from medgan.errors import Cancelled, MedGANError
from MedGANSynthesisLib.models.EngineCommand import EngineCommand

_LOOK_AGAIN_MS = 100
_running: set[EngineTask] = set()  # nobody else need keep them


class EngineTask:
    """A command that runs. Its callbacks come from Qt's event loop.

    Args:
        arguments: of ``medgan``, for example ``["evaluate", bundle, dataset]``.
        result: called when it is done, to make the value of ``wait`` of what it has written; gets the task.
        onProgress: called with the task after every step; see ``fraction`` and ``message``.
        onDone: called once with the task, whatever its end.
        program: what starts ``medgan``, default Slicer's interpreter.

    Attributes:
        finished: whether it has ended. fraction: 0 to 1. message: what it is doing.
        lines: of its output. error: what it ended with, an exception or None.
    """

    def __init__(
        self,
        arguments: Sequence[Any],
        result: Callable[[EngineTask], Any] | None = None,
        onProgress: Callable[[EngineTask], None] | None = None,
        onDone: Callable[[EngineTask], None] | None = None,
        program: Sequence[str] | None = None,
    ):
        self.finished, self.fraction, self.message = False, 0.0, ""
        self.lines: list[str] = []
        self.error: Exception | None = None
        self._result, self._onProgress, self._onDone = result, onProgress, onDone
        self._value, self._cancelled = None, False
        _running.add(self)
        arguments = [str(argument) for argument in arguments]
        self._command = EngineCommand(slicer.app, arguments, self.lines.append, self._progressed, self._ended, program)

    def wait(self):
        """Wait for the end, while windows are repainted but take no input, and return ``result()``."""
        flags = int(qt.QEventLoop.ExcludeUserInputEvents) | int(qt.QEventLoop.WaitForMoreEvents)
        waker = qt.QTimer()  # its events alone end the waiting
        waker.start(_LOOK_AGAIN_MS)
        while not self.finished:
            qt.QApplication.instance().processEvents(flags)
        waker.stop()
        return self.result()

    def result(self):
        """What came of it. Raises MedGANError: it failed or was cancelled. RuntimeError: it has not ended yet."""
        if not self.finished:
            raise RuntimeError("The command is still running; wait for it first.")
        if self.error is not None:
            raise self.error
        return self._value

    def cancel(self) -> None:
        """Have it stop and tidy up; no effect once it is finished."""
        if not self.finished:
            self._cancelled = True
            self._command.cancel()

    def end(self) -> None:
        """Stop it now, for what asked is going; no callback comes any more."""
        if not self.finished:
            self._onProgress = self._onDone = None
            self._command.end()
            self.finished, self.error = True, Cancelled()
            _running.discard(self)

    def _progressed(self, fraction: float, message: str) -> None:
        self.fraction, self.message = fraction, message
        if self._onProgress is not None:
            self._onProgress(self)

    def _ended(self, error: str) -> None:
        if error:
            self.error = Cancelled(error) if self._cancelled else MedGANError(error)
        elif self._result is not None:
            try:
                self._value = self._result(self)
            except Exception as problem:  # it has to end, or who waits would wait forever
                self.error = problem
        self.finished = True
        _running.discard(self)
        if self._onDone is not None:
            self._onDone(self)
