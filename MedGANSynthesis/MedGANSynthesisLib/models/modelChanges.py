"""Tells whoever lists the installed models that some came or went, by whichever module."""

from __future__ import annotations

from collections.abc import Callable

_observers: list[Callable[[], None]] = []


def addObserver(callback: Callable[[], None]) -> None:
    """Have ``callback()`` called whenever a model was installed or removed."""
    _observers.append(callback)


def removeObserver(callback: Callable[[], None]) -> None:
    """Call it no longer. No effect if it never was."""
    if callback in _observers:
        _observers.remove(callback)


def notify() -> None:
    """To be called after a model was installed or removed."""
    for callback in list(_observers):
        callback()
