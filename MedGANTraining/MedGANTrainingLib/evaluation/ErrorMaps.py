"""Error maps in the scene: output minus truth as volumes, in colors that are white where there is no error."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from medgan.error_maps import COLOR_UNITS
from medgan.evaluation_results import EvaluationResults
from medgan.image_io import read_volume
from MedGANSynthesisLib.nodes import setGeometryOfNode, writableType
from slicer.i18n import tr as _

DIVERGING_COLORS = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
SEQUENTIAL_COLORS = "vtkMRMLColorTableNodeFileInferno.txt"  # of color differences, which have no sign


def addErrorMap(results: EvaluationResults, row: dict[str, Any]):
    """A volume node with an error map, bit for bit on the grid of the truth.

    All maps of an evaluation have the same window, symmetric around 0, so that they can be compared by eye.

    Args:
        row: of ``results.content["error_maps"]``.

    Raises:
        InputError: its file is gone or damaged.
    """
    volume = read_volume(results.folder / row["path"])[0]
    units = row["units"] or _("arbitrary units")
    label = results.content["methods"][row["method"]]
    name = _("{case}: error of {model} ({units})").format(case=row["case"], model=label, units=units)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", slicer.mrmlScene.GenerateUniqueName(name))
    try:
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(writableType(volume.array)))
        setGeometryOfNode(node, volume.geometry)
        _display(node, _limit(results), row["units"] != COLOR_UNITS)
    except Exception:
        slicer.mrmlScene.RemoveNode(node)
        raise
    return node


def _limit(results: EvaluationResults) -> float:
    """What nearly all errors of an evaluation stay below, whatever the case and the model."""
    limits = [float(row.get("limit", 0.0)) for row in results.content["error_maps"]]
    return max((limit for limit in limits if np.isfinite(limit)), default=0.0) or 1.0


def _display(node, limit: float, signed: bool) -> None:
    display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.SetAutoWindowLevel(False)
    if signed:
        display.SetWindowLevel(2 * limit, 0.0)
    else:
        display.SetWindowLevel(limit, limit / 2)
    colors = DIVERGING_COLORS if signed else SEQUENTIAL_COLORS
    if slicer.mrmlScene.GetNodeByID(colors) is not None:
        display.SetAndObserveColorNodeID(colors)
    else:
        display.SetDefaultColorMap()
    node.SetAndObserveDisplayNodeID(display.GetID())
