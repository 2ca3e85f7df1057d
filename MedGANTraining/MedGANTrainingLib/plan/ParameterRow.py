"""ParameterRow: one parameter of a recipe: its label, the editor of its value, and the way back to the preset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from MedGANSynthesisLib.effects.editors import BoolEditor, ChoiceEditor, TextEditor
from slicer.i18n import tr as _


class ParameterRow:
    """A row of the form.

    Args:
        field: of the recipe, with its metadata. kind: type of its values.
        onEdited: called with name and value; numbers come as the text that was typed, for a spin box would round them.
        onReset: called with the name.

    Attributes:
        label, widget: for the form's layout. editor: what is edited. resetButton: back to the preset.
        value: what is shown. changed: whether the user set it.
    """

    def __init__(self, field, kind: type, onEdited: Callable[[str, Any], None], onReset: Callable[[str], None]):
        self.name, self._facts = field.name, field.metadata
        self.value, self.changed = field.default, False
        self.label = qt.QLabel()
        self._editor = self._makeEditor(kind, lambda value: onEdited(field.name, value))
        self.editor = self._editor.widget
        self.editor.objectName = f"{field.name}Editor"
        self.resetButton = qt.QToolButton()
        self.resetButton.objectName = f"{field.name}ResetButton"
        self.resetButton.setIcon(qt.QIcon(":/Icons/Small/SlicerUndo.png"))
        self.resetButton.autoRaise = True
        self.resetButton.connect("clicked()", lambda: onReset(field.name))
        self.widget = qt.QWidget()
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.editor, 1)
        layout.addWidget(self.resetButton)

    def show(self, preset: Any, value: Any, changed: bool, reason: str) -> None:
        """Show a value: the user's, or the plan's with its reason, or the preset's."""
        self.value, self.changed = value, changed
        self.showValue()
        unit = f" ({self._facts['unit']})" if self._facts["unit"] else ""
        text = _("{parameter}{unit}:").format(parameter=self._facts["label"], unit=unit)
        self.label.text = f"<b>{text}</b>" if changed else text
        lines = [self._facts["help"], _limits(self._facts)]
        if changed:
            lines.append(_("You set this; the preset has {value}.").format(value=asText(preset)))
        elif reason:
            lines.append(_("The preset has {value}; changed by the plan: {reason}.").format(
                value=asText(preset), reason=reason
            ))  # fmt: skip
        toolTip = " ".join(filter(None, lines))
        self.label.toolTip = self.editor.toolTip = toolTip
        self.resetButton.enabled = changed
        self.resetButton.toolTip = _("Back to {value}, which the preset has.").format(value=asText(preset))

    def showValue(self) -> None:
        """Show the value again, after something was typed that is none."""
        self._editor.setValue(asText(self.value) if isinstance(self._editor, TextEditor) else self.value)

    def matches(self, words: list[str]) -> bool:
        """Whether all the words, in lower case, are in name, label or help."""
        text = " ".join((self.name, self.name.replace("_", " "), self._facts["label"], self._facts["help"])).casefold()
        return all(word in text for word in words)

    def setVisible(self, visible: bool) -> None:
        """Show or hide the row."""
        self.label.visible = self.widget.visible = visible

    def _makeEditor(self, kind: type, onChanged: Callable[[Any], None]):
        if self._facts["choices"]:
            return ChoiceEditor({value: str(value) for value in self._facts["choices"]}, onChanged)
        return (BoolEditor if kind is bool else TextEditor)(self._facts, onChanged)


def asText(value: Any) -> str:
    """A value as people write it: 0.0005, not 5e-4 rounded to two places.

    >>> asText(0.0005), asText(2e-5), asText(100.0), asText(True)
    ('0.0005', '2e-05', '100', 'yes')
    """
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _limits(facts) -> str:
    low, high = facts["minimum"], facts["maximum"]
    if low is not None and high is not None:
        return _("Allowed: {low} to {high}.").format(low=f"{low:.10g}", high=f"{high:.10g}")
    if low is not None:
        return _("Allowed: {low} and more.").format(low=f"{low:.10g}")
    return ""
