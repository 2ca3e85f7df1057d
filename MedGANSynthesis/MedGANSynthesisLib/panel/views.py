"""What the slice views show once a result is there."""

from __future__ import annotations

import slicer

from ..attributes import IMAGE_CLASSES


def showInsteadOf(outputNode, sourceNode) -> bool:
    """Show a result in the slice views that show its source, where they are. Returns whether there is such a view."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    showing = [node for node in composites if node.GetBackgroundVolumeID() == sourceNode.GetID()]
    for composite in showing:
        composite.SetBackgroundVolumeID(outputNode.GetID())
    return bool(showing)


def defaultSource():
    """The image that the slice views show, else the first one of the scene; None if there is none."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    shown = [slicer.mrmlScene.GetNodeByID(node.GetBackgroundVolumeID() or "") for node in composites]
    nodes = [*shown, *slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    return next((node for node in nodes if node is not None and _isOffered(node)), None)


def _isOffered(node) -> bool:
    return node.GetClassName() in IMAGE_CLASSES and not node.GetHideFromEditors()
