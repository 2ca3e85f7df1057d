"""PreviewBox: the controls of the preview; what is shown in the slice views is up to the ``PreviewController``."""

from __future__ import annotations

import html

from medgan.errors import MedGANError
from slicer.i18n import tr as _

from ..SynthesisParameterNode import PreviewMode
from .Box import Box
from .roi import placeRoi


class PreviewBox(Box):
    """The preview group. While a job runs, nothing is previewed: both would need the same worker."""

    def __init__(self, panel):
        from ..preview.PreviewController import PreviewController

        super().__init__(panel)
        self._controller = PreviewController(panel.logic, self._onStatus)
        self._arrived = False  # whether what the parameter node said at first has been seen
        self.ui.previewToggleButton.connect("toggled(bool)", self._onToggled)
        self.ui.previewRoiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self._onRoiAdded)

    def update(self) -> None:
        byUser, self._arrived = self._arrived, True
        panel, parameters = self.panel, self.panel.parameters
        possible, mode = not panel.obstacle(), parameters.previewMode
        self._enable(possible, mode)
        if panel.logic.jobs:
            self._controller.suspend()
        else:
            self._controller.resume()
        self._controller.setOpacity(parameters.previewOpacity)
        if not possible or mode == PreviewMode.Off:
            self._controller.setMode(PreviewMode.Off, None)
            return
        try:
            options, mask = panel.applyOptions(), panel.maskKeywords()
        except MedGANError as error:
            self._controller.setMode(PreviewMode.Off, None)
            self._onStatus(str(error))
            return
        self._controller.setContext(panel.effect, panel.bundle, panel.source, options, mask, parameters.device)
        self._controller.setMode(mode, parameters.previewRoi if mode == PreviewMode.Roi else None, byUser)

    def leave(self) -> None:
        self._arrived = False
        self._controller.setMode(PreviewMode.Off, None)
        self.ui.previewToggleButton.checked = False

    def cleanup(self) -> None:
        self._controller.cleanup()

    def _enable(self, possible: bool, mode) -> None:
        on = possible and mode != PreviewMode.Off
        self.ui.previewModeComboBox.enabled = possible
        self.ui.previewRoiSelector.enabled = possible and mode == PreviewMode.Roi
        self.ui.previewOpacitySliderWidget.enabled = on
        self.ui.previewToggleButton.enabled = on
        toolTip = _("Compute the result for what is on the screen only, and show it there as foreground.")
        self.ui.previewModeComboBox.toolTip = self.panel.obstacle() or toolTip
        if not on:
            self.ui.previewToggleButton.checked = False
            self.ui.previewStatusLabel.text = ""

    def _onToggled(self, pressed: bool) -> None:
        self._controller.showSource(pressed)

    def _onStatus(self, text: str) -> None:
        self.ui.previewStatusLabel.text = html.escape(text, quote=False)

    def _onRoiAdded(self, node) -> None:
        placeRoi(node, self.panel.source)
