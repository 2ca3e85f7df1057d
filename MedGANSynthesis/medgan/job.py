"""Job: one call of a generator, from the queue to its result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import errors
from .errors import MedGANError, WorkerError

if TYPE_CHECKING:
    from .call import Call
    from .client import Client
    from .protocol import Failed, Progress

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"


@dataclass(eq=False)
class Job:
    """One call of a generator. Made by ``Client.apply``; use it from the thread that uses the client.

    Attributes:
        state: ``"queued"``, ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
        fraction: how much of the computation is done, 0..1.
        remaining_s: seconds left as estimated so far, None while unknown.
        message: what is being done, for a status line.
        error: the exception the job ended with, None otherwise.
        detail: the worker's traceback or last output if the job failed, for the log.
    """

    number: int
    state: str = QUEUED
    fraction: float = 0.0
    remaining_s: float | None = None
    message: str = ""
    error: BaseException | None = None
    detail: str = ""
    _client: Client = field(default=None, repr=False)
    _call: Call = field(default=None, repr=False)
    _consume: Callable[[Any], Any] | None = field(default=None, repr=False)
    _on_progress: Callable[[Job], None] | None = field(default=None, repr=False)
    _on_done: Callable[[Job], None] | None = field(default=None, repr=False)
    _value: Any = field(default=None, repr=False)

    @property
    def finished(self) -> bool:
        """Whether the job is done, failed or cancelled."""
        return self.state in (DONE, FAILED, CANCELLED)

    def wait(self, timeout_s: float | None = None) -> Any:
        """Wait for the end, delivering callbacks meanwhile, and return ``result()``.

        Raises:
            TimeoutError: it was not finished within ``timeout_s`` seconds; it goes on.
            MedGANError: see ``result``.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.finished:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"The job is still {self.state} after {timeout_s} s.")
            self._client.pump(left)
        return self.result()

    def result(self) -> Any:
        """The ``Result``, or what ``consume`` returned.

        Raises:
            MedGANError: what the job failed with: the worker's own error, ``WorkerError`` if it died, ``Cancelled``.
            RuntimeError: the job is not finished yet.
        """
        if self.error is not None:
            raise self.error
        if self.state != DONE:
            raise RuntimeError(f"The job is still {self.state}; wait for it first.")
        return self._value

    def cancel(self) -> None:
        """Stop the job; a running one by ending the worker process. No effect once it is finished."""
        if not self.finished:
            self._client._cancel(self)

    def drop(self) -> None:
        """Give the job up but keep the worker and the generators it has loaded; no effect once it is finished.

        The job is cancelled at once. A running computation goes on until its next tile, and what it gives is thrown
        away; the next job begins then.
        """
        if not self.finished:
            self._client._drop(self)

    def advance(self, event: Progress) -> None:
        """For the client: the worker told how far it is."""
        self.fraction = min(max(event.fraction, 0.0), 1.0)
        self.remaining_s, self.message = event.remaining_s, event.message
        if self._on_progress is not None:
            self._on_progress(self)

    def close(self, state: str, error: BaseException | None = None, detail: str = "") -> None:
        """For the client: the job is over; lets go of everything and tells the owner."""
        if error is not None and detail:
            error.add_note(detail)
        self.state, self.error, self.detail, self.remaining_s = state, error, detail, None
        callback = self._on_done
        self._client = self._call = self._consume = self._on_progress = self._on_done = None
        if callback is not None:
            callback(self)


def error_of(event: Failed) -> MedGANError:
    """The worker's exception again: of the same class if it is one of ours, with the same sentence."""
    kind = getattr(errors, event.error, None)
    known = isinstance(kind, type) and issubclass(kind, MedGANError)
    return (kind if known else WorkerError)(event.message)
