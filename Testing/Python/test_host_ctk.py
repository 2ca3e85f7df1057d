"""How the CTK widgets fold, follow their spin boxes and paint (slicer-facts.md, section 2, and CTK's source)."""

import unittest

import ctk
import qt
import slicer


def shown(*widgets):
    """A window with the widgets one below the other, on the screen."""
    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    window.resize(400, 300)
    window.show()
    slicer.app.processEvents()
    return window


def colors(widget):
    """How many colors the widget shows."""
    image = widget.grab().toImage()
    return len({image.pixel(x, y) for x in range(0, image.width(), 2) for y in range(image.height())})


class FoldingTest(unittest.TestCase):
    def folding(self):
        for cls in (ctk.ctkCollapsibleButton, ctk.ctkCollapsibleGroupBox):
            widget = cls()
            layout = qt.QVBoxLayout(widget)
            children = [qt.QLabel(name) for name in ("a", "b")]
            for child in children:
                layout.addWidget(child)
            yield widget, children

    def testOnlyTheTitleIsLeft(self):
        for widget, children in self.folding():
            with self.subTest(widget=widget.className()):
                window = shown(widget)
                tall = widget.height
                widget.collapsed = True
                slicer.app.processEvents()
                self.assertEqual([child.visible for child in children], [False, False])
                self.assertLess(widget.height, tall)
                widget.collapsed = False
                slicer.app.processEvents()
                self.assertEqual([child.visible for child in children], [True, True])
                self.assertEqual(widget.height, tall)
                window.delete()

    def testWhatTheProgramHidStaysHidden(self):
        for widget, (first, second) in self.folding():
            with self.subTest(widget=widget.className()):
                window = shown(widget)
                first.setVisible(False)
                widget.collapsed = True
                second.setVisible(True)  # for the time when it is open again
                self.assertIs(second.visible, False)
                widget.collapsed = False
                self.assertEqual((first.visible, second.visible), (False, True))
                window.delete()

    def testFoldedBeforeItIsShown(self):
        for widget, (first, second) in self.folding():
            with self.subTest(widget=widget.className()):
                second.setVisible(False)
                widget.collapsed = True
                window = shown(widget)
                self.assertEqual((first.visible, second.visible), (False, False))
                widget.collapsed = False
                self.assertEqual((first.visible, second.visible), (True, False))
                window.delete()

    def testCheckedMeansOpen(self):
        for widget, _children in self.folding():
            with self.subTest(widget=widget.className()):
                self.assertEqual((widget.checkable, widget.checked, widget.collapsed), (True, True, False))
                widget.checked = False
                self.assertIs(widget.collapsed, True)

    def testSilencedButtonDoesNotFold(self):
        button = ctk.ctkCollapsibleButton()
        button.blockSignals(True)
        button.collapsed = True
        self.assertEqual((button.checked, button.collapsed), (False, False))


class SliderTest(unittest.TestCase):
    def setUp(self):
        self.received = []

    def testSpinBoxAndSliderShowTheValue(self):
        slider = ctk.ctkSliderWidget()
        slider.maximum, slider.singleStep = 1.0, 0.01
        slider.value = 0.25
        spinBox = slider.findChild(qt.QDoubleSpinBox)
        self.assertAlmostEqual(spinBox.value, 0.25)
        bar = slider.findChild(qt.QSlider)
        self.assertAlmostEqual((bar.value - bar.minimum) / (bar.maximum - bar.minimum), 0.25)
        slider.connect("valueChanged(double)", self.received.append)
        spinBox.setValue(0.5)
        self.assertAlmostEqual(self.received[-1], 0.5)
        self.assertAlmostEqual(slider.value, 0.5)

    def testValueIsRoundedToTheDecimals(self):
        slider = ctk.ctkSliderWidget()
        slider.decimals = 1
        slider.value = 1.26
        self.assertAlmostEqual(slider.value, 1.3)
        slider.maximum = 1.0
        self.assertEqual(slider.value, 1.0)

    def testWithoutTrackingTheReleaseCounts(self):
        slider = ctk.ctkSliderWidget()
        slider.tracking = False
        slider.connect("valueChanged(double)", self.received.append)
        bar = slider.findChild(qt.QSlider)
        bar.setSliderDown(True)
        bar.setValue(bar.maximum)
        self.assertEqual((self.received, slider.value), ([], 0.0))
        bar.setSliderDown(False)
        self.assertEqual(len(self.received), 1)
        self.assertGreater(slider.value, 0.0)

    def testRangeSignals(self):
        widget = ctk.ctkRangeWidget()
        self.assertEqual((widget.minimum, widget.maximum, widget.minimumValue, widget.maximumValue), (0, 99, 0, 99))
        widget.connect("rangeChanged(double,double)", lambda *a: self.received.append(("range", *a)))
        widget.setRange(-100, 100)
        self.assertIn(("range", -100, 100), self.received)
        self.received.clear()
        widget.connect("valuesChanged(double,double)", lambda *a: self.received.append(("values", *a)))
        widget.connect("minimumValueChanged(double)", lambda v: self.received.append(("minimum", v)))
        widget.setValues(-50, 99)
        self.assertEqual(self.received, [("values", -50, 99), ("minimum", -50)])
        widget.setValues(-50, 99)
        self.assertEqual(len(self.received), 2)
        widget.maximumValue = 500
        self.assertEqual(widget.maximumValue, 100)
        widget.setRange(0, 10)
        self.assertEqual((widget.minimumValue, widget.maximumValue), (0, 10))

    def testRangeSlider(self):
        slider = ctk.ctkDoubleRangeSlider()
        slider.setRange(0, 10)
        slider.connect("valuesChanged(double,double)", lambda *a: self.received.append(a))
        slider.setValues(7, 3)
        self.assertEqual((slider.minimumValue, slider.maximumValue, self.received), (3, 7, [(3, 7)]))
        slider.minimumValue = 9  # takes the other along
        self.assertEqual((slider.minimumValue, slider.maximumValue), (9, 9))


class ButtonTest(unittest.TestCase):
    def testCheckBoxMakesTheButtonCheckable(self):
        button, received = ctk.ctkCheckablePushButton("Auto"), []
        self.assertEqual((button.checkable, button.checkState), (False, qt.Qt.Unchecked))
        self.assertIs(button.connect("checkBoxToggled(bool)", received.append), True)
        button.checkState = qt.Qt.Checked
        self.assertEqual((button.checkable, received), (True, [True]))
        button.checkState = qt.Qt.Unchecked
        self.assertEqual((button.checkable, received), (False, [True, False]))

    def testMenuButton(self):
        button, received = ctk.ctkMenuButton("Add"), []
        menu = qt.QMenu(button)
        button.setMenu(menu)
        self.assertIs(button.menu(), menu)
        button.connect("clicked()", lambda: received.append(1))
        button.click()
        self.assertEqual(received, [1])

    def testFolderAndPath(self):
        button, line, received = ctk.ctkDirectoryButton(), ctk.ctkPathLineEdit(), []
        self.assertEqual(button.directory, qt.QDir.currentPath())
        button.connect("directorySelected(QString)", lambda path: received.append("selected"))
        button.connect("directoryChanged(QString)", lambda path: received.append("changed"))
        button.directory = qt.QDir.rootPath()
        button.directory = qt.QDir.rootPath()
        self.assertEqual(received, ["selected", "changed", "selected"])
        line.currentPath = "/tmp/a"
        self.assertEqual(line.comboBox().currentText, "/tmp/a")


class PaintingTest(unittest.TestCase):
    def testEveryWidgetPaintsSomething(self):
        for widget in (
            ctk.ctkCollapsibleButton("Title"),
            ctk.ctkCollapsibleGroupBox("Title"),
            ctk.ctkSliderWidget(),
            ctk.ctkRangeWidget(),
            ctk.ctkDoubleRangeSlider(qt.Qt.Horizontal),
            ctk.ctkPathLineEdit(),
            ctk.ctkDirectoryButton(),
            ctk.ctkMenuButton("Title"),
            ctk.ctkCheckablePushButton("Title"),
            slicer.qMRMLNodeComboBox(),
            slicer.qMRMLSegmentSelectorWidget(),
        ):
            with self.subTest(widget=widget.className()):
                window = shown(widget)
                self.assertGreater(colors(widget), 2)
                window.delete()

    def testTextIsDrawn(self):
        button = ctk.ctkCollapsibleButton("iiii")
        button.resize(200, 40)
        before = button.grab().toImage()
        button.text = "WWWW"
        self.assertFalse(before == button.grab().toImage())
