"""SliceViews: the slice views on the screen and what they show."""

from __future__ import annotations

from collections.abc import Callable

import slicer


def allSliceNodes() -> list:
    """The slice nodes of all views, also of those that the layout does not show."""
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def compositeNodeOf(sliceNode):
    """The node that tells which volumes a slice view shows; None if it has none yet."""
    return slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)


def viewsThat(shows: Callable) -> dict:
    """The views of the layout for which ``shows(composite node)`` is true, all of them if it is for none.

    Returns:
        slice nodes by the name of their view.
    """
    nodes = [node for node in allSliceNodes() if node.IsMappedInLayout() and compositeNodeOf(node) is not None]
    found = {node.GetLayoutName(): node for node in nodes if shows(compositeNodeOf(node))}
    return found or {node.GetLayoutName(): node for node in nodes}


def layersShowing(compositeNode, volumeNode) -> list[int]:
    """The indices of the layers of a view that show a volume."""
    layers = range(compositeNode.Layer_Last + compositeNode.GetNumberOfAdditionalLayers())
    return [layer for layer in layers if compositeNode.GetNthLayerVolumeID(layer) == volumeNode.GetID()]
