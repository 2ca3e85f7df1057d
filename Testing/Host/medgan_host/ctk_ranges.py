"""``ctkDoubleRangeSlider`` and ``ctkRangeWidget``: two values within bounds, the smaller first."""

from .fields import field
from .native_qt import QtCore, QtGui, QtWidgets
from .qt_special import registerHostClass

_LENGTH = 1000  # positions that the painted slider tells apart


@registerHostClass
class ctkDoubleRangeSlider(QtWidgets.QWidget):
    """A slider with two handles."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)
    sliderPressed = QtCore.Signal()
    sliderReleased = QtCore.Signal()

    def __init__(self, *args):
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self._bounds, self._values, self._dragged = (0.0, 99.0), (0.0, 99.0), None
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Fixed)

    def setRange(self, minimum, maximum):
        bounds = (float(min(minimum, maximum)), float(max(minimum, maximum)))
        if bounds != self._bounds:
            self._bounds = bounds
            self.setValues(*self._values)
            self.rangeChanged.emit(*bounds)

    def setValues(self, lower, upper):
        low, high = self._bounds
        values = tuple(min(max(float(value), low), high) for value in sorted((lower, upper)))
        if values != self._values:
            before, self._values = self._values, values
            self.update()
            self.valuesChanged.emit(*values)
            for signal, old, new in zip(
                (self.minimumValueChanged, self.maximumValueChanged), before, values, strict=True
            ):
                if old != new:
                    signal.emit(new)

    minimum = QtCore.Property(float, lambda self: self._bounds[0], lambda self, v: self.setRange(v, self._bounds[1]))
    maximum = QtCore.Property(float, lambda self: self._bounds[1], lambda self, v: self.setRange(self._bounds[0], v))
    minimumValue = QtCore.Property(
        float, lambda self: self._values[0], lambda self, v: self.setValues(v, max(v, self._values[1]))
    )
    maximumValue = QtCore.Property(
        float, lambda self: self._values[1], lambda self, v: self.setValues(min(v, self._values[0]), v)
    )
    singleStep = field(float, "singleStep", 1.0)
    tracking = field(bool, "tracking", True)

    # --- drawing and dragging

    def sizeHint(self):
        return QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal).sizeHint()

    def minimumSizeHint(self):
        return QtCore.QSize(40, self.sizeHint().height())

    def _option(self, value):
        option = QtWidgets.QStyleOptionSlider()
        option.initFrom(self)
        low, high = self._bounds
        option.orientation = QtCore.Qt.Orientation.Horizontal
        option.state |= QtWidgets.QStyle.StateFlag.State_Horizontal
        option.minimum, option.maximum = 0, _LENGTH
        option.sliderPosition = option.sliderValue = round(_LENGTH * (value - low) / (high - low)) if high > low else 0
        return option

    def _handle(self, value):
        part = QtWidgets.QStyle.SubControl.SC_SliderHandle
        return self.style().subControlRect(QtWidgets.QStyle.ComplexControl.CC_Slider, self._option(value), part, self)

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        control, part = QtWidgets.QStyle.ComplexControl.CC_Slider, QtWidgets.QStyle.SubControl
        option = self._option(self._bounds[0])
        option.subControls = part.SC_SliderGroove
        self.style().drawComplexControl(control, option, painter, self)
        left, right = (self._handle(value).center() for value in self._values)
        between = QtCore.QRect(left.x(), left.y() - 2, right.x() - left.x(), 4)
        painter.fillRect(between, self.palette().highlight() if self.isEnabled() else self.palette().mid())
        for value in self._values:
            option = self._option(value)
            option.subControls = part.SC_SliderHandle
            self.style().drawComplexControl(control, option, painter, self)
        painter.end()

    def _valueAt(self, x):
        handle = self._handle(self._bounds[0])
        length = max(1, self.width() - handle.width())
        low, high = self._bounds
        steps = round((high - low) * (x - handle.width() / 2) / length / (self._singleStepOrOne()))
        return low + steps * self._singleStepOrOne()

    def _singleStepOrOne(self):
        return getattr(self, "_singleStep", 1.0) or 1.0

    def mousePressEvent(self, event):
        x = event.position().x()
        distances = [abs(x - self._handle(value).center().x()) for value in self._values]
        self._dragged = distances.index(min(distances))
        self.sliderPressed.emit()

    def mouseMoveEvent(self, event):
        if self._dragged == 0:
            self.setValues(min(self._valueAt(event.position().x()), self._values[1]), self._values[1])
        elif self._dragged == 1:
            self.setValues(self._values[0], max(self._valueAt(event.position().x()), self._values[0]))

    def mouseReleaseEvent(self, event):
        self._dragged = None
        self.sliderReleased.emit()


@registerHostClass
class ctkRangeWidget(QtWidgets.QWidget):
    """A range slider between two spin boxes; the values have as many decimals as the spin boxes show."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._tracking, self._before, self._announced = True, None, (0.0, 99.0)
        self._spinBoxes = []
        layout = QtWidgets.QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for name in ("MinimumSpinBox", "MaximumSpinBox"):
            box = QtWidgets.QDoubleSpinBox(self)
            box.setObjectName(name)
            box.valueChanged.connect(self._onSpinBox)
            self._spinBoxes.append(box)
        self._slider = ctkDoubleRangeSlider(self)
        self._slider.setObjectName("Slider")
        for column, part in enumerate((self._spinBoxes[0], self._slider, self._spinBoxes[1])):
            layout.addWidget(part, 0, column)
        layout.setColumnStretch(1, 1)
        self._show()
        self._slider.valuesChanged.connect(self._onSlider)
        self._slider.sliderPressed.connect(self._startChanging)
        self._slider.sliderReleased.connect(self._stopChanging)

    def _show(self):
        """Let the spin boxes show what the slider has, each limited by the other."""
        (low, high), (lower, upper) = self._slider._bounds, self._slider._values
        for box, bounds, value in zip(self._spinBoxes, ((low, upper), (lower, high)), (lower, upper), strict=True):
            box.blockSignals(True)
            box.setRange(*bounds)
            box.setValue(value)
            box.blockSignals(False)

    def _onSpinBox(self, _value):
        self._slider.setValues(*[box.value() for box in self._spinBoxes])

    def _onSlider(self, lower, upper):
        self._show()
        if self._before is None:
            self._announce()

    def _announce(self):
        before, values = self._announced, self._slider._values
        if values == before:
            return
        self._announced = values
        self.valuesChanged.emit(*values)
        for signal, old, new in zip((self.minimumValueChanged, self.maximumValueChanged), before, values, strict=True):
            if old != new:
                signal.emit(new)

    def _startChanging(self):
        if not self._tracking:
            self._before = self._slider._values

    def _stopChanging(self):
        self._before = None
        self._announce()

    def _rounded(self, *values):
        return [round(float(value), self._spinBoxes[0].decimals()) for value in values]

    def setRange(self, minimum, maximum):
        before = self._slider._bounds
        self._slider.setRange(*self._rounded(minimum, maximum))
        self._show()
        if self._slider._bounds != before:
            self.rangeChanged.emit(*self._slider._bounds)

    def setValues(self, lower, upper):
        self._slider.setValues(*self._rounded(lower, upper))

    def _setMinimumValue(self, value):
        self._spinBoxes[0].setValue(value)

    def _setMaximumValue(self, value):
        self._spinBoxes[1].setValue(value)

    def _now(self):
        return self._before if self._before is not None else self._slider._values

    minimumValue = QtCore.Property(float, lambda self: self._now()[0], _setMinimumValue)
    maximumValue = QtCore.Property(float, lambda self: self._now()[1], _setMaximumValue)
    minimum = QtCore.Property(float, lambda self: self._slider._bounds[0], lambda self, v: self._setBound(0, v))
    maximum = QtCore.Property(float, lambda self: self._slider._bounds[1], lambda self, v: self._setBound(1, v))

    def _setBound(self, which, value):
        bounds = list(self._slider._bounds)
        bounds[which] = self._rounded(value)[0]
        self._slider.setRange(*bounds)
        self._show()

    def _forBoxes(getter, setter):
        def write(self, value):
            for box in self._spinBoxes:
                getattr(box, setter)(value)
            if setter == "setSingleStep":
                self._slider.singleStep = value
            self._show()

        return lambda self: getattr(self._spinBoxes[0], getter)(), write

    def _setTracking(self, tracking):
        self._tracking = tracking

    decimals = QtCore.Property(int, *_forBoxes("decimals", "setDecimals"))
    singleStep = QtCore.Property(float, *_forBoxes("singleStep", "setSingleStep"))
    prefix = QtCore.Property(str, *_forBoxes("prefix", "setPrefix"))
    suffix = QtCore.Property(str, *_forBoxes("suffix", "setSuffix"))
    tracking = QtCore.Property(bool, lambda self: self._tracking, _setTracking)
