"""PreviewSchedule: when which preview is computed; knows nothing of scenes and images."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import qt
from medgan.errors import Cancelled, MedGANError
from slicer.i18n import tr as _

DELAY_MS = 40  # from the first change to the request; all changes meanwhile go into the same one
RETRY_MS = 200  # how often to look whether the engine is free again


class Request(Protocol):
    """What is to be computed for one view."""

    effort: float

    def covers(self, other: Request) -> bool:
        """Whether the result of this request holds all that ``other`` asks for."""

    def meets(self, other: Request) -> bool:
        """Whether the result of this request is still worth showing where ``other`` is wanted."""


@dataclass
class _Running:
    key: str
    request: Request
    job: Any = field(default=None, repr=False)


class PreviewSchedule:
    """Computes what views want, one at a time, the view that changed last first; what is out of date is given up.

    A change is answered after ``DELAY_MS`` however many follow, so that the preview goes along with continuous
    scrolling. A request that failed is not repeated until it changes.

    Args:
        describe: called with a key; returns the ``Request`` of that view now, None if it wants nothing. May raise
            MedGANError.
        start: called with (key, request); returns a job with ``drop()``. When it has ended by itself, ``finished``
            has to be called. May raise MedGANError.
        isFree: whether the engine would begin a job at once.
        onStatus: called when ``status`` may have changed.
    """

    def __init__(
        self,
        describe: Callable[[str], Request | None],
        start: Callable[[str, Request], Any],
        isFree: Callable[[], bool],
        onStatus: Callable[[], None],
    ):
        self._describe, self._startJob, self._isFree, self._onStatus = describe, start, isFree, onStatus
        self._changed: dict[str, None] = {}
        self._wanted: dict[str, Request] = {}  # the most urgent last
        self._done: dict[str, Request] = {}
        self._problems: dict[str, str] = {}
        self._running: _Running | None = None
        self._lastWasDropped = self._suspended = self._waiting = self._updating = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._update)

    @property
    def status(self) -> str:
        """One line on how things stand; '' if all views show what they want."""
        if self._problems:
            return next(reversed(self._problems.values()))
        if self._suspended or self._waiting:
            return _("The preview waits until the running computation is done.")
        return _("Computing the preview...") if self._running is not None or self._wanted else ""

    @property
    def isIdle(self) -> bool:
        """Whether nothing is being computed and nothing waits for it."""
        return not (self._changed or self._wanted or self._running)

    def changed(self, *keys: str) -> None:
        """These views may want something else now."""
        for key in keys:
            self._changed.pop(key, None)
            self._changed[key] = None
        if self._changed and not self._timer.active:
            self._timer.start(DELAY_MS)

    def finished(self, key: str, request: Request, error: BaseException | None = None, shown: bool = True) -> None:
        """A job has ended by itself. ``shown``: its view shows the result."""
        if self._running is None or self._running.request is not request:
            return
        self._running, self._lastWasDropped = None, False
        if error is not None:
            self._fail(key, request, error)
        elif shown:
            self._done[key] = request
            self._problems.pop(key, None)
        self._startNext()

    def forget(self, *keys: str) -> None:
        """These views (default: all) show nothing any more: give up what is computed for them."""
        for key in keys or self._keys():
            self._changed.pop(key, None)
            self._wanted.pop(key, None)
            self._done.pop(key, None)
            self._problems.pop(key, None)
            if self._running is not None and self._running.key == key:
                self._drop()
        self._startNext()

    def suspend(self) -> None:
        """Compute nothing until ``resume``; what is being computed is given up and done again then."""
        self._suspended = True
        if self._running is not None:
            self._wanted.setdefault(self._running.key, self._running.request)
            self._drop()
        self._onStatus()

    def resume(self) -> None:
        """Go on."""
        self._suspended = False
        self._startNext()

    def cleanup(self) -> None:
        """Give everything up, without a word."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._update)
        self._suspended = True
        if self._running is not None:
            self._drop()

    def _keys(self) -> list[str]:
        running = [self._running.key] if self._running is not None else []
        return [*self._changed, *self._wanted, *self._done, *self._problems, *running]

    def _update(self) -> None:
        """Find out what the views that changed want now."""
        if self._updating:  # a question to the user, asked while a job was started, waits for the answer
            self._timer.start(RETRY_MS)
            return
        keys, self._changed = list(self._changed), {}
        fresh: dict[str, Request] = {}
        for key in keys:
            request = self._wish(key)
            current = self._running.request if self._running is not None and self._running.key == key else None
            if request is None or (key in self._done and self._done[key].covers(request)):
                self._wanted.pop(key, None)
                if current is not None:
                    self._drop()
            elif current is not None and current.covers(request):
                self._wanted.pop(key, None)
            elif key not in self._wanted or not self._wanted[key].covers(request):
                fresh[key] = request
        for key in sorted(fresh, key=lambda key: -fresh[key].effort):
            self._wanted.pop(key, None)
            self._wanted[key] = fresh[key]
        self._makeRoom(fresh)
        self._startNext()

    def _wish(self, key: str) -> Request | None:
        try:
            request = self._describe(key)
        except Exception as error:
            self._done.pop(key, None)
            self._problems[key] = _sentence(error)
            return None
        if request is None or key not in self._done or not self._done[key].covers(request):
            self._problems.pop(key, None)
        if request is None:
            self._done.pop(key, None)
        return request

    def _makeRoom(self, fresh: dict[str, Request]) -> None:
        """Give up the running job for a newer wish, but never two in a row that would still have been worth showing.

        Otherwise dragging a slider would show nothing before it rests, where computing takes longer than the delay.
        """
        running = self._running
        if running is None or not fresh:
            return
        if running.key not in fresh:
            self._wanted = {running.key: running.request, **self._wanted}  # another view is more urgent now
            self._drop()
        elif not (self._lastWasDropped and running.request.meets(fresh[running.key])):
            self._drop()
            self._lastWasDropped = True

    def _drop(self) -> None:
        running, self._running = self._running, None
        if running.job is not None:
            running.job.drop()

    def _startNext(self) -> None:
        self._waiting = False
        if self._wanted and self._running is None and not self._suspended and not self._updating:
            if self._isFree():
                self._start()
            else:
                self._waiting = True
                key = next(iter(self._wanted))
                self._changed.setdefault(key, None)
                self._timer.start(RETRY_MS)
        self._onStatus()

    def _start(self) -> None:
        key, request = self._wanted.popitem()
        running = self._running = _Running(key, request)
        self._updating = True
        try:
            job = self._startJob(key, request)
        except Exception as error:
            if self._running is running:
                self._running = None
                self._fail(key, request, error)
            job = None
        finally:
            self._updating = False
        if self._running is running:
            running.job = job
        elif job is not None:  # given up while it was started
            job.drop()
        if self._running is None:
            self._startNext()

    def _fail(self, key: str, request: Request, error: BaseException) -> None:
        self._done[key] = request  # so that it is not tried again
        if not isinstance(error, Cancelled):
            self._problems[key] = _sentence(error)


def _sentence(error: BaseException) -> str:
    if not isinstance(error, MedGANError):
        logging.exception("MedGAN preview", exc_info=error)
    return str(error) or type(error).__name__
