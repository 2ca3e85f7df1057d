"""MaskBox: where the result counts: a segment, an intensity range, a box."""

from __future__ import annotations

import math

import slicer
import vtk
from medgan.errors import InputError
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import FloatRange

from ..SynthesisParameterNode import MaskMode
from .Box import Box
from .NodeFollower import NodeFollower
from .roi import placeRoi


class MaskBox(Box):
    """The masking group."""

    def __init__(self, panel):
        super().__init__(panel)
        kind = slicer.vtkSegmentation
        events = (kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified)
        self._segmentation = NodeFollower(events, panel.updateSoon)
        self._segments: list[tuple[str, str]] | None = None
        self._updating = False
        self.ui.segmentComboBox.connect("currentIndexChanged(int)", self._onSegmentChosen)
        self.ui.intensityRangeWidget.connect("valuesChanged(double,double)", self._onRangeChanged)
        self.ui.maskRoiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self._onRoiAdded)

    def keywords(self) -> dict:
        """The mask as keywords of ``logic.apply``. Raises InputError: something is not chosen yet."""
        parameters = self.panel.parameters
        keywords = {"softEdgeMm": parameters.softEdgeMm, "roiNode": parameters.maskRoi}
        if parameters.maskMode != MaskMode.Everywhere:
            if parameters.segmentation is None:
                raise InputError(_("Masking is on, but no segmentation is selected; choose one or apply everywhere."))
            keywords["segmentationNode"] = parameters.segmentation
            keywords["segmentID"] = parameters.segmentID
            keywords["maskMode"] = parameters.maskMode.value
        if parameters.intensityMask:
            keywords["intensityRange"] = (parameters.intensityRange.minimum, parameters.intensityRange.maximum)
        return keywords

    def update(self) -> None:
        parameters = self.panel.parameters
        masked = parameters.maskMode != MaskMode.Everywhere
        self.ui.segmentationSelector.enabled = masked
        self.ui.segmentComboBox.enabled = masked
        self.ui.softEdgeSliderWidget.enabled = masked or parameters.intensityMask or parameters.maskRoi is not None
        self.ui.intensityRangeWidget.enabled = parameters.intensityMask
        self._updating = True
        try:
            self._segmentation.follow(parameters.segmentation)
            self._fillSegments()
            self._showRange()
        finally:
            self._updating = False

    def leave(self) -> None:
        self._segmentation.follow(None)
        self._segments = None

    def cleanup(self) -> None:
        self.leave()

    def _fillSegments(self) -> None:
        parameters, box = self.panel.parameters, self.ui.segmentComboBox
        node = self._segmentation.node
        segmentation = node.GetSegmentation() if node is not None else None
        ids = list(segmentation.GetSegmentIDs()) if segmentation is not None else []
        segments = [(segmentID, segmentation.GetSegment(segmentID).GetName()) for segmentID in ids]
        if segments != self._segments:
            self._segments = segments
            box.clear()
            for segmentID, name in segments:
                box.addItem(name, segmentID)
        if ids and parameters.segmentID not in ids:
            parameters.segmentID = ids[0]
        if ids:
            box.currentIndex = ids.index(parameters.segmentID)

    def _onSegmentChosen(self, index: int) -> None:
        if not self._updating and self.panel.parameters is not None and index >= 0:
            self.panel.parameters.segmentID = self.ui.segmentComboBox.itemData(index)

    def _showRange(self) -> None:
        """The slider reaches as far as the volume does, and as far as the range that was chosen on another one."""
        parameters, widget = self.panel.parameters, self.ui.intensityRangeWidget
        image = self.panel.source.GetImageData() if self.panel.source is not None else None
        if image is None or image.GetNumberOfPoints() == 0:
            return
        low, high = image.GetScalarRange()
        if not math.isfinite(high - low) or low > high:
            return  # no value is a number
        chosen = parameters.intensityRange
        neverSet = (chosen.minimum, chosen.maximum) == (0.0, 0.0)
        if not neverSet:
            low, high = min(low, chosen.minimum), max(high, chosen.maximum)
        exponent = _stepExponent(low, high, image.GetScalarType())
        step = 10.0**exponent
        # Outward to whole steps: rounded inward, the ends of the slider would leave out the very extremes.
        whole = FloatRange(math.floor(low / step) * step, math.ceil(high / step) * step)
        if neverSet:
            chosen = whole
            if parameters.intensityMask:
                parameters.intensityRange = whole
        widget.decimals = max(0, -exponent)
        widget.setRange(whole.minimum, whole.maximum)
        if whole.maximum > whole.minimum:
            widget.singleStep = step
        widget.setValues(chosen.minimum, chosen.maximum)

    def _onRangeChanged(self, low: float, high: float) -> None:
        if not self._updating and self.panel.parameters is not None:
            self.panel.parameters.intensityRange = FloatRange(low, high)

    def _onRoiAdded(self, node) -> None:
        placeRoi(node, self.panel.source)


def _stepExponent(low: float, high: float, scalarType: int) -> int:
    """A step of the slider as a power of ten: 1 for integers, else about a thousandth of the range."""
    if scalarType not in (vtk.VTK_FLOAT, vtk.VTK_DOUBLE) or high <= low:
        return 0
    return math.floor(math.log10((high - low) / 1000.0))
