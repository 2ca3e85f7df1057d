"""The smaller CTK widgets that modules use, with the documented properties and signals."""

from .fields import field
from .native_qt import QtCore, QtWidgets
from .qt_special import registerHostClass

_Policy = QtWidgets.QSizePolicy.Policy


@registerHostClass
class ctkPathLineEdit(QtWidgets.QWidget):
    """A line with the path of a file or folder, and a button to look for it."""

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    def __init__(self, *args):
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self._filters, self._nameFilters, self._label, self._valid = 0x6001, [], "", False
        self._comboBox = QtWidgets.QComboBox(self)
        self._comboBox.setEditable(True)
        self._comboBox.setSizePolicy(_Policy.Expanding, _Policy.Fixed)
        self._browseButton = QtWidgets.QToolButton(self)
        self._browseButton.setText("...")
        self._browseButton.clicked.connect(self.browse)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._comboBox, 1)
        layout.addWidget(self._browseButton)
        self.setSizePolicy(_Policy.Expanding, _Policy.Fixed)
        self._comboBox.editTextChanged.connect(self._pathChanged)

    def _pathChanged(self, path):
        if path:  # an empty one is no valid input (CTK's validator is ".+")
            self.currentPathChanged.emit(path)
        if bool(path) != self._valid:
            self._valid = bool(path)
            self.validInputChanged.emit(self._valid)

    def _setCurrentPath(self, path):
        if path != self.currentPath:
            self._comboBox.setEditText(path)

    def _setBrowseButton(self, visible):
        self._browseButton.setVisible(visible)

    currentPath = QtCore.Property(str, lambda self: self._comboBox.currentText(), _setCurrentPath)
    showBrowseButton = QtCore.Property(bool, lambda self: self._browseButton.isVisibleTo(self), _setBrowseButton)
    filters = field(int, "filters", 0x6001)
    nameFilters = field("QStringList", "nameFilters", [])
    label = field(str, "label", "")
    settingKey = field(str, "settingKey", "")
    showHistoryButton = field(bool, "showHistoryButton", True)

    def comboBox(self):
        return self._comboBox

    def browse(self):
        """Let the user look for a file (to open, or to save if Writable is among the filters) or a folder."""
        files, writable = self._filters & 0x002, self._filters & 0x020
        dialog, start, names = QtWidgets.QFileDialog, self.currentPath, ";;".join(self.nameFilters)
        if files and writable:
            path = dialog.getSaveFileName(self, "Select a file to save", start, names)[0]
        elif files:
            path = dialog.getOpenFileName(self, "Open a file", start, names)[0]
        else:
            path = dialog.getExistingDirectory(self, "Select a directory...", start)
        if path:
            self._setCurrentPath(path)

    def addCurrentPathToHistory(self):
        """The stand-in keeps no history."""


@registerHostClass
class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and lets the user choose another."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, *args):
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        paths = [a for a in args if isinstance(a, str)]
        self._directory, self._text = QtCore.QDir(paths[0] if paths else "").absolutePath(), ""
        self._button = QtWidgets.QPushButton(self._directory, self)
        self._button.setIcon(self.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_DirIcon))
        self._button.setSizePolicy(_Policy.Expanding, _Policy.Fixed)
        self._button.setMinimumWidth(50)
        self._button.clicked.connect(self.browse)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self.setSizePolicy(_Policy.Expanding, _Policy.Fixed)

    def _setDirectory(self, path):
        absolute = QtCore.QDir(path).absolutePath()
        changed, self._directory = absolute != self._directory, absolute
        self._button.setText(self._text or absolute)
        self.directorySelected.emit(absolute)
        if changed:
            self.directoryChanged.emit(absolute)

    def _setText(self, text):
        self._text = text
        self._button.setText(text or self._directory)

    directory = QtCore.Property(str, lambda self: self._directory, _setDirectory)
    text = QtCore.Property(str, lambda self: self._text, _setText)
    caption = field(str, "caption", "")

    def browse(self):
        path = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption or self.toolTip(), self._directory)
        if path:
            self._setDirectory(path)


@registerHostClass
class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with a menu of its own behind an arrow at its right end."""

    def _arrowRect(self):
        return QtCore.QRect(self.width() - 14, 0, 14, self.height())

    def sizeHint(self):
        return super().sizeHint() + QtCore.QSize(13, 0)

    def minimumSizeHint(self):
        return super().minimumSizeHint() + QtCore.QSize(13, 0)

    def hitButton(self, position):
        return not self._arrowRect().contains(position) and super().hitButton(position)

    def mousePressEvent(self, event):
        if self.menu() is not None and self._arrowRect().contains(event.position().toPoint()):
            self.showMenu()
            return
        if self.hitButton(event.position().toPoint()):  # QPushButton itself would open the menu
            QtWidgets.QAbstractButton.mousePressEvent(self, event)

    def paintEvent(self, event):
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionButton()
        self.initStyleOption(option)
        option.features &= ~QtWidgets.QStyleOptionButton.ButtonFeature.HasMenu
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = self._arrowRect().adjusted(2, 2, -2, -2)
        painter.setPen(self.palette().button().color().darker(130))
        painter.drawLine(arrow.left() - 3, arrow.top(), arrow.left() - 3, arrow.bottom())
        indicator = QtWidgets.QStyleOption()
        indicator.initFrom(self)
        indicator.rect = arrow
        painter.drawPrimitive(QtWidgets.QStyle.PrimitiveElement.PE_IndicatorArrowDown, indicator)
        option.rect.setRight(arrow.left() - 3)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonLabel, option)
        painter.end()


@registerHostClass
class ctkCheckablePushButton(QtWidgets.QPushButton):
    """A push button with a check box in it, which by default makes the button checkable."""

    checkBoxToggled = QtCore.Signal(bool)
    checkStateChanged = QtCore.Signal(QtCore.Qt.CheckState)

    def __init__(self, *args):
        super().__init__(*args)
        self._state, self._controls = QtCore.Qt.CheckState.Unchecked, True

    def _setCheckState(self, state):
        state = QtCore.Qt.CheckState(state)
        if state == self._state:
            return
        self._state = state
        checked = state == QtCore.Qt.CheckState.Checked
        if self._controls:
            self.setCheckable(checked)
        self.checkStateChanged.emit(state)
        self.checkBoxToggled.emit(checked)
        self.update()

    def _setControls(self, controls):
        self._controls = controls
        if controls:
            states = QtCore.Qt.CheckState
            self._setCheckState(states.Checked if self.isCheckable() else states.Unchecked)

    checkState = QtCore.Property(QtCore.Qt.CheckState, lambda self: self._state, _setCheckState)
    checkBoxControlsButton = QtCore.Property(bool, lambda self: self._controls, _setControls)
    checkBoxUserCheckable = field(bool, "checkBoxUserCheckable", True)

    def _boxRect(self):
        size = self.style().pixelMetric(QtWidgets.QStyle.PixelMetric.PM_IndicatorWidth, None, self)
        return QtCore.QRect(6, (self.height() - size) // 2, size, size)

    def sizeHint(self):
        return super().sizeHint() + QtCore.QSize(self._boxRect().right(), 0)

    def hitButton(self, position):
        return not self._boxRect().contains(position) and super().hitButton(position)

    def mousePressEvent(self, event):
        if self._boxRect().contains(event.position().toPoint()) and self.checkBoxUserCheckable:
            states = QtCore.Qt.CheckState
            self._setCheckState(states.Unchecked if self._state == states.Checked else states.Checked)
        else:
            super().mousePressEvent(event)

    def paintEvent(self, event):
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionButton()
        self.initStyleOption(option)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        box = QtWidgets.QStyleOptionButton()
        box.initFrom(self)
        box.rect = self._boxRect()
        checked = self._state == QtCore.Qt.CheckState.Checked
        box.state |= QtWidgets.QStyle.StateFlag.State_On if checked else QtWidgets.QStyle.StateFlag.State_Off
        painter.drawPrimitive(QtWidgets.QStyle.PrimitiveElement.PE_IndicatorCheckBox, box)
        option.rect.setLeft(box.rect.right())
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonLabel, option)
        painter.end()


@registerHostClass
class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box."""


@registerHostClass
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for 'nothing chosen'."""

    defaultText = field(str, "defaultText", "", lambda self: self.setPlaceholderText(self._defaultText))


@registerHostClass
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box."""
