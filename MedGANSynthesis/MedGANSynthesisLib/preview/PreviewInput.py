"""PreviewInput: what previews are computed from: the voxels of the source, in shared memory, and a mask."""

from __future__ import annotations

from ..engineClient import engineClient
from ..nodes import geometryOfNode, modalityAndUnits, volumeFromNode


class PreviewInput:
    """Keeps the voxels of one volume node in shared memory and its mask at hand, for as long as they are up to date.

    Args:
        logic: makes the masks.
    """

    def __init__(self, logic):
        self._logic = logic
        self._held = self._heldStamp = None
        self._mask = self._maskStamp = None
        self._maskVersion = 0

    @property
    def maskVersion(self) -> int:
        """Changes whenever the mask may have changed."""
        return self._maskVersion

    def maskChanged(self) -> None:
        """A segment or box was edited, or another mask chosen."""
        self._maskVersion += 1

    def held(self, volumeNode):
        """The volume for ``Client.apply``, copied only if the node has changed since. Raises MedGANError."""
        stamp = stampOf(volumeNode)
        if self._held is None or self._held.released or self._heldStamp != stamp:
            self._releaseHeld()
            self._held, self._heldStamp = engineClient().hold(volumeFromNode(volumeNode)), stamp
        return self._held

    def mask(self, volumeNode, keywords: dict):
        """The ``Mask`` that ``logic.apply`` would use with these keywords, None for everywhere. Raises MedGANError."""
        stamp = (stampOf(volumeNode), self._maskVersion)
        if self._maskStamp != stamp:
            self._mask = self._maskStamp = None
            self._mask = self._logic.mask(volumeNode, **keywords)
            self._maskStamp = stamp
        return self._mask

    def release(self) -> None:
        """Give the memory back."""
        self._releaseHeld()
        self._mask = self._maskStamp = None

    def _releaseHeld(self) -> None:
        held, self._held, self._heldStamp = self._held, None, None
        if held is not None:
            held.release()


def stampOf(volumeNode) -> tuple:
    """Equal for two moments between which nothing that a generator sees of a volume node has changed."""
    geometry = geometryOfNode(volumeNode)
    grid = (geometry.origin_mm.tobytes(), geometry.spacing_mm.tobytes(), geometry.directions.tobytes())
    return (volumeNode.GetID(), volumeNode.GetImageData().GetMTime(), *grid, *modalityAndUnits(volumeNode))
