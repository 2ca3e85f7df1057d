"""Inbox: requests on their way from the thread that reads them to the one that works."""

from __future__ import annotations

import queue

from . import protocol
from .errors import WorkerError


class Inbox:
    """Requests in the order they came; but a ``Drop`` counts at once, while the job it is about is computed."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[protocol.Message | WorkerError] = queue.SimpleQueue()
        # The client has but one job at the worker at a time, so the last one dropped is the only one that can matter.
        self._dropped = 0

    def put(self, line: bytes) -> None:
        """Take in one line of the client."""
        try:
            request = protocol.decode(line)
        except WorkerError as error:
            request = error
        if isinstance(request, protocol.Drop):
            self._dropped = request.job
        else:
            self._requests.put(request)

    def get(self, timeout_s: float) -> protocol.Message | WorkerError:
        """The next request, or what is wrong with the line; raises ``queue.Empty`` if there is none in time."""
        return self._requests.get(timeout=timeout_s)

    def is_dropped(self, job: int) -> bool:
        """Whether nobody wants the result of a job any more."""
        return job == self._dropped
