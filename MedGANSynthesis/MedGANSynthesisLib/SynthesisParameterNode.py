"""What the user chose in the panel; lives on one parameter node, so a saved scene reopens as it was."""

from __future__ import annotations

import enum
import sys
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Device(enum.Enum):
    """Where to compute."""

    Automatic = "auto"
    Processor = "cpu"
    GraphicsCard = "mps" if sys.platform == "darwin" else "cuda"

    def label(self) -> str:
        """The text in the panel."""
        texts = {"auto": _("Automatic"), "cpu": _("Processor (CPU)")}
        return texts.get(self.value, _("Graphics card (GPU)"))


class MaskMode(enum.Enum):
    """Where the result counts."""

    Everywhere = "everywhere"
    Inside = "inside"
    Outside = "outside"

    def label(self) -> str:
        """The text in the panel."""
        texts = {"everywhere": _("Everywhere"), "inside": _("Inside a segment"), "outside": _("Outside a segment")}
        return texts[self.value]


@parameterNodeWrapper
class SynthesisParameterNode:
    """The parameters of the panel.

    sourceVolume - the volume to work on
    model - name of the chosen bundle; empty takes the first there is
    device - where to compute
    strength - 0 (source) to 1 (what the model computed)
    maskMode, segmentation, segmentID, softEdgeMm - where the result counts, and how wide the edge is in mm
    outputVolume - takes the result; None creates a new volume
    inPlace - overwrite the source instead
    secondOutput - also create a volume with what was removed
    """

    sourceVolume: vtkMRMLScalarVolumeNode
    model: str
    device: Device = Device.Automatic
    strength: Annotated[float, WithinRange(0.0, 1.0)] = 1.0
    maskMode: MaskMode = MaskMode.Everywhere
    segmentation: vtkMRMLSegmentationNode
    segmentID: str
    softEdgeMm: Annotated[float, WithinRange(0.0, 50.0)] = 0.0
    outputVolume: vtkMRMLScalarVolumeNode
    inPlace: bool = False
    secondOutput: bool = False
