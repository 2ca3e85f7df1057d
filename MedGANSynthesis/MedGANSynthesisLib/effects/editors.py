"""One editor per kind of parameter: a widget, its value, and word of what the user changes."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from .parameters import isTriple, nodeClass

_WIDEST = 1e6
_STEPS = 100


def makeEditor(effect, field, onChanged: Callable[[Any], None]) -> Editor:
    """The editor for a field of ``effect.Parameters``.

    Args:
        onChanged: called with the new value after the user, or ``setValue``, changed what the widget shows.

    Raises:
        TypeError: there is no editor for values of this type.
    """
    kind = typing.get_type_hints(effect.Parameters)[field.name]
    if nodeClass(kind) is not None:
        return NodeEditor(nodeClass(kind), onChanged)
    if isTriple(kind):
        return TripleEditor(field.metadata, onChanged)
    if kind is str and field.metadata["choices"]:
        titles = {value: effect.choiceTitle(field.name, value) for value in field.metadata["choices"]}
        return ChoiceEditor(titles, onChanged)
    simple = {bool: BoolEditor, int: IntEditor, float: FloatEditor, str: TextEditor}
    if kind not in simple:
        raise TypeError(f"There is no editor for the parameter {field.name} of {effect.key}, which is a {kind}.")
    return simple[kind](field.metadata, onChanged)


class Editor:
    """What all editors can do. Setting a value may call ``onChanged``, which its owner has to ignore then."""

    def setValue(self, value: Any) -> None:
        """Show a value."""

    def setBundle(self, bundle) -> None:
        """The model the value is for; None for none."""

    def setSourceVolume(self, volumeNode) -> None:
        """The volume the value is for; None for none."""

    def cleanup(self) -> None:
        """Let go of nodes."""


class BoolEditor(Editor):
    """A check box."""

    def __init__(self, metadata, onChanged):
        self.widget = qt.QCheckBox()
        self.widget.connect("toggled(bool)", onChanged)

    def setValue(self, value):
        self.widget.checked = value


class IntEditor(Editor):
    """A spin box for whole numbers."""

    def __init__(self, metadata, onChanged):
        self.widget = qt.QSpinBox()
        low, high = metadata["minimum"], metadata["maximum"]
        self.widget.setRange(int(-_WIDEST if low is None else low), int(_WIDEST if high is None else high))
        self.widget.suffix = _suffix(metadata)
        self.widget.keyboardTracking = False
        self.widget.connect("valueChanged(int)", onChanged)

    def setValue(self, value):
        self.widget.value = value


class FloatEditor(Editor):
    """A slider where both ends are known, else a spin box."""

    def __init__(self, metadata, onChanged):
        low, high = metadata["minimum"], metadata["maximum"]
        bounded = low is not None and high is not None
        self.widget = ctk.ctkSliderWidget() if bounded else qt.QDoubleSpinBox()
        if not bounded:
            self.widget.keyboardTracking = False  # or typing 125 would ask for 1 and 12 first
        self.widget.decimals = 2 if bounded and high - low >= 1 else 4
        self.widget.maximum = float(_WIDEST if high is None else high)
        self.widget.minimum = float(-_WIDEST if low is None else low)
        if bounded:
            self.widget.singleStep = (high - low) / _STEPS
            self.widget.pageStep = (high - low) / 10
        self.widget.suffix = _suffix(metadata)
        self.widget.connect("valueChanged(double)", onChanged)

    def setValue(self, value):
        self.widget.value = value


class TextEditor(Editor):
    """A line of text."""

    def __init__(self, metadata, onChanged):
        self.widget = qt.QLineEdit()
        self.widget.connect("editingFinished()", lambda: onChanged(self.widget.text))

    def setValue(self, value):
        if self.widget.text != value:  # setting it moves the cursor
            self.widget.text = value


class ChoiceEditor(Editor):
    """A list of words for the values."""

    def __init__(self, titles: dict[str, str], onChanged):
        self._values = list(titles)
        self.widget = qt.QComboBox()
        self.widget.addItems(list(titles.values()))
        self.widget.connect("currentIndexChanged(int)", lambda index: onChanged(self._values[index]))

    def setValue(self, value):
        self.widget.currentIndex = self._values.index(value)


class NodeEditor(Editor):
    """A node of the scene, or none."""

    def __init__(self, className: str, onChanged):
        self.widget = slicer.qMRMLNodeComboBox()
        self.widget.nodeTypes = [className]
        self.widget.showChildNodeTypes = False
        self.widget.noneEnabled = True
        self.widget.addEnabled = self.widget.removeEnabled = False
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.widget.connect("currentNodeChanged(vtkMRMLNode*)", onChanged)

    def setValue(self, value):
        self.widget.setCurrentNode(value)

    def cleanup(self):
        self.widget.setMRMLScene(None)


class TripleEditor(Editor):
    """Three lengths along i, j, k, or what the model makes of the source (None)."""

    def __init__(self, metadata, onChanged):
        self._onChanged = onChanged
        self._scale, self._spacingMm = (1, 1, 1), None
        self.widget = qt.QWidget()
        layout = qt.QGridLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self._automatic = qt.QCheckBox(_("As the model makes it"))
        self._automatic.objectName = "automatic"
        layout.addWidget(self._automatic, 0, 0, 1, 3)
        self._boxes = []
        for axis in range(3):
            box = qt.QDoubleSpinBox()
            box.objectName = "ijk"[axis]
            box.decimals = 4
            box.setRange(0.001, 1000.0)
            box.singleStep = 0.1
            box.suffix = _suffix(metadata)
            box.keyboardTracking = False
            box.connect("valueChanged(double)", self._changed)
            layout.addWidget(box, 1, axis)
            self._boxes.append(box)
        self._automatic.connect("toggled(bool)", self._changed)

    def setValue(self, value):
        self._automatic.checked = value is None
        for box, number in zip(self._boxes, self._proposal() if value is None else value, strict=True):
            box.value = number
            box.enabled = value is not None

    def setBundle(self, bundle):
        self._scale = bundle.manifest.network.scale if bundle is not None else (1, 1, 1)

    def setSourceVolume(self, volumeNode):
        self._spacingMm = volumeNode.GetSpacing() if volumeNode is not None else None

    def _proposal(self) -> list[float]:
        """What the model makes of the source; the network's factors are along (k, j, i)."""
        spacingMm = self._spacingMm or (1.0, 1.0, 1.0)
        return [step / factor for step, factor in zip(spacingMm, reversed(self._scale), strict=True)]

    def _changed(self, _value=None):
        self._onChanged(None if self._automatic.checked else tuple(box.value for box in self._boxes))


def _suffix(metadata) -> str:
    return f" {metadata['unit']}" if metadata["unit"] else ""
