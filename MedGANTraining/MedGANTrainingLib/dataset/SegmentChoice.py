"""SegmentChoice: a segmentation selector with the segments of what is selected in a combo box beside it."""

from __future__ import annotations


class SegmentChoice:
    """Keeps the combo box in line with the selector; ``refresh`` after segments may have come, gone or been renamed."""

    def __init__(self, selector, comboBox):
        self._selector, self._box = selector, comboBox
        self._segments: list[tuple[str, str]] | None = None
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self.refresh)
        self.refresh()

    @property
    def node(self):
        """The segmentation node, None if none is selected."""
        return self._selector.currentNode()

    @property
    def segmentID(self) -> str:
        """The ID of the segment, '' if there is none."""
        return self._box.currentData or ""

    def refresh(self, *_arguments) -> None:
        """List the segments there are now."""
        segmentation = self.node.GetSegmentation() if self.node is not None else None
        ids = segmentation.GetSegmentIDs() if segmentation is not None else ()
        segments = [(one, segmentation.GetSegment(one).GetName()) for one in ids]
        self._box.enabled = bool(segments)
        if segments != self._segments:
            self._segments, chosen = segments, self.segmentID
            self._box.clear()
            for segmentID, name in segments:
                self._box.addItem(name, segmentID)
            if chosen in ids:
                self._box.currentIndex = list(ids).index(chosen)
