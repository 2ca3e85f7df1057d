"""OutputBox: where the result goes: a new volume, a given one, or over the source."""

from __future__ import annotations

from medgan.errors import MedGANError
from slicer.i18n import tr as _

from ..nodes import nodeName, volumeFromNode
from .Box import Box


class OutputBox(Box):
    """The output group. Overwriting the source is offered only where the result has its grid and unit."""

    def __init__(self, panel):
        super().__init__(panel)
        self._hasColor: bool | None = None  # of the result; None: not known yet
        self._sourceObstacle = ""  # why the result cannot go into the source; '' if it can

    def keywords(self) -> dict:
        """The output as keywords of ``logic.apply``."""
        self._look()
        parameters = self.panel.parameters
        inPlace = parameters.inPlace and not self._sourceObstacle
        return {"inPlace": inPlace, "outputNode": None if inPlace else parameters.outputVolume}

    def update(self) -> None:
        self._look()
        parameters, obstacle = self.panel.parameters, self._sourceObstacle
        self.ui.inPlaceCheckBox.enabled = not obstacle
        toolTip = _("Write the result into the source volume itself. Undo takes it back.")
        self.ui.inPlaceCheckBox.toolTip = obstacle or toolTip
        if obstacle and parameters.inPlace:
            parameters.inPlace = False  # what is shown is what happens
        self.ui.outputVolumeSelector.enabled = not parameters.inPlace
        # The selector makes nodes of the class that the parameter node names, and those hold gray values.
        self.ui.outputVolumeSelector.addEnabled = not self._hasColor
        toolTip = _("The volume that takes the result. Leave it empty to create a new one beside the source.")
        self.ui.outputVolumeSelector.toolTip = self.obstacle() or toolTip

    def obstacle(self) -> str:
        """Why the chosen volume cannot take the result; '' if it can, or if nothing is known yet."""
        parameters = self.panel.parameters
        output = parameters.outputVolume
        if parameters.inPlace or output is None or self._hasColor is None:
            return ""
        if output is self.panel.source:
            return self._sourceObstacle
        if output.IsA("vtkMRMLVectorVolumeNode") != self._hasColor:
            message = _("'{name}' is not the kind of volume that can hold the result; choose another output volume.")
            return message.format(name=nodeName(output))
        return ""

    def _look(self) -> None:
        """Find out what the result will be."""
        panel = self.panel
        self._hasColor, self._sourceObstacle = None, ""
        if panel.source is None or panel.bundle is None or panel.refusal:
            return
        try:
            volume = volumeFromNode(panel.source)
            image = panel.bundle.outputs(volume, panel.applyOptions())["image"]
        except MedGANError:
            return  # Apply says so
        self._hasColor = len(image.shape) == 4
        self._sourceObstacle = _overwritingObstacle(panel.source, volume, image)


def _overwritingObstacle(sourceNode, volume, image) -> str:
    if sourceNode.GetImageData().GetNumberOfScalarComponents() != volume.channels:
        return _("The source has transparency, which the result has not, so it goes into another volume.")
    if not image.geometry.is_close(volume.geometry, 0.0) or tuple(image.shape) != volume.array.shape:
        return _("The result has another grid than the source, so it goes into another volume.")
    if not image.keeps_source or image.units != volume.units:
        return _("The result is another kind of image than the source, so it goes into another volume.")
    return ""
