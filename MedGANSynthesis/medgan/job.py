"""Job: one call of a generator, from the queue to its result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import errors
from .errors import MedGANError, WorkerError

if TYPE_CHECKING:
    from .bundle import OutputSpec
    from .client import Client
    from .protocol import Apply, Done, Failed
    from .shared_array import SharedArrays

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
    _request: Apply = field(default=None, repr=False)
    _outputs: dict[str, OutputSpec] = field(default=None, repr=False)
    _arrays: SharedArrays | None = field(default=None, repr=False)
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

    def _take(self, event: Done) -> Any:
        """What the owner gets: a ``Result`` of its own memory, or what ``consume`` makes of one in shared memory."""
        from .synthesizer import Result
        from .volume import Geometry, Volume

        spec, request = self._outputs["image"], self._request
        image, source = self._arrays["output image"], self._arrays["source"]
        if self._consume is None:
            image, source = image.copy(), source.copy()
        else:
            image.flags.writeable = source.flags.writeable = False
        result = Result(
            volume=Volume(image, spec.geometry, spec.units, spec.modality),
            source=Volume(source, Geometry(**request.geometry), request.units, request.modality),
            provenance=event.provenance,
            applicability=event.applicability,
            notes=event.notes,
            compute_seconds=event.compute_seconds,
        )
        return result if self._consume is None else self._consume(result)


def error_of(event: Failed) -> MedGANError:
    """The worker's exception again: of the same class if it is one of ours, with the same sentence."""
    kind = getattr(errors, event.error, None)
    known = isinstance(kind, type) and issubclass(kind, MedGANError)
    return (kind if known else WorkerError)(event.message)
