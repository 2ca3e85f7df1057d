"""SubprocessTransport: a worker on Python's own pipes, for the console, the command line, tests and servers."""

from __future__ import annotations

import collections
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
from .transport import worker_command, worker_environment

_ERROR_LINES = 100
_KILL_TIMEOUT_S = 5.0
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
        self._error_lines: collections.deque[str] = collections.deque()
        self._alarm: tuple[float, Callable[[], None]] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.popen.poll() is None

    def start(self, on_output: Callable[[bytes], None], on_exit: Callable[[str], None]) -> None:
        self.kill()
        self._on_output, self._on_exit = on_output, on_exit
        self._process = _Process(self._command)
        self._error_lines = self._process.error_lines

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
                self._deliver(process.events.get(timeout=max(wait_s, 0.0)))
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
        return "".join(self._error_lines)

    def _deliver(self, event: bytes | str) -> None:
        if isinstance(event, bytes):
            self._on_output(event)
        else:
            self.kill()
            self._on_exit(event)


class _Process:
    """One worker process; ``events`` holds the bytes it wrote, then the reason of its end as a string."""

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
        self.events: queue.SimpleQueue[bytes | str] = queue.SimpleQueue()
        self.error_lines: collections.deque[str] = collections.deque(maxlen=_ERROR_LINES)
        self._error_reader = threading.Thread(target=self._read_errors, daemon=True)
        self._error_reader.start()
        threading.Thread(target=self._read_output, daemon=True).start()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.popen.kill()
        with contextlib.suppress(OSError):
            # What a launcher started is not killed with it, but ends when its standard input does.
            self.popen.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(_KILL_TIMEOUT_S)

    def _read_output(self) -> None:
        with self.popen.stdout as pipe:
            while data := pipe.read(65536):
                self.events.put(data)
        code = self.popen.wait()
        self._error_reader.join(1.0)
        self.events.put(_reason(code))

    def _read_errors(self) -> None:
        with self.popen.stderr as pipe:
            pending = b""
            while data := pipe.read(65536):
                *lines, pending = (pending + data).split(b"\n")
                self.error_lines.extend(line.decode("utf-8", "replace") + "\n" for line in lines)
            if pending:
                self.error_lines.append(pending.decode("utf-8", "replace"))


def _reason(code: int) -> str:
    """The end of a process in words."""
    if code < 0:
        try:
            return f"killed by signal {-code}, {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}" if code < 1 << 16 else f"exit code {code:#x}"
