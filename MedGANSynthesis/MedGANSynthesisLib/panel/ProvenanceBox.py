"""ProvenanceBox: how the last result was made, or else the selected volume if MedGAN made it."""

from __future__ import annotations

import vtk

from ..attributes import ATTRIBUTE_PREFIX
from .Box import Box


class ProvenanceBox(Box):
    """The provenance table."""

    def __init__(self, panel):
        super().__init__(panel)
        self._output = vtk.vtkWeakReference()
        self._shown = None
        self._source = None

    def show(self, outputNode) -> None:
        """From now on this node, until another volume with provenance is selected or it is deleted."""
        self._output.Set(outputNode)

    def deviceUsed(self) -> str:
        """The device that computed the last result, '' if there is none."""
        node = self._output.Get()
        return (node.GetAttribute(ATTRIBUTE_PREFIX + "Device") or "") if node is not None else ""

    def update(self) -> None:
        from ..models.ProvenanceTable import showProvenance

        source = self.panel.source
        if source is not self._source:
            self._source = source
            if _hasProvenance(source):
                self._output.Set(None)
        node = self._output.Get()
        if not _hasProvenance(node):
            node = source if _hasProvenance(source) else None
        shown = (node.GetID(), node.GetMTime()) if node is not None else ()
        if shown != self._shown:
            self._shown = shown
            showProvenance(self.ui.provenanceTableWidget, node)

    def leave(self) -> None:
        self._source = self._shown = None


def _hasProvenance(node) -> bool:
    if node is None or node.GetScene() is None:
        return False
    return any(name.startswith(ATTRIBUTE_PREFIX) for name in node.GetAttributeNames())
