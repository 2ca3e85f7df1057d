"""QProcessTransport: the worker under Qt's event loop, so that the application stays responsive while it computes."""

from __future__ import annotations

import shutil
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import qt
from medgan.errors import WorkerError
from medgan.transport import ErrorOutput, worker_command, worker_environment

_KILL_TIMEOUT_MS = 5000
_WRITE_TIMEOUT_MS = 1000
_SLICE_S = 1.0


def interpreterPath() -> str:
    """Slicer's interpreter, itself rather than its launcher: killing the launcher would not end the interpreter.

    Beside the launcher PythonSlicer it is called python-real in an installed Slicer and python in a build tree.
    """
    launcher = shutil.which("PythonSlicer")
    if launcher is None:
        return shutil.which("python-real") or sys.executable
    folder = str(Path(launcher).parent)
    return shutil.which("python-real", path=folder) or shutil.which("python", path=folder) or launcher


class QProcessTransport:
    """Implements ``medgan.transport.Transport`` with ``qt.QProcess``.

    Callbacks come from timer events, never from inside a signal of the process: there Qt would not signal again while a
    callback waits in an event loop of its own, and the process could not be deleted.

    Args:
        python: interpreter of the worker, default Slicer's.
        command: the whole command instead, for a worker that is started otherwise.
    """

    def __init__(self, python: str | None = None, command: Sequence[str] | None = None):
        self._command = list(command) if command else worker_command(python or interpreterPath())
        self._process: _Process | None = None
        self._errors = ErrorOutput()
        self._alarmCallback: Callable[[], None] | None = None
        self._alarm = _singleShotTimer(self._ring)
        self._waker = _singleShotTimer()  # its event alone ends the waiting in pump

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.isRunning()

    def start(self, on_output: Callable[[bytes], None], on_exit: Callable[[str], None]) -> None:
        self.kill()
        self._onOutput, self._onExit = on_output, on_exit
        self._process = _Process(self._deliver)
        self._errors = self._process.errors
        self._process.start(self._command)

    def write(self, data: bytes) -> None:
        if self._process is not None:
            self._process.write(data)

    def pump(self, timeout_s: float | None) -> None:
        process = self._process
        flags = int(qt.QEventLoop.ExcludeUserInputEvents)
        waitS = _SLICE_S if timeout_s is None else min(timeout_s, _SLICE_S)
        if process is not None and not process.hasNews and waitS > 0:
            flags |= int(qt.QEventLoop.WaitForMoreEvents)
            self._waker.start(max(1, round(waitS * 1000)))
        qt.QApplication.instance().processEvents(flags)
        self._waker.stop()
        self._deliver(process)

    def set_alarm(self, delay_s: float, callback: Callable[[], None] | None) -> None:
        self._alarm.stop()
        self._alarmCallback = callback
        if callback is not None:
            self._alarm.start(round(delay_s * 1000))

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def error_output(self) -> str:
        return self._errors.text()

    def _ring(self) -> None:
        callback, self._alarmCallback = self._alarmCallback, None
        if callback is not None:
            callback()

    def _deliver(self, process: _Process | None) -> None:
        """Hand on what ``process`` has sent, unless it has been replaced meanwhile."""
        if process is None or process is not self._process:
            return
        if output := process.takeOutput():
            self._onOutput(output)
        if process is self._process and process.endReason and not process.hasOutput:
            self.kill()
            self._onExit(process.endReason)


class _Process:
    """One worker process. Collects what comes from it, and has ``deliver`` called with itself soon afterwards."""

    def __init__(self, deliver: Callable[[_Process], None]):
        self.errors = ErrorOutput()
        self.endReason = ""
        self._deliver = deliver
        self._output = bytearray()
        self._deliveryPending = False
        self._process = qt.QProcess()
        self._slots = {
            "readyReadStandardOutput()": self._readOutput,
            "readyReadStandardError()": self._readErrors,
            "errorOccurred(QProcess::ProcessError)": self._onError,
            "finished(int,QProcess::ExitStatus)": self._onFinished,
        }

    @property
    def hasOutput(self) -> bool:
        return bool(self._output)

    @property
    def hasNews(self) -> bool:
        """Whether there is something to deliver."""
        return self.hasOutput or bool(self.endReason)

    def isRunning(self) -> bool:
        # Qt learns of the end of a process in its event loop, unless it is asked to look.
        return self._process.state() != qt.QProcess.NotRunning and not self._process.waitForFinished(0)

    def start(self, command: list[str]) -> None:
        for signal, slot in self._slots.items():
            if not self._process.connect(signal, slot):
                raise WorkerError(f"This version of Qt has no signal {signal} of QProcess; please report it.")
        environment = qt.QProcessEnvironment.systemEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._program = command[0]
        self._process.start(command[0], command[1:])

    def write(self, data: bytes) -> None:
        if self._process.state() == qt.QProcess.Running:
            self._process.write(data)
            # Otherwise the data stays with Qt until the event loop runs again.
            self._process.waitForBytesWritten(_WRITE_TIMEOUT_MS)

    def takeOutput(self) -> bytes:
        output = bytes(self._output)
        self._output.clear()
        return output

    def end(self) -> None:
        """Kill the process and let go of the Qt object, which would otherwise be held by its connections."""
        for signal, slot in self._slots.items():
            self._process.disconnect(signal, slot)
        if self._process.state() != qt.QProcess.NotRunning:
            # What a launcher started is not killed with it, but ends when its standard input does.
            self._process.closeWriteChannel()
            self._process.kill()
            self._process.waitForFinished(_KILL_TIMEOUT_MS)

    def _readOutput(self) -> None:
        self._output += self._process.readAllStandardOutput().data()
        self._deliverSoon()

    def _readErrors(self) -> None:
        self.errors.add(self._process.readAllStandardError().data())

    def _onError(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:
            self.endReason = f"the program '{self._program}' cannot be run: {self._process.errorString()}"
            self._deliverSoon()

    def _onFinished(self, code: int, status: int) -> None:
        self._readErrors()
        crashed = status == qt.QProcess.CrashExit
        self.endReason = f"killed by signal {code}" if crashed and sys.platform != "win32" else f"exit code {code}"
        self._readOutput()

    def _deliverSoon(self) -> None:
        if not self._deliveryPending:
            self._deliveryPending = True
            qt.QTimer.singleShot(0, self._onTimer)

    def _onTimer(self) -> None:
        self._deliveryPending = False
        self._deliver(self)


def _singleShotTimer(method: Callable[[], None] | None = None):
    """A timer for a method of its owner, whom it does not keep alive: a connection would do so for ever."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    if method is not None:
        reference = weakref.WeakMethod(method)

        def ring() -> None:
            alive = reference()
            if alive is not None:
                alive()

        timer.connect("timeout()", ring)
    return timer
