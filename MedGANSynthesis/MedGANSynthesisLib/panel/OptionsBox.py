"""OptionsBox: the options of the active effect, and its life: activated when chosen, deactivated when left."""

from __future__ import annotations

from slicer.i18n import tr as _

from .Box import Box


class OptionsBox(Box):
    """Shows help and options of the effect that is active."""

    def __init__(self, panel):
        super().__init__(panel)
        self._effect = None
        self._frame = None
        self._touched: dict = {}  # effects this panel has activated, to be cleaned up with it

    def update(self) -> None:
        effect = self.panel.effect
        if effect is not self._effect:
            self.leave()
            if effect is not None:
                self._enter(effect)
        self._showHelp()
        if self._frame is not None:
            self._frame.setBundle(self.panel.bundle)
            self._frame.setSourceVolume(self.panel.source)
            self._frame.refresh()

    def leave(self) -> None:
        effect, self._effect = self._effect, None
        frame, self._frame = self._frame, None
        if frame is not None:
            self.ui.optionsFrame.layout().removeWidget(frame.widget)
            frame.cleanup()
        if effect is not None:
            effect.deactivate()

    def cleanup(self) -> None:
        self.leave()
        for effect in self._touched.values():
            effect.cleanup()
        self._touched = {}

    def _enter(self, effect) -> None:
        from ..effects.OptionsFrame import OptionsFrame

        self._effect = self._touched[effect.key] = effect
        self._frame = OptionsFrame(effect, self.panel.parameters.parameterNode)
        self.ui.optionsFrame.layout().addWidget(self._frame.widget)
        effect.activate(self.panel.moduleWidget)

    def _showHelp(self) -> None:
        effect = self._effect
        self.ui.effectOptionsGroupBox.title = effect.title if effect is not None else _("No effect")
        self.ui.effectHelpLabel.text = effect.helpText if effect is not None else _("Choose an effect above.")
