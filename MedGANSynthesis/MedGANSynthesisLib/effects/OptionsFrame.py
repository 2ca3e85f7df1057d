"""OptionsFrame: the widgets for the parameters of one effect, bound to the module's parameter node."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from .editors import makeEditor
from .parameters import readParameters, writeParameter


class OptionsFrame:
    """A form with a row per parameter.

    What the user changes is stored on the parameter node at once; call ``refresh`` when something else changed that.

    Args:
        effect: whose parameters to show; its ``setupOptionsFrame`` fills the form.
        parameterNode: the module's vtkMRMLScriptedModuleNode.
        onChanged: called with the name of the parameter after the user changed it.

    Attributes:
        widget: the QWidget to put into a layout.
    """

    def __init__(self, effect, parameterNode, onChanged: Callable[[str], None] | None = None):
        self.effect, self.parameterNode = effect, parameterNode
        self.widget = qt.QWidget()
        self._layout = qt.QFormLayout(self.widget)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._onChanged = onChanged
        self._editors: dict = {}
        self._labels: dict = {}
        self._bundle = None
        self._updating = False
        effect.setupOptionsFrame(self)
        self.refresh()

    def setBundle(self, bundle) -> None:
        """Enable what means something for a model; None disables all."""
        self._bundle = bundle
        self.refresh()

    def setSourceVolume(self, volumeNode) -> None:
        """The volume whose spacing the target spacing is proposed from; None for none."""
        for editor in self._editors.values():
            editor.setSourceVolume(volumeNode)
        self.refresh()

    def addParameter(self, name: str) -> None:
        """Append a row for a parameter. Raises KeyError: the effect has no such parameter."""
        field = self.effect.Parameters.__dataclass_fields__[name]
        editor = makeEditor(self.effect, field, lambda value: self._store(name, value))
        label = qt.QLabel(_("{parameter}:").format(parameter=field.metadata["label"]))
        self._layout.addRow(label, editor.widget)
        self._editors[name], self._labels[name] = editor, label

    def addWidget(self, label: str, widget) -> None:
        """Append a row with any widget."""
        self._layout.addRow(label, widget)

    def editor(self, name: str):
        """The widget that edits a parameter. Raises KeyError: there is no row for it."""
        return self._editors[name].widget

    def refresh(self) -> None:
        """Show what the parameter node holds."""
        if self.widget is None:
            return
        values = readParameters(self.effect, self.parameterNode)
        available = self.effect.available(self._bundle) if self._bundle is not None else set()
        relevant = self.effect.relevant(values)
        self._updating = True
        try:
            for name, editor in self._editors.items():
                editor.setBundle(self._bundle)
                editor.setValue(getattr(values, name))
                enabled = name in available & relevant
                editor.widget.enabled = self._labels[name].enabled = enabled
                self._explain(name, name in available)
        finally:
            self._updating = False

    def cleanup(self) -> None:
        """Let go of widgets and nodes, also when a widget of the frame itself is what led here."""
        if self.widget is None:
            return
        widget = self.widget
        self._updating = True
        for editor in self._editors.values():
            editor.cleanup()
        widget.setParent(None)
        # Without parent it lives only as long as its last reference, which has to outlive the signal of its own child.
        qt.QTimer.singleShot(0, lambda: widget.deleteLater())
        self.widget = self._onChanged = self._bundle = None
        self._editors, self._labels = {}, {}

    def _store(self, name: str, value) -> None:
        if self._updating:
            return
        writeParameter(self.effect, self.parameterNode, name, value)
        self.refresh()  # one may switch another on or off
        if self._onChanged is not None:
            self._onChanged(name)

    def _explain(self, name: str, isAvailable: bool) -> None:
        text = self.effect.Parameters.__dataclass_fields__[name].metadata["help"]
        if not isAvailable and self._bundle is not None:
            text = f"{text} {_('The chosen model has no use for it.')}"
        for widget in (self._editors[name].widget, self._labels[name]):
            widget.toolTip = text
