"""Subclasses of Qt classes and connections as observed in Slicer (slicer-facts.md, sections 1 and 2)."""

import unittest

import qt


class SubclassTest(unittest.TestCase):
    def testVirtualFunctionsAndAttributes(self):
        class Window(qt.QWidget):
            def __init__(self, parent=None):
                super().__init__(parent)
                self.closed = 0

            def closeEvent(self, event):
                self.closed += 1
                event.ignore()

        parent = qt.QWidget()
        window = Window(parent)
        self.assertIs(window.close(), False)
        self.assertEqual(window.closed, 1)
        self.assertIs(parent.findChild(qt.QWidget), window)
        self.assertEqual(window.className(), "Window")

    def testConstructorOfTheBaseComesFirst(self):
        class Early(qt.QWidget):
            def __init__(self):
                self.x = 1

        with self.assertRaisesRegex(AttributeError, "Trying to set property 'x' on a destroyed"):
            Early()

    def testEventFilter(self):
        class Filter(qt.QObject):
            def __init__(self):
                super().__init__()
                self.types = []

            def eventFilter(self, watched, event):
                self.types.append(int(event.type()))
                return False

        watcher, label = Filter(), qt.QLabel()
        label.installEventFilter(watcher)
        label.setText("a")
        label.enabled = False
        self.assertIn(int(qt.QEvent.EnabledChange), watcher.types)
        with self.assertRaises(ValueError):
            label.installEventFilter(lambda: None)

    def testSignals(self):
        class Source(qt.QObject):
            changed = qt.Signal(int)
            thing = qt.Signal(object)

        source, received = Source(), []
        source.changed.connect(received.append)
        source.thing.connect(received.append)
        source.changed.emit(5)
        source.thing.emit({"a": 1})
        self.assertEqual(received, [5, {"a": 1}])
        with self.assertRaisesRegex(ValueError, "Called changed\\(qlonglong\\) -> void with wrong arguments"):
            source.changed.emit("x")
        self.assertIs(source.connect("changed(int)", received.append), False)
        self.assertIs(source.connect("changed(qlonglong)", received.append), True)


class ConnectionTest(unittest.TestCase):
    def setUp(self):
        self.button = qt.QPushButton("x")
        self.received = []

    def testConnectTellsWhetherTheSignalExists(self):
        for signature, exists in (
            ("clicked()", True),
            ("clicked( bool )", True),
            ("nosuch()", False),
            ("clicked", False),
            ("clicked(int)", False),
        ):
            with self.subTest(signature=signature):
                self.assertIs(self.button.connect(signature, lambda: None), exists)

    def testArguments(self):
        self.button.connect("clicked(bool)", lambda checked=5: self.received.append(checked))
        self.button.connect("clicked(bool)", lambda: self.received.append("none"))
        self.button.connect("clicked()", lambda *a: self.received.append(a))
        self.button.clicked.connect(lambda *a: self.received.append(a))
        self.button.click()
        self.assertEqual(self.received, [False, "none", (), (False,)])

    def testDisconnect(self):
        def slot():
            self.received.append(1)

        self.button.connect("clicked()", slot)
        self.button.connect("clicked()", slot)
        self.button.click()
        self.assertEqual(len(self.received), 2)
        self.assertIs(self.button.disconnect("clicked()", slot), True)
        self.button.click()
        self.assertEqual(len(self.received), 3)
        self.assertIs(self.button.disconnect("clicked()", slot), True)
        self.assertIs(self.button.disconnect("clicked()", slot), False)
        with self.assertRaises(ValueError):
            self.button.disconnect()

    def testObjectAndSlotText(self):
        box = qt.QCheckBox()
        self.assertIs(self.button.connect("clicked()", box, "toggle()"), True)
        self.assertIs(qt.QObject.connect(self.button, "clicked()", box.toggle), True)
        self.button.click()
        self.assertIs(box.checked, False)
        with self.assertRaises(ValueError):
            self.button.connect("clicked()", box.toggle, qt.Qt.QueuedConnection)

    def testEmitAndBlock(self):
        self.button.clicked.connect(lambda: self.received.append(1))
        self.button.clicked.emit()
        self.button.clicked()
        self.assertIs(self.button.blockSignals(True), False)
        self.button.click()
        self.assertIs(self.button.blockSignals(False), True)
        self.assertEqual(self.received, [1, 1])

    def testWidgetSignals(self):
        spinBox, line, box = qt.QSpinBox(), qt.QLineEdit(), qt.QCheckBox()
        spinBox.valueChanged.connect(self.received.append)
        line.connect("textChanged(QString)", self.received.append)
        line.connect("textEdited(QString)", self.received.append)
        box.connect("toggled(bool)", self.received.append)
        spinBox.value = 3
        line.text = "a"
        box.checked = True
        self.assertEqual(self.received, [3, "a", True])

    def testTimer(self):
        loop = qt.QEventLoop()
        qt.QTimer.singleShot(0, lambda: self.received.append(1))
        qt.QTimer.singleShot(1.5, self.button, "setFocus()")
        qt.QTimer.singleShot(20, loop.quit)
        loop.exec_()
        self.assertEqual(self.received, [1])
        timer = qt.QTimer()
        timer.setSingleShot(True)
        self.assertIs(timer.isSingleShot(), True)
        timer.interval = 5
        self.assertIs(timer.active, False)

    def testShortcutAndAction(self):
        window = qt.QWidget()
        shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+J"), window)
        self.assertIs(shortcut.connect("activated()", lambda: None), True)
        self.assertEqual(shortcut.key.toString(), "Ctrl+J")
        self.assertEqual(qt.QKeySequence(qt.Qt.ControlModifier + qt.Qt.Key_S).toString(), "Ctrl+S")
        action = qt.QMenu(window).addAction("text")
        action.triggered.connect(lambda *a: self.received.append(a))
        action.trigger()
        self.assertEqual(self.received, [(False,)])
        with self.assertRaises(AttributeError):
            action.shortcut = "Ctrl+L"

    def testButtonGroup(self):
        group, first, second = qt.QButtonGroup(), qt.QPushButton(), qt.QPushButton()
        for number, button in enumerate((first, second)):
            button.checkable = True
            group.addButton(button, number)
        self.assertEqual((group.checkedId(), group.checkedButton()), (-1, None))
        group.connect("idClicked(int)", self.received.append)
        second.click()
        second.checked = False
        self.assertEqual((group.checkedId(), self.received), (1, [1]))
