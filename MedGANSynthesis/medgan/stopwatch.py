"""Time spent on the work itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Seconds since it was made, without those in which it was held (a pause, pictures that are drawn)."""

    def __init__(self) -> None:
        self._started, self._held_s = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """What has passed."""
        return time.monotonic() - self._started - self._held_s

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What passes in this block does not count."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._held_s += time.monotonic() - began
