"""The CTK widgets that modules use, with the documented properties and signals."""

from .fields import field
from .native_qt import QtCore, QtWidgets
from .qt_special import registerHostClass


@registerHostClass
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A section with a title that folds; checked means open."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *args):
        texts = [a for a in args if isinstance(a, str)]
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self.setText(texts[0] if texts else "")
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._showContents)

    def _showContents(self, opened):
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(opened)
        self.contentsCollapsed.emit(not opened)

    def _setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), _setCollapsed)

    def paintEvent(self, event):
        """Nothing is drawn."""


@registerHostClass
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box that folds; checked means open."""

    def __init__(self, *args):
        super().__init__(*args)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._showContents)

    def _showContents(self, opened):
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(opened)

    def _setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), _setCollapsed)


@registerHostClass
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box, for floating point values."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._spinBox = QtWidgets.QDoubleSpinBox(self)
        self._spinBox.setObjectName("SpinBox")
        self._spinBox.setRange(0.0, 99.99)
        self._spinBox.setSingleStep(1.0)
        self._spinBox.valueChanged.connect(self.valueChanged)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setObjectName("hboxLayout")
        layout.addWidget(self._spinBox)

    def _spinBoxProperty(kind, getter, setter):
        def read(self):
            return getattr(self._spinBox, getter)()

        def write(self, value):
            getattr(self._spinBox, setter)(value)

        return QtCore.Property(kind, read, write)

    value = _spinBoxProperty(float, "value", "setValue")
    minimum = _spinBoxProperty(float, "minimum", "setMinimum")
    maximum = _spinBoxProperty(float, "maximum", "setMaximum")
    singleStep = _spinBoxProperty(float, "singleStep", "setSingleStep")
    decimals = _spinBoxProperty(int, "decimals", "setDecimals")
    prefix = _spinBoxProperty(str, "prefix", "setPrefix")
    suffix = _spinBoxProperty(str, "suffix", "setSuffix")
    pageStep = field(float, "pageStep", 10.0)
    tracking = field(bool, "tracking", True)
    spinBoxVisible = field(bool, "spinBoxVisible", True)

    def reset(self):
        self._spinBox.setValue(min(max(0.0, self._spinBox.minimum()), self._spinBox.maximum()))


@registerHostClass
class ctkRangeWidget(QtWidgets.QWidget):
    """Two values within bounds, the smaller first."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._bounds, self._values = (0.0, 99.0), (0.0, 99.0)

    def setRange(self, minimum, maximum):
        self._bounds = (min(minimum, maximum), max(minimum, maximum))
        self.rangeChanged.emit(*self._bounds)
        self.setValues(*self._values)

    def setValues(self, lower, upper):
        ordered = sorted((lower, upper))
        values = tuple(min(max(float(v), self._bounds[0]), self._bounds[1]) for v in ordered)
        if values != self._values:
            before, self._values = self._values, values
            for signal, old, new in zip(self._valueSignals(), before, values, strict=True):
                if old != new:
                    signal.emit(new)
            self.valuesChanged.emit(*values)

    def _valueSignals(self):
        return self.minimumValueChanged, self.maximumValueChanged

    minimumValue = QtCore.Property(
        float, lambda self: self._values[0], lambda self, v: self.setValues(min(v, self._values[1]), self._values[1])
    )
    maximumValue = QtCore.Property(
        float, lambda self: self._values[1], lambda self, v: self.setValues(self._values[0], max(v, self._values[0]))
    )
    minimum = QtCore.Property(float, lambda self: self._bounds[0], lambda self, v: self.setRange(v, self._bounds[1]))
    maximum = QtCore.Property(float, lambda self: self._bounds[1], lambda self, v: self.setRange(self._bounds[0], v))
    decimals = field(int, "decimals", 2)
    singleStep = field(float, "singleStep", 1.0)
    prefix = field(str, "prefix", "")
    suffix = field(str, "suffix", "")


@registerHostClass
class ctkPathLineEdit(QtWidgets.QWidget):
    """A line with the path of a file or folder."""

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    def _pathChanged(self):
        self.currentPathChanged.emit(self.currentPath)
        self.validInputChanged.emit(bool(self.currentPath))

    currentPath = field(str, "currentPath", "", _pathChanged)
    filters = field(int, "filters", 0x6001)
    nameFilters = field("QStringList", "nameFilters", [])
    settingKey = field(str, "settingKey", "")
    showHistoryButton = field(bool, "showHistoryButton", True)

    def addCurrentPathToHistory(self):
        """The stand-in keeps no history."""


@registerHostClass
class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and lets the user choose another."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def _setDirectory(self, path):
        absolute = QtCore.QDir(path).absolutePath()
        changed = absolute != self.directory
        self._directory = absolute
        if changed:
            self.directoryChanged.emit(absolute)
        self.directorySelected.emit(absolute)

    directory = QtCore.Property(str, lambda self: getattr(self, "_directory", QtCore.QDir.currentPath()), _setDirectory)
    caption = field(str, "caption", "")


@registerHostClass
class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box."""


@registerHostClass
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for 'nothing chosen'."""

    defaultText = field(str, "defaultText", "")


@registerHostClass
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box."""
