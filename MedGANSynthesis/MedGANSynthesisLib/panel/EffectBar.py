"""EffectBar: the grid of effect buttons, of which one is pressed: an effect, or "None"."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from .Box import Box

COLUMNS = 4
_NONE_ICON = Path(__file__).parents[2] / "Resources" / "Icons" / "None.png"


class EffectBar(Box):
    """One button for each registered effect, also those that other extensions registered, and "None" first."""

    def __init__(self, panel):
        super().__init__(panel)
        self._keys: list[str] = []
        self._buttons: list = []
        self._group = qt.QButtonGroup(self.ui.effectsFrame)
        self._group.connect("idClicked(int)", self._onClicked)

    def update(self) -> None:
        effects = self.panel.registry.effects()
        keys = ["", *(effect.key for effect in effects)]
        if keys != self._keys:
            self._rebuild(keys, effects)
        key = self.panel.effect.key if self.panel.effect is not None else ""
        self._buttons[keys.index(key)].checked = True

    def _rebuild(self, keys: list[str], effects) -> None:
        for button in self._buttons:
            self._group.removeButton(button)
            self.ui.effectsFrame.layout().removeWidget(button)
            button.setParent(None)
        self._keys = keys
        noEffect = self._button(_("None"), _("No effect: nothing is computed or previewed."), str(_NONE_ICON))
        self._buttons = [
            noEffect,
            *(self._button(effect.title, effect.helpText, effect.iconPath) for effect in effects),
        ]
        for index, (key, button) in enumerate(zip(keys, self._buttons, strict=True)):
            button.objectName = f"{key or 'none'}EffectButton"
            self._group.addButton(button, index)
            self.ui.effectsFrame.layout().addWidget(button, index // COLUMNS, index % COLUMNS)

    def _button(self, title: str, toolTip: str, iconPath: str):
        button = qt.QToolButton(self.ui.effectsFrame)
        button.checkable = True
        button.text = title
        button.toolTip = toolTip
        button.accessibleName = title  # what screen readers say
        button.setIcon(qt.QIcon(iconPath))
        button.setIconSize(qt.QSize(32, 32))
        button.setToolButtonStyle(qt.Qt.ToolButtonTextUnderIcon)
        button.setSizePolicy(qt.QSizePolicy.MinimumExpanding, qt.QSizePolicy.Preferred)  # all of the same width
        return button

    def _onClicked(self, index: int) -> None:
        if self.panel.parameters is not None:
            self.panel.parameters.effect = self._keys[index]
