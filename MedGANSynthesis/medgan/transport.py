"""How a client reaches its worker: the interface both transports share, and the command that starts a worker."""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_ERROR_LINES = 100
_ERROR_LINE_BYTES = 4096


class Transport(Protocol):
    """A worker process and its two pipes.

    All callbacks run in the thread that uses the client: in ``pump`` (subprocess) or from Qt's event loop (QProcess).
    Nothing of a process that was killed is ever delivered, so a callback always speaks of the current one.
    """

    @property
    def running(self) -> bool:
        """Whether the process lives at this moment (its end may not have been delivered yet)."""

    def start(self, on_output: Callable[[bytes], None], on_exit: Callable[[str], None]) -> None:
        """Start a worker.

        Args:
            on_output: gets the bytes of its standard output as they come, cut anywhere.
            on_exit: called once, after the last output, with the reason in a few words: "killed by signal 9".

        Raises:
            WorkerError: the program cannot be started (a transport may also tell so by ``on_exit``).
        """

    def write(self, data: bytes) -> None:
        """Send to its standard input. Writing to a process that has just died is no error; ``on_exit`` tells."""

    def pump(self, timeout_s: float | None) -> None:
        """Deliver what has come; if nothing has, wait for it, at most ``timeout_s`` (None: as long as it likes).

        May return early with nothing delivered.
        """

    def set_alarm(self, delay_s: float, callback: Callable[[], None] | None) -> None:
        """Call back once after ``delay_s``; replaces an earlier alarm, None only clears it."""

    def kill(self) -> None:
        """End the process now and wait for its end; ``on_exit`` is not called. No error if none runs."""

    def error_output(self) -> str:
        """The last lines the process wrote to standard error (also after its end)."""


class ErrorOutput:
    """The last lines of a worker's standard error, put together from pieces."""

    def __init__(self) -> None:
        self._lines: collections.deque[bytes] = collections.deque(maxlen=_ERROR_LINES)
        self._rest = b""

    def add(self, data: bytes) -> None:
        """Append what the process wrote."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)
        # A progress bar redraws one line for ever.
        self._rest = rest[-_ERROR_LINE_BYTES:]

    def text(self) -> str:
        """All of it, one line per line."""
        return b"\n".join([*self._lines, self._rest]).decode("utf-8", "replace")


def worker_command(python: str) -> list[str]:
    """Program and arguments that start a worker with the interpreter ``python``."""
    return [python, "-m", "medgan.worker"]


def worker_environment() -> dict[str, str]:
    """What to change in the environment of a worker: the ``medgan`` package beside this file comes first."""
    path = [str(Path(__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = {"PYTHONPATH": os.pathsep.join(path), "PYTHONIOENCODING": "utf-8"}
    if sys.platform == "linux":
        # glibc gives large arrays back to the system and faults their pages in again, tile after tile: 15 to 50 %
        # of the time of a generator on the CPU. The worker keeps up to these bytes instead.
        changes |= {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
    return changes
