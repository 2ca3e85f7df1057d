"""EngineCommand: one ``medgan`` command in a process of its own, so that Slicer goes on while it works."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

import qt
from medgan.transport import worker_environment
from slicer.i18n import tr as _

from ..QProcessTransport import interpreterPath

_PREFIX = "medgan: "
_PROGRESS = re.compile(r"medgan:\s+(\d+)% (.*)")
_GRACE_MS = 2000


class EngineCommand:
    """A running command. Its callbacks come from Qt's event loop, none after ``end``.

    Args:
        parent: the QObject that owns the process, which ends with it.
        arguments: of ``medgan``, for example ``["bundle", "verify", path]``.
        onLine: called with each line of its output.
        onProgress: called with (fraction, message).
        onDone: called once, with '' or the sentence that says what went wrong.
        program: what starts ``medgan``, default Slicer's interpreter.
    """

    def __init__(
        self,
        parent,
        arguments: Sequence[str],
        onLine: Callable[[str], None],
        onProgress: Callable[[float, str], None],
        onDone: Callable[[str], None],
        program: Sequence[str] | None = None,
    ):
        self._onLine, self._onProgress, self._onDone = onLine, onProgress, onDone
        self._rests = {"out": b"", "err": b""}
        self._lastError = ""
        self._cancelled, self._connected = False, True
        self._process = qt.QProcess(parent)
        environment = qt.QProcessEnvironment.systemEnvironment()
        for name, value in {**worker_environment(), "PYTHONUNBUFFERED": "1"}.items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._process.connect("readyReadStandardOutput()", self._readOutput)
        self._process.connect("readyReadStandardError()", self._readErrors)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        command = [*(program or (interpreterPath(), "-m", "medgan")), *arguments]
        self._process.start(command[0], command[1:])

    def cancel(self) -> None:
        """Have it stop and tidy up; ``onDone`` follows. What does not listen is killed."""
        self._cancelled = True
        self._interrupt()
        qt.QTimer.singleShot(_GRACE_MS, self._killIfRunning)

    def end(self) -> None:
        """Stop it now; no callback comes any more."""
        self._disconnect()
        if self._process.state() != qt.QProcess.NotRunning:
            self._interrupt()
            if not self._process.waitForFinished(_GRACE_MS):
                self._process.kill()
                self._process.waitForFinished(_GRACE_MS)

    def _interrupt(self) -> None:
        """Let it remove what it has written so far; on Windows a console program cannot be asked."""
        if sys.platform == "win32" or self._process.state() != qt.QProcess.Running:
            self._process.kill()
        else:
            self._process.terminate()

    def _killIfRunning(self) -> None:
        if self._process and self._process.state() != qt.QProcess.NotRunning:
            self._process.kill()

    def _readOutput(self) -> None:
        for line in self._lines("out", self._process.readAllStandardOutput().data()):
            self._onLine(line)

    def _readErrors(self) -> None:
        for line in self._lines("err", self._process.readAllStandardError().data()):
            progress = _PROGRESS.fullmatch(line)
            if progress:
                self._onProgress(int(progress[1]) / 100, progress[2])
            elif line.strip():
                self._lastError = line.removeprefix(_PREFIX).strip()

    def _lines(self, pipe: str, data: bytes) -> list[str]:
        *lines, self._rests[pipe] = (self._rests[pipe] + data).split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]

    def _onError(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:
            message = _("Slicer's Python interpreter cannot be started ({reason}); install Slicer again.")
            self._finish(message.format(reason=self._process.errorString()))

    def _onFinished(self, code: int, status: int) -> None:
        self._readOutput()
        self._readErrors()
        if self._cancelled and code != 0:
            self._finish(_("Cancelled. Nothing was changed."))
        elif code != 0:
            self._finish(self._lastError or _("The engine ended unexpectedly (code {code}).").format(code=code))
        else:
            self._finish("")

    def _finish(self, error: str) -> None:
        """Not from within the signal, where the process cannot be let go."""
        qt.QTimer.singleShot(0, lambda: self._deliver(error))

    def _deliver(self, error: str) -> None:
        if self._connected and self._process:  # neither ended nor gone with its parent
            self._disconnect()
            self._process.deleteLater()
            self._onDone(error)

    def _disconnect(self) -> None:
        self._connected = False
        self._process.disconnect("readyReadStandardOutput()", self._readOutput)
        self._process.disconnect("readyReadStandardError()", self._readErrors)
        self._process.disconnect("errorOccurred(QProcess::ProcessError)", self._onError)
        self._process.disconnect("finished(int,QProcess::ExitStatus)", self._onFinished)
