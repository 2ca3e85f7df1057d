"""The CTK widgets that fold: a button or a group box whose contents hide, leaving the title."""

from .native_qt import QtCore, QtGui, QtWidgets
from .qt_special import registerHostClass

_Attribute = QtCore.Qt.WidgetAttribute
_HIDDEN_BY_CODE = "visibilityToParent"


class FoldsItsChildren:
    """Hides and shows the children, and remembers which of them the program itself has hidden."""

    _forcing = False
    _created = False

    def _applyToChild(self, child):
        """Hide or show one child; before the widget is on the screen there is nothing to hide."""
        if not self.testAttribute(_Attribute.WA_WState_Created):
            return
        hiddenByCode = child.property(_HIDDEN_BY_CODE) is False
        visible = not self.collapsed and not hiddenByCode
        self._forcing = True
        if child.testAttribute(_Attribute.WA_WState_Created) or not visible:
            child.setVisible(visible)
        if not hiddenByCode:  # folding is no wish of the program about this child
            child.setAttribute(_Attribute.WA_WState_ExplicitShowHide, False)
        self._forcing = False

    def _applyToChildren(self):
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                self._applyToChild(child)

    def childEvent(self, event):
        child = event.child()
        if event.type() == QtCore.QEvent.Type.ChildAdded and isinstance(child, QtWidgets.QWidget):
            if child.testAttribute(_Attribute.WA_WState_ExplicitShowHide) and child.isHidden():
                child.setProperty(_HIDDEN_BY_CODE, False)
            child.installEventFilter(self)
            self._applyToChild(child)
        super().childEvent(event)

    def setVisible(self, visible):
        self._forcing = True
        super().setVisible(bool(visible))
        self._forcing = False
        if not self._created and self.testAttribute(_Attribute.WA_WState_Created):
            self._created = True
            self._applyToChildren()

    def eventFilter(self, child, event):
        if not self._forcing:
            if event.type() == QtCore.QEvent.Type.ShowToParent:
                child.setProperty(_HIDDEN_BY_CODE, True)
                self._applyToChild(child)
            elif event.type() == QtCore.QEvent.Type.HideToParent:
                child.setProperty(_HIDDEN_BY_CODE, False)
        return super().eventFilter(child, event)

    def _arrow(self, painter, rect, opened):
        option = QtWidgets.QStyleOption()
        option.initFrom(self)
        option.rect = rect
        shape = "PE_IndicatorArrowDown" if opened else "PE_IndicatorArrowRight"
        self.style().drawPrimitive(getattr(QtWidgets.QStyle.PrimitiveElement, shape), option, painter, self)


@registerHostClass
class ctkCollapsibleButton(FoldsItsChildren, QtWidgets.QAbstractButton):
    """A section with a title that folds; checked means open."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *args):
        texts = [a for a in args if isinstance(a, str)]
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self._collapsed, self._collapsedHeight, self._openMaximum = False, 14, self.maximumHeight()
        self.setText(texts[0] if texts else "")
        self.setCheckable(True)
        self.setChecked(True)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Minimum, policy.Preferred)
        self.setContentsMargins(0, self._titleSize().height(), 0, 0)
        self.setBackgroundRole(QtGui.QPalette.ColorRole.Window)
        self.toggled.connect(lambda opened: self._collapse(not opened))

    def _setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    def _setCollapsedHeight(self, height):
        self._collapsedHeight = height
        self.updateGeometry()

    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _setCollapsed)
    collapsedHeight = QtCore.Property(int, lambda self: self._collapsedHeight, _setCollapsedHeight)

    def _collapse(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._openMaximum = self.maximumHeight()
            self.setMaximumHeight(self.sizeHint().height())
        else:
            self.setMaximumHeight(self._openMaximum)
        self._applyToChildren()
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def _titleOption(self):
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        pressed = QtWidgets.QStyle.StateFlag.State_Sunken if self.isDown() else QtWidgets.QStyle.StateFlag.State_Raised
        option.state |= pressed
        option.text, option.icon = self.text(), self.icon()
        option.rect.setHeight(self._titleSize().height())
        return option

    def _indicatorSize(self):
        metric = QtWidgets.QStyle.PixelMetric
        return [self.style().pixelMetric(m, None, self) for m in (metric.PM_IndicatorWidth, metric.PM_IndicatorHeight)]

    def _indicatorSpacing(self):
        return self.style().pixelMetric(QtWidgets.QStyle.PixelMetric.PM_CheckBoxLabelSpacing, None, self)

    def _titleSize(self):
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        width, height = self._indicatorSize()
        text = self.fontMetrics().size(QtCore.Qt.TextFlag.TextShowMnemonic, self.text() or "XXXX")
        content = QtCore.QSize(width + self._indicatorSpacing() + text.width(), max(height, text.height()))
        return self.style().sizeFromContents(QtWidgets.QStyle.ContentsType.CT_PushButton, option, content, self)

    def minimumSizeHint(self):
        title = self._titleSize()
        if self._collapsed:
            return title + QtCore.QSize(0, self._collapsedHeight)
        return super().minimumSizeHint().expandedTo(title) if self.layout() is not None else title

    def sizeHint(self):
        folded = self._titleSize() + QtCore.QSize(0, self._collapsedHeight)
        return folded if self._collapsed else super().sizeHint().expandedTo(folded)

    def hitButton(self, position):
        return self._titleOption().rect.contains(position)

    def paintEvent(self, event):
        painter, option = QtGui.QPainter(self), self._titleOption()
        self.style().drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        (width, height), titleHeight = self._indicatorSize(), option.rect.height()
        arrow = QtCore.QRect((titleHeight - width) // 2, (titleHeight - height) // 2, width, height)
        self._arrow(painter, arrow, not self._collapsed)
        rect = QtCore.QRect(option.rect)
        rect.setLeft(arrow.right() + self._indicatorSpacing())
        alignment = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignVCenter
        flags = int(alignment) | int(QtCore.Qt.TextFlag.TextShowMnemonic)
        role = QtGui.QPalette.ColorRole.ButtonText
        self.style().drawItemText(painter, rect, flags, option.palette, self.isEnabled(), option.text, role)
        painter.end()


@registerHostClass
class ctkCollapsibleGroupBox(FoldsItsChildren, QtWidgets.QGroupBox):
    """A group box that folds; checked means open."""

    def __init__(self, *args):
        super().__init__(*args)
        self._collapsedHeight, self._openMaximum = 14, self.maximumHeight()
        self.setCheckable(True)
        self.toggled.connect(self._expand)

    def _setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    def _setCollapsedHeight(self, height):
        self._collapsedHeight = height

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), _setCollapsed)
    collapsedHeight = QtCore.Property(int, lambda self: self._collapsedHeight, _setCollapsedHeight)

    def _part(self, part):
        option = QtWidgets.QStyleOptionGroupBox()
        self.initStyleOption(option)
        return self.style().subControlRect(QtWidgets.QStyle.ComplexControl.CC_GroupBox, option, part, self)

    def _expand(self, opened):
        self._applyToChildren()
        if opened:
            self.setMaximumHeight(self._openMaximum)
        else:
            self._openMaximum = self.maximumHeight()
            label = self._part(QtWidgets.QStyle.SubControl.SC_GroupBoxLabel)
            self.setMaximumHeight(label.height() + self._collapsedHeight)

    def paintEvent(self, event):
        """An arrow where a checkable group box has its check box."""
        control = QtWidgets.QStyle.SubControl
        painter, option = QtGui.QPainter(self), QtWidgets.QStyleOptionGroupBox()
        self.initStyleOption(option)
        label, box = self._part(control.SC_GroupBoxLabel), self._part(control.SC_GroupBoxCheckBox)
        option.subControls = control.SC_GroupBoxFrame
        self.style().drawComplexControl(QtWidgets.QStyle.ComplexControl.CC_GroupBox, option, painter, self)
        self._arrow(painter, box, self.isChecked())
        alignment = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignVCenter
        flags = int(alignment) | int(QtCore.Qt.TextFlag.TextShowMnemonic)
        role = QtGui.QPalette.ColorRole.WindowText
        self.style().drawItemText(painter, label, flags, option.palette, self.isEnabled(), self.title(), role)
        painter.end()
