"""SubprocessTransport: a worker on Python's own pipes, for the console, the command line, tests and servers."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from .errors import WorkerError
from .transport import ErrorOutput, worker_command, worker_environment

_KILL_TIMEOUT_S = 5.0
_GRACE_S = 1.0
# Waiting is cut into slices, because Ctrl+C does not interrupt a wait on Windows.
_SLICE_S = 1.0


class SubprocessTransport:
    """Implements ``Transport`` with ``subprocess``; two threads read the pipes, ``pump`` delivers.

    Args:
        python: interpreter of the worker, default the running one.
        command: the whole command instead, for a worker that is started otherwise.
    """

    def __init__(self, python: str | None = None, command: Sequence[str] | None = None):
        self._command = list(command) if command else worker_command(python or sys.executable)
        self._process: _Process | None = None
        self._errors = ErrorOutput()
        self._alarm: tuple[float, Callable[[], None]] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.popen.poll() is None

    def start(self, on_output: Callable[[bytes], None], on_exit: Callable[[str], None]) -> None:
        self.kill()
        self._on_output, self._on_exit = on_output, on_exit
        self._process = _Process(self._command)
        self._errors = self._process.errors

    def write(self, data: bytes) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.popen.stdin.write(data)

    def pump(self, timeout_s: float | None) -> None:
        wait_s = _SLICE_S if timeout_s is None else min(timeout_s, _SLICE_S)
        if self._alarm is not None:
            wait_s = min(wait_s, self._alarm[0] - time.monotonic())
        process = self._process
        try:
            while process is not None and process is self._process:
                self._deliver(process.output.get(timeout=max(wait_s, 0.0)))
                wait_s = 0.0
        except queue.Empty:
            pass
        if self._alarm is not None and time.monotonic() >= self._alarm[0]:
            callback, self._alarm = self._alarm[1], None
            callback()

    def set_alarm(self, delay_s: float, callback: Callable[[], None] | None) -> None:
        self._alarm = None if callback is None else (time.monotonic() + delay_s, callback)

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def error_output(self) -> str:
        return self._errors.text()

    def _deliver(self, output: bytes) -> None:
        if output:
            self._on_output(output)
        else:
            process, self._process = self._process, None
            self._on_exit(process.end())


class _Process:
    """One worker process; ``output`` holds the pieces it wrote, and an empty one after the last."""

    def __init__(self, command: list[str]):
        try:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, **worker_environment()},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except (OSError, ValueError) as error:
            raise WorkerError(
                f"The computing process could not start, because the program {command[0]!r} cannot be run ({error}): "
                "check the path of the Python interpreter."
            ) from error
        self.output: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.errors = ErrorOutput()
        self.silent = False
        self._error_reader = threading.Thread(target=self._read_errors, daemon=True)
        self._error_reader.start()
        threading.Thread(target=self._read_output, daemon=True).start()

    def end(self) -> str:
        """Kill it unless it has ended by itself; returns how it ended, in words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Who has closed his standard output is about to end; how, is worth a moment.
            self.popen.wait(_GRACE_S if self.silent else 0.0)
        with contextlib.suppress(OSError):
            self.popen.kill()
        with contextlib.suppress(OSError):
            # What a launcher started is not killed with it, but ends when its standard input does.
            self.popen.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return _reason(self.popen.wait(_KILL_TIMEOUT_S))
        return "it does not react to being killed"

    def _read_output(self) -> None:
        with self.popen.stdout as pipe:
            while data := pipe.read(65536):
                self.output.put(data)
        # Its last words are to be there when its end is told.
        self._error_reader.join(1.0)
        self.silent = True
        self.output.put(b"")

    def _read_errors(self) -> None:
        with self.popen.stderr as pipe:
            while data := pipe.read(65536):
                self.errors.add(data)


def _reason(code: int) -> str:
    """The end of a process in words."""
    if code < 0:
        try:
            return f"killed by signal {-code}, {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}" if code < 1 << 16 else f"exit code {code:#x}"
