"""Volume nodes that show the images of a case: no editor lists them, no scene file contains them."""

from __future__ import annotations

import numpy as np
import slicer
from medgan.volume import Volume
from MedGANSynthesisLib.displays import CT_WINDOW_LEVEL_HU
from MedGANSynthesisLib.nodes import setGeometryOfNode, setHounsfieldUnits, writableType

CASE_ATTRIBUTE = "MedGAN.Case"  # the ID of the case, on every node that is only here to show it
_PERCENTILES = (0.5, 99.5)
_MOST_VOXELS = 500_000


def isOfCase(node) -> bool:
    """Whether a node is only here to show a case."""
    return node.GetAttribute(CASE_ATTRIBUTE) is not None


def addCaseNode(volume: Volume, name: str, caseID: str):
    """A volume node with the voxels of a volume, as its modality is usually looked at."""
    className = "vtkMRMLVectorVolumeNode" if volume.array.ndim == 4 else "vtkMRMLScalarVolumeNode"
    node = addTransientNode(className, name, caseID)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(writableType(volume.array)))
    setGeometryOfNode(node, volume.geometry)
    if volume.units == "HU":
        setHounsfieldUnits(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    if volume.array.ndim == 3:
        low, high = shownRange(volume)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(high - low, (low + high) / 2)
    return node


def addTransientNode(className: str, name: str, caseID: str):
    """A node that is only here to show a case."""
    node = slicer.mrmlScene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(name)
    node.SetAttribute(CASE_ATTRIBUTE, caseID)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)


def removeTransientNode(node) -> None:
    """Remove such a node with what displays it; nothing happens if the scene was closed meanwhile."""
    if node is None or node.GetScene() is None:
        return
    display = node.GetDisplayNode() if node.IsA("vtkMRMLDisplayableNode") else None
    for one in (node, display):  # a view that shows a volume without display node would make one
        if one is not None and one.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(one)


def shownRange(volume: Volume) -> tuple[float, float]:
    """The values that are shown black and white: the usual window of a CT, else nearly all there is."""
    if volume.units == "HU":
        window, level = CT_WINDOW_LEVEL_HU
        return level - window / 2, level + window / 2
    if volume.array.ndim == 4:
        return 0.0, 255.0
    flat = volume.array.reshape(-1)
    sample = flat[:: max(1, flat.size // _MOST_VOXELS)]
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, _PERCENTILES) if sample.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1.0)
