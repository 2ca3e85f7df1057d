"""Effects: the tasks the panel offers, one class each; other extensions register theirs the same way.

See ``GeneratorEffect`` for how to write one.
"""

from .GeneratorEffect import GeneratorEffect
from .registry import addObserver, effect, effectOfTask, effects, registerEffect, removeObserver, unregisterEffect

__all__ = [
    "GeneratorEffect",
    "addObserver",
    "effect",
    "effectOfTask",
    "effects",
    "registerEffect",
    "removeObserver",
    "unregisterEffect",
]
