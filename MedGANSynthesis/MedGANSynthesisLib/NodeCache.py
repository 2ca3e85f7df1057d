"""NodeCache: what was found out about a volume node, until the node changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

_MOST = 64


class NodeCache:
    """Remembers a few answers about volumes; keeps no node alive.

    An answer counts for one state of one node. VTK never gives the same modification time twice, so a node that got
    the ID of a deleted one is not mistaken for it.
    """

    def __init__(self):
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def value(self, node, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The answer to ``key`` about a volume node with an image: the known one, or what ``compute()`` returns."""
        key = (node.GetID(), node.GetMTime(), node.GetImageData().GetMTime(), key)
        if key not in self._values:
            self._values[key] = compute()
            if len(self._values) > _MOST:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]
