"""Those who watch a training: its events and what gives reason to warn go to them; their time is not the training's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .stopwatch import Stopwatch
from .training_events import TrainingEvent, Watcher
from .training_health import Health

if TYPE_CHECKING:
    from .recipes.base import Recipe


class Audience:
    """Watchers and the one who asked for progress; each may raise to stop the training, or wait to have it wait.

    Args:
        recipe: tells what is healthy, see :class:`~medgan.training_health.Health`.
        watchers: called with each event. progress: called with (fraction, message).
    """

    def __init__(self, recipe: Recipe, watchers: Iterable[Watcher], progress: Callable[[float, str], None] | None):
        self._watchers, self._progress = list(watchers), progress
        self._health = Health(recipe)
        self._fraction = 0.0
        self._watch = Stopwatch()

    def __bool__(self) -> bool:
        """Whether anybody wants events."""
        return bool(self._watchers)

    @property
    def seconds(self) -> float:
        """Time of the training so far, without that of the audience."""
        return self._watch.seconds

    def tell(self, event: TrainingEvent) -> None:
        """An event, and the warnings it gives reason for."""
        with self._watch.held():
            for told in (event, *self._health.observe(event)) if self._watchers else ():
                for watch in self._watchers:
                    watch(told)

    def say(self, message: str, fraction: float | None = None) -> None:
        """What the training does now, and how far it is if that has changed."""
        self._fraction = self._fraction if fraction is None else fraction
        if self._progress is not None:
            with self._watch.held():
                self._progress(self._fraction, message)
