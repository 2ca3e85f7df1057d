"""OutputBox: where the result goes: a new volume, a given one, or over the source."""

from __future__ import annotations

from medgan.errors import MedGANError
from slicer.i18n import tr as _

from ..nodes import volumeFromNode
from .Box import Box


class OutputBox(Box):
    """The output group. Overwriting the source is offered only where the result has its grid and unit."""

    def keywords(self) -> dict:
        """The output as keywords of ``logic.apply``."""
        parameters = self.panel.parameters
        inPlace = parameters.inPlace and not self._obstacle()
        return {"inPlace": inPlace, "outputNode": None if inPlace else parameters.outputVolume}

    def update(self) -> None:
        parameters, obstacle = self.panel.parameters, self._obstacle()
        self.ui.inPlaceCheckBox.enabled = not obstacle
        toolTip = _("Write the result into the source volume itself. Undo takes it back.")
        self.ui.inPlaceCheckBox.toolTip = obstacle or toolTip
        if obstacle and parameters.inPlace:
            parameters.inPlace = False  # what is shown is what happens
        self.ui.outputVolumeSelector.enabled = not parameters.inPlace

    def _obstacle(self) -> str:
        """Why the result cannot go into the source volume; '' if it can, or if nothing is known yet."""
        panel = self.panel
        if panel.source is None or panel.bundle is None or panel.refusal:
            return ""
        try:
            volume = volumeFromNode(panel.source)
            image = panel.bundle.outputs(volume, panel.applyOptions())["image"]
        except MedGANError:
            return ""  # Apply says so
        if not image.geometry.is_close(volume.geometry, 0.0) or tuple(image.shape) != volume.array.shape:
            return _("The result has another grid than the source, so it goes into another volume.")
        if not image.keeps_source or image.units != volume.units:
            return _("The result is another kind of image than the source, so it goes into another volume.")
        return ""
