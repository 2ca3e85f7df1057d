"""What the user chose in the panel; lives on one parameter node, so a saved scene reopens as it was."""

from __future__ import annotations

import enum
from typing import Annotated

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import FloatRange, WithinRange, parameterNodeWrapper


class MaskMode(enum.Enum):
    """Where the result counts."""

    Everywhere = "everywhere"
    Inside = "inside"
    Outside = "outside"

    def label(self) -> str:
        """The text in the panel."""
        texts = {"everywhere": _("Everywhere"), "inside": _("Inside a segment"), "outside": _("Outside a segment")}
        return texts[self.value]


class PreviewMode(enum.Enum):
    """What is computed and shown before anything is applied."""

    Off = "off"
    VisibleSlices = "visible-slices"
    Roi = "roi"

    def label(self) -> str:
        """The text in the panel."""
        texts = {"off": _("Off"), "visible-slices": _("Visible slices"), "roi": _("Inside a ROI")}
        return texts[self.value]


@parameterNodeWrapper
class SynthesisParameterNode:
    """The parameters of the panel.

    The options of the effects lie on the same node under ``<key>.<name>``, see ``effects.parameters``.

    sourceVolume - the volume to work on
    effect - key of the active effect, empty for none
    model - name of the bundle chosen for the active effect; each effect keeps its own
    device - where to compute: "auto", "cpu", or what the engine calls a graphics card
    maskMode, segmentation, segmentID - where the result counts
    intensityMask, intensityRange - whether the result only counts where the source lies within the range; the range
        (0, 0) stands for one that was never set
    maskRoi - the result only counts inside this box, if there is one
    softEdgeMm - how wide the edge of all these is in mm
    outputVolume - takes the result; None creates a new volume
    inPlace - overwrite the source instead
    previewMode, previewRoi, previewOpacity - what is shown before anything is applied
    syntheticAnnotation - write "SYNTHETIC" over slice views that show a synthetic volume
    """

    sourceVolume: vtkMRMLScalarVolumeNode
    effect: str
    device: str = "auto"
    maskMode: MaskMode = MaskMode.Everywhere
    segmentation: vtkMRMLSegmentationNode
    segmentID: str
    softEdgeMm: Annotated[float, WithinRange(0.0, 50.0)] = 0.0
    intensityMask: bool = False
    intensityRange: FloatRange = FloatRange(0.0, 0.0)
    maskRoi: vtkMRMLMarkupsROINode
    outputVolume: vtkMRMLScalarVolumeNode
    inPlace: bool = False
    previewMode: PreviewMode = PreviewMode.Off
    previewRoi: vtkMRMLMarkupsROINode
    previewOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 1.0
    syntheticAnnotation: bool = True

    @property
    def model(self) -> str:
        """Name of the bundle chosen for the active effect, '' for the first there is."""
        return self.parameterNode.GetParameter(f"{self.effect}.model")

    @model.setter
    def model(self, name: str) -> None:
        self.parameterNode.SetParameter(f"{self.effect}.model", name)
