"""How results look: like their source where they can be compared with it, in colors where they tell of doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .Prepared import Prepared

CT_WINDOW_LEVEL_HU = (350.0, 40.0)  # Slicer's preset "CT-Abdomen"
SPREAD_COLORS = ("vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodeIron")  # the first one there is
SPREAD_PERCENTILE = 99.5
_MOST_VOXELS = 1_000_000


def copyDisplay(node, prepared: Prepared) -> None:
    """The look of the source, held still: with automatic window and level before and after could not be compared."""
    model = prepared.sourceNode.GetDisplayNode()
    if model is None or not prepared.sameUnits:
        if prepared.image.units == "HU":
            _addScalarDisplay(node).SetWindowLevel(*CT_WINDOW_LEVEL_HU)
        else:
            node.CreateDefaultDisplayNodes()
        return
    # Set up before it sees the image: a default display node would first look for a window of its own, which is slow.
    display = node.GetScene().AddNewNodeByClass(model.GetClassName())
    display.CopyContent(model)
    _follow(display, model)
    node.SetAndObserveDisplayNodeID(display.GetID())


def followDisplay(node, prepared: Prepared) -> None:
    """As ``copyDisplay``; a display node that is there already only takes over window, level and colors."""
    display, model = node.GetDisplayNode(), prepared.sourceNode.GetDisplayNode()
    if display is None:
        copyDisplay(node, prepared)
    elif model is not None and prepared.sameUnits:
        _follow(display, model)


def spreadDisplay(node, array: np.ndarray) -> None:
    """A color table from 0 to what nearly all voxels stay below."""
    display = _addScalarDisplay(node)
    top = _top(array)
    display.SetWindowLevel(top, top / 2)
    scene = node.GetScene()
    color = next((nodeID for nodeID in SPREAD_COLORS if scene.GetNodeByID(nodeID) is not None), None)
    if color is not None:
        display.SetAndObserveColorNodeID(color)


def _follow(display, model) -> None:
    if model.GetColorNodeID() != display.GetColorNodeID():
        display.SetAndObserveColorNodeID(model.GetColorNodeID())
    if display.IsA("vtkMRMLScalarVolumeDisplayNode"):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(model.GetWindow(), model.GetLevel())


def _addScalarDisplay(node):
    display = node.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.SetDefaultColorMap()
    display.SetAutoWindowLevel(False)
    node.SetAndObserveDisplayNodeID(display.GetID())
    return display


def _top(array: np.ndarray) -> float:
    """The upper end of the window, from a sample of the voxels that vary at all (masked results have few)."""
    flat = array.reshape(-1)
    sample = flat[:: max(1, flat.size // _MOST_VOXELS)]
    sample = sample[sample > 0]
    return float(np.percentile(sample, SPREAD_PERCENTILE)) if sample.size else float(array.max()) or 1.0
