"""Box: a part of the panel."""

from __future__ import annotations


class Box:
    """A part of the panel. ``update`` is called after every change, ``leave`` and ``cleanup`` when it is over.

    Args:
        panel: the ``Panel`` it belongs to.
    """

    def __init__(self, panel):
        self.panel = panel
        self.ui = panel.ui

    def update(self) -> None:
        """Bring the widgets in line with the parameters; ``panel.parameters`` is not None."""

    def leave(self) -> None:
        """The module is left or its scene closed: let go of every node. ``update`` may come again."""

    def cleanup(self) -> None:
        """The panel goes: stop timers, drop connections to what outlives it. Nothing comes after."""
