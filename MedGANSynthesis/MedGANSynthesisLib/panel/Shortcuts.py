"""Shortcuts: keys that work while the module is shown."""

from __future__ import annotations

import qt


class Shortcuts:
    """Single keys, as in Segment Editor; they do not reach a text field that has the focus.

    Args:
        parent: the widget of the panel; the keys work in its whole window.
        actions: what to call for each key, ``{"Z": undo}``.
    """

    def __init__(self, parent, actions: dict):
        self._shortcuts = []
        for key, action in actions.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), parent)
            shortcut.enabled = False
            shortcut.connect("activated()", action)
            self._shortcuts.append(shortcut)

    def setEnabled(self, enabled: bool) -> None:
        """Let the keys work, or not."""
        for shortcut in self._shortcuts:
            shortcut.enabled = enabled

    def cleanup(self) -> None:
        """Remove them."""
        for shortcut in self._shortcuts:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)  # they are deleted with the last reference
        self._shortcuts = []
