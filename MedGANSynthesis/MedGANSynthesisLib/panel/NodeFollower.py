"""NodeFollower: observes one node after another."""

from __future__ import annotations

from collections.abc import Callable

from slicer.util import VTKObservationMixin


class NodeFollower(VTKObservationMixin):
    """Calls something when a node changes.

    The mixin keeps every node that it has ever observed until all its observers go at once, so each node that is
    followed in turn needs an observer of its own.

    Args:
        events: the events of the node to follow.
        onChange: called with (caller, event).

    Attributes:
        node: the node, None for none.
    """

    def __init__(self, events: tuple, onChange: Callable):
        VTKObservationMixin.__init__(self)
        self._events, self._onChange = events, onChange
        self.node = None

    def follow(self, node) -> None:
        """Follow this node (None: none) and let go of the one before."""
        if node is self.node:
            return
        self.removeObservers()
        self.node = node
        for event in self._events if node is not None else ():
            self.addObserver(node, event, self._onChange)
