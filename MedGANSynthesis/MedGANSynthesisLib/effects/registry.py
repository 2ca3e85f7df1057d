"""The effects there are: the built-in ones from the start, others as their extensions register them."""

from __future__ import annotations

from collections.abc import Callable

from medgan.errors import InputError
from slicer.i18n import tr as _

from .GeneratorEffect import GeneratorEffect

_effects: dict[str, GeneratorEffect] = {}
_observers: list[Callable[[], None]] = []
_builtInsAdded = False


def registerEffect(effectClass: type[GeneratorEffect]) -> GeneratorEffect:
    """Make an effect available in the panel and to ``logic.apply``; it may come before or after the panel exists.

    Registering a class of the same name from the same module again replaces it, as when a module is reloaded.

    Returns:
        its one instance.

    Raises:
        InputError: the class has no key, or the key belongs to another effect.
    """
    _addBuiltIns()
    new = _add(effectClass)
    _notify()
    return new


def unregisterEffect(key: str) -> None:
    """Take an effect out again. No effect if there is none of this key."""
    _addBuiltIns()
    gone = _effects.pop(key, None)
    if gone is not None:
        _notify()
        gone.cleanup()


def effects() -> list[GeneratorEffect]:
    """All effects in the order of their buttons."""
    _addBuiltIns()
    return sorted(_effects.values(), key=lambda item: (item.order, item.key))


def effect(key: str) -> GeneratorEffect | None:
    """The effect of a key, None if there is none."""
    _addBuiltIns()
    return _effects.get(key)


def effectOfTask(task: str) -> GeneratorEffect:
    """The first effect that lists models of a task; the one for custom models if no other does."""
    return next((item for item in effects() if task in item.tasks), _effects["custom"])


def addObserver(callback: Callable[[], None]) -> None:
    """Have ``callback()`` called whenever an effect was registered or unregistered."""
    _observers.append(callback)


def removeObserver(callback: Callable[[], None]) -> None:
    """Call it no longer. No effect if it never was."""
    if callback in _observers:
        _observers.remove(callback)


def _notify() -> None:
    for callback in list(_observers):
        callback()


def _add(effectClass: type[GeneratorEffect]) -> GeneratorEffect:
    new = effectClass()
    if not new.key or "." in new.key:
        message = _("The effect {name} needs a key without a dot.")
        raise InputError(message.format(name=effectClass.__name__))
    old = _effects.get(new.key)
    if old is not None:
        if _fullName(type(old)) != _fullName(effectClass):
            message = _("There is an effect '{key}' already; give {name} another key.")
            raise InputError(message.format(key=new.key, name=effectClass.__name__))
        old.cleanup()
    _effects[new.key] = new
    return new


def _fullName(effectClass: type) -> tuple[str, str]:
    return effectClass.__module__, effectClass.__qualname__


def _addBuiltIns() -> None:
    global _builtInsAdded
    if _builtInsAdded:
        return
    _builtInsAdded = True
    from .ContrastCTEffect import ContrastCTEffect
    from .CustomModelEffect import CustomModelEffect
    from .DenoiseCTEffect import DenoiseCTEffect
    from .MRToCTEffect import MRToCTEffect
    from .StainTransferEffect import StainTransferEffect
    from .SuperResolutionMREffect import SuperResolutionMREffect

    for effectClass in (
        DenoiseCTEffect,
        ContrastCTEffect,
        SuperResolutionMREffect,
        MRToCTEffect,
        StainTransferEffect,
        CustomModelEffect,
    ):
        _add(effectClass)
