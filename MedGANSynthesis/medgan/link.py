"""Link: a worker process spoken to in messages, from its start to its end."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from . import protocol
from .errors import WorkerError
from .transport import Transport

_MAX_LINE_BYTES = 16 << 20


class Link:
    """Starts a worker, sends requests and delivers events; one worker at a time, a fresh one after each end.

    Args:
        transport: how to reach the worker.
        start_timeout_s: how long a worker may take to start.
        on_event: gets each event of the worker, except ``Ready``.
        on_end: called with ``(error, detail, innocent)`` when the worker has ended by itself or was ended because it
            misbehaves, but not after ``kill``. ``detail`` is its last output, and ``innocent`` tells that it may simply
            have ended long ago, unnoticed.
    """

    def __init__(
        self,
        transport: Transport,
        start_timeout_s: float,
        on_event: Callable[[protocol.Message], None],
        on_end: Callable[[WorkerError, str, bool], None],
    ):
        self._transport = transport
        self._start_timeout_s = start_timeout_s
        self._on_event, self._on_end = on_event, on_end
        self._ready: protocol.Ready | None = None
        self._unsent: list[protocol.Request] = []
        self._buffer = bytearray()

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while none is ready."""
        return self._ready.pid if self._ready else None

    @property
    def running(self) -> bool:
        """Whether there is a worker, ready or about to be."""
        return self._transport.running

    @property
    def last_line(self) -> str:
        """What the worker wrote to its standard error last."""
        lines = self._transport.error_output().strip().splitlines()
        return lines[-1].strip() if lines else ""

    def start(self) -> bool:
        """Start a worker unless there is one; whether it was started. Of one that has ended nothing more is told.

        Raises:
            WorkerError: it cannot be started.
        """
        if self._transport.running:
            return False
        self._reset()
        self._transport.start(weak(self._on_output), weak(self._on_exit))
        self._transport.set_alarm(self._start_timeout_s, weak(self._on_start_timeout))
        return True

    def send(self, request: protocol.Request) -> None:
        """Send a request to the worker that was started, as soon as it is ready."""
        if self._ready is None:
            self._unsent.append(request)
        else:
            self._transport.write(protocol.encode(request))

    def kill(self) -> None:
        """End the worker; nothing it sent is delivered any more."""
        self._transport.kill()
        self._reset()

    def _reset(self) -> None:
        self._ready = None
        self._unsent.clear()
        self._buffer.clear()
        self._transport.set_alarm(0, None)

    def _on_output(self, data: bytes) -> None:
        self._buffer += data
        raised: BaseException | None = None
        # A callback may end the worker, which empties the buffer, or raise, which must not lose the lines behind it.
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            try:
                self._on_line(line)
            except BaseException as error:
                raised = raised or error
        if len(self._buffer) > _MAX_LINE_BYTES:
            self.refuse(WorkerError("The computing process sends data without end; nothing was changed, try again."))
        if raised is not None:
            raise raised

    def _on_line(self, line: bytes) -> None:
        try:
            event = protocol.decode(line)
        except WorkerError as error:
            self.refuse(error)
            return
        if isinstance(event, protocol.Ready) and self._ready is None:
            self._ready = event
            self._transport.set_alarm(0, None)
            unsent, self._unsent = self._unsent, []
            for request in unsent:
                self.send(request)
        else:
            self._on_event(event)

    def _on_exit(self, reason: str) -> None:
        was_ready = self._ready is not None
        self._reset()
        if was_ready:
            message = (
                f"The computing process ended unexpectedly ({reason}) and nothing was changed: "
                "try again, or choose the CPU or a smaller volume if memory was short."
            )
        else:
            message = f"The computing process could not start ({reason}). {self.last_line}".strip()
        self._on_end(WorkerError(message), self._transport.error_output(), was_ready)

    def _on_start_timeout(self) -> None:
        self.refuse(WorkerError(f"The computing process did not start within {self._start_timeout_s:g} s; try again."))

    def refuse(self, error: WorkerError) -> None:
        """End a worker that does not behave."""
        self.kill()
        self._on_end(error, self._transport.error_output(), False)


def weak(method: Callable[..., None]) -> Callable[..., None]:
    """A callback that does not keep its object alive, so that a client nobody holds any more is cleaned up."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        target = reference()
        if target is not None:
            target(*arguments)

    return call
