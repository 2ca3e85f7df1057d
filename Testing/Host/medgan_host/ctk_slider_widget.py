"""``ctkSliderWidget``: a slider with a spin box, for floating point values."""

from .native_qt import QtCore, QtWidgets
from .qt_special import registerHostClass

_MOST_STEPS = 2**31 - 1


@registerHostClass
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box; the value has as many decimals as the spin box shows."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._tracking, self._changing, self._valueBefore, self._pageStep = True, False, 0.0, 10.0
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setObjectName("Slider")
        self._spinBox = QtWidgets.QDoubleSpinBox(self)
        self._spinBox.setObjectName("SpinBox")
        self._spinBox.setRange(0.0, 99.99)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setObjectName("hboxLayout")
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spinBox)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Fixed)
        self._showRange()
        self._spinBox.valueChanged.connect(self._onSpinBoxValue)
        self._slider.valueChanged.connect(self._onSliderValue)
        self._slider.sliderPressed.connect(self._startChanging)
        self._slider.sliderReleased.connect(self._stopChanging)

    # --- the slider counts single steps from the minimum

    def _showRange(self):
        low, high, step = self._spinBox.minimum(), self._spinBox.maximum(), self._spinBox.singleStep()
        self._slider.blockSignals(True)
        self._slider.setRange(0, min(_MOST_STEPS, round((high - low) / step)) if step > 0 else 0)
        self._slider.setPageStep(max(1, round(self._pageStep / step)) if step > 0 else 1)
        self._slider.blockSignals(False)
        self._showValue()

    def _showValue(self):
        self._slider.blockSignals(True)
        steps = (self._spinBox.value() - self._spinBox.minimum()) / (self._spinBox.singleStep() or 1.0)
        self._slider.setValue(min(_MOST_STEPS, round(steps)))
        self._slider.blockSignals(False)

    def _onSliderValue(self, steps):
        self._spinBox.setValue(self._spinBox.minimum() + steps * self._spinBox.singleStep())

    def _onSpinBoxValue(self, value):
        self._showValue()
        self._announce()

    def _announce(self):
        if not self._tracking:
            self.valueIsChanging.emit(self._spinBox.value())
        if not self._changing:
            self.valueChanged.emit(self._spinBox.value())

    def _startChanging(self):
        if not self._tracking:
            self._valueBefore, self._changing = self._spinBox.value(), True

    def _stopChanging(self):
        if self._changing:
            self._changing = False
            if self._spinBox.value() != self._valueBefore:
                self.valueChanged.emit(self._spinBox.value())

    # --- properties

    def _setValue(self, value):
        changing, self._changing = self._changing, False
        self._spinBox.setValue(value)
        self._changing = changing

    def _setSpinBox(setter):
        def write(self, value):
            getattr(self._spinBox, setter)(value)
            self._showRange()
            self._alignSpinBoxes()

        return write

    def _setDecimals(self, decimals):
        self._spinBox.setDecimals(decimals)
        self._showRange()
        self._announce()
        self.decimalsChanged.emit(decimals)

    def _alignSpinBoxes(self):
        """All sliders below one parent have spin boxes of one width."""
        siblings = self.parent().findChildren(ctkSliderWidget) if self.parent() is not None else [self]
        width = max(sibling._spinBox.sizeHint().width() for sibling in siblings)
        for sibling in siblings:
            sibling._spinBox.setMinimumWidth(width)

    def _setTracking(self, tracking):
        self._tracking = tracking

    def _setPageStep(self, step):
        self._pageStep = step
        self._showRange()

    def _setSpinBoxVisible(self, visible):
        self._spinBox.setVisible(visible)

    value = QtCore.Property(
        float, lambda self: self._valueBefore if self._changing else self._spinBox.value(), _setValue
    )
    minimum = QtCore.Property(float, lambda self: self._spinBox.minimum(), _setSpinBox("setMinimum"))
    maximum = QtCore.Property(float, lambda self: self._spinBox.maximum(), _setSpinBox("setMaximum"))
    singleStep = QtCore.Property(float, lambda self: self._spinBox.singleStep(), _setSpinBox("setSingleStep"))
    prefix = QtCore.Property(str, lambda self: self._spinBox.prefix(), _setSpinBox("setPrefix"))
    suffix = QtCore.Property(str, lambda self: self._spinBox.suffix(), _setSpinBox("setSuffix"))
    decimals = QtCore.Property(int, lambda self: self._spinBox.decimals(), _setDecimals)
    pageStep = QtCore.Property(float, lambda self: self._pageStep, _setPageStep)
    tracking = QtCore.Property(bool, lambda self: self._tracking, _setTracking)
    spinBoxVisible = QtCore.Property(bool, lambda self: self._spinBox.isVisibleTo(self), _setSpinBoxVisible)

    def reset(self):
        self._setValue(0.0)
