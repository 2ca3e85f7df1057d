"""Later: calls something once, some time after it was last asked for."""

from __future__ import annotations

from collections.abc import Callable

import qt


class Later:
    """Puts many requests in a row together into one call.

    Args:
        delayMs: how long to wait after the last request; 0 for as soon as the application is idle.
        action: what to call.
    """

    def __init__(self, delayMs: int, action: Callable[[], None]):
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(delayMs)
        self._timer.connect("timeout()", action)

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self._timer.active

    def request(self) -> None:
        """Ask for the call."""
        self._timer.start()

    def cancel(self) -> None:
        """Do without it."""
        self._timer.stop()

    def cleanup(self) -> None:
        """Never call again."""
        self._timer.stop()
        self._timer.disconnect("timeout()")
