"""Which widget can show which type of parameter, chosen by the exact widget class as in Slicer."""

import enum
import pathlib

import slicer

from .parameter_types import (
    Choice,
    Decimals,
    Default,
    FloatRange,
    Maximum,
    Minimum,
    RangeBounds,
    SingleStep,
    WithinRange,
    firstAnnotation,
    optionalInner,
    splitAnnotations,
)


class GuiConnector:
    """Reads and writes one widget; ``signal`` is what it emits after a change."""

    signal = ""

    def __init__(self, widget, datatype):
        self.widget, self.datatype = widget, datatype
        self._callback = None
        self.prepare()

    def prepare(self):
        """Bring the widget in line with the annotations of the type."""

    def connect(self, callback):
        self._callback = callback
        if self.signal:
            getattr(self.widget, self.signal).connect(self.changed)

    def disconnect(self):
        if self.signal and self._callback is not None and self.widget:
            getattr(self.widget, self.signal).disconnect(self.changed)
        self._callback = None

    def changed(self):
        if self._callback is not None:
            self._callback()


class PropertyConnector(GuiConnector):
    """The value is a property of the widget."""

    propertyName = ""

    def read(self):
        return getattr(self.widget, self.propertyName)

    def write(self, value):
        if value != self.read():
            setattr(self.widget, self.propertyName, value)


class CheckBoxConnector(PropertyConnector):
    signal, propertyName = "toggled", "checked"

    def prepare(self):
        self.widget.checkable = True


class NumberConnector(PropertyConnector):
    signal, propertyName = "valueChanged", "value"
    needsBounds = False
    unbounded = (float("-inf"), float("inf"))

    def prepare(self):
        kind = splitAnnotations(self.datatype)[0]
        self.kind = kind
        self._prepareSteps(kind)
        within = firstAnnotation(self.datatype, WithinRange)
        least, most = firstAnnotation(self.datatype, Minimum), firstAnnotation(self.datatype, Maximum)
        if within is None and (least is None or most is None) and self.needsBounds:
            name, text = type(self.widget).__name__, "int type" if kind is int else "float types"
            raise RuntimeError(f"Cannot have a connection to {name} where the {text} is unbounded.")
        self.widget.minimum = within.minimum if within else least.minimum if least else self.unbounded[0]
        self.widget.maximum = within.maximum if within else most.maximum if most else self.unbounded[1]

    def _prepareSteps(self, kind):
        decimals, step = firstAnnotation(self.datatype, Decimals), firstAnnotation(self.datatype, SingleStep)
        if hasattr(self.widget, "decimals") and (kind is int or decimals is not None):
            self.widget.decimals = 0 if kind is int else decimals.value
        if step is not None:
            self.widget.singleStep = step.value

    def read(self):
        return self.kind(self.widget.value)


class IntegerConnector(NumberConnector):
    unbounded = (-(2**31), 2**31 - 1)


class BoundedIntegerConnector(IntegerConnector):
    needsBounds = True


class BoundedNumberConnector(NumberConnector):
    needsBounds = True


class ChoiceConnector(GuiConnector):
    """A combo box with the choices, or the members of an Enum."""

    signal = "currentIndexChanged"

    def prepare(self):
        kind = splitAnnotations(self.datatype)[0]
        choice = firstAnnotation(self.datatype, Choice)
        if issubclass(kind, enum.Enum):
            label = getattr(kind, "label", lambda member: member.name)
            self.values, texts = list(kind), [label(member) for member in kind]
        elif choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        else:
            self.values, texts = list(choice.choices), [str(value) for value in choice.choices]
        self.widget.clear()
        self.widget.addItems(texts)

    def read(self):
        return self.values[self.widget.currentIndex]

    def write(self, value):
        self.widget.currentIndex = self.values.index(value)


class LineEditConnector(PropertyConnector):
    signal, propertyName = "textChanged", "text"


class LabelConnector(PropertyConnector):
    propertyName = "text"


class TextEditConnector(PropertyConnector):
    signal, propertyName = "textChanged", "plainText"


class RangeConnector(GuiConnector):
    signal = "valuesChanged"

    def prepare(self):
        bounds = firstAnnotation(self.datatype, RangeBounds)
        if bounds is None:
            raise RuntimeError(
                "Cannot have a connection to a range widget where the float is unbounded. Add a RangeBounds annotation."
            )
        if firstAnnotation(self.datatype, Default) is None:
            bounds.validate(
                0
            )  # Slicer's own check, which fails: AttributeError: 'int' object has no attribute 'minimum'
        self.widget.setRange(bounds.minimum, bounds.maximum)

    def read(self):
        return FloatRange(self.widget.minimumValue, self.widget.maximumValue)

    def write(self, value):
        self.widget.setValues(value.minimum, value.maximum)


class PathConnector(PropertyConnector):
    signal, propertyName = "currentPathChanged", "currentPath"

    def read(self):
        return splitAnnotations(self.datatype)[0](getattr(self.widget, self.propertyName))

    def write(self, value):
        setattr(self.widget, self.propertyName, str(value))


class DirectoryConnector(PathConnector):
    signal, propertyName = "directoryChanged", "directory"


class NodeConnector(GuiConnector):
    signal = "currentNodeChanged"

    def prepare(self):
        kind = splitAnnotations(self.datatype)[0]
        self.widget.nodeTypes = [(optionalInner(kind) or kind).__name__]

    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)


_TEXT_OR_NUMBER = (int, float, str, bool)
# Widget class -> [(types, connector)], tried in order.
_CONNECTORS = {
    "QCheckBox": [((bool,), CheckBoxConnector)],
    "ctkCheckBox": [((bool,), CheckBoxConnector)],
    "QPushButton": [((bool,), CheckBoxConnector)],
    "ctkCheckablePushButton": [((bool,), CheckBoxConnector)],
    "QSlider": [((int,), BoundedIntegerConnector)],
    "QSpinBox": [((int,), IntegerConnector)],
    "QDoubleSpinBox": [((float, int), NumberConnector)],
    "ctkSliderWidget": [((float, int), BoundedNumberConnector)],
    "qMRMLSliderWidget": [((float, int), BoundedNumberConnector)],
    "QComboBox": [((enum.Enum, *_TEXT_OR_NUMBER), ChoiceConnector)],
    "ctkComboBox": [((enum.Enum, *_TEXT_OR_NUMBER), ChoiceConnector)],
    "QLineEdit": [((str,), LineEditConnector)],
    "QLabel": [((str,), LabelConnector)],
    "QTextEdit": [((str,), TextEditConnector)],
    "ctkRangeWidget": [((FloatRange,), RangeConnector)],
    "ctkDoubleRangeSlider": [((FloatRange,), RangeConnector)],
    "ctkPathLineEdit": [((pathlib.PurePath,), PathConnector)],
    "ctkDirectoryButton": [((pathlib.PurePath,), DirectoryConnector)],
    "qMRMLNodeComboBox": [((slicer.vtkMRMLNode,), NodeConnector)],
}


def createGuiConnector(widget, datatype):
    """The connector for a widget and a type; RuntimeError when they do not fit."""
    kind = splitAnnotations(datatype)[0]
    kind = optionalInner(kind) or kind
    for kinds, connector in _CONNECTORS.get(type(widget).__name__, ()):
        exact = kind in kinds
        derived = isinstance(kind, type) and issubclass(kind, kinds) and kind not in _TEXT_OR_NUMBER
        if exact or derived:
            return connector(widget, datatype)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'.")
