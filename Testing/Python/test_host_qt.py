"""``qt`` behaves as PythonQt in Slicer does; the values were observed there (slicer-facts.md, section 1)."""

import gc
import unittest

import numpy as np
import qt


class PropertyTest(unittest.TestCase):
    def setUp(self):
        self.window = qt.QWidget()
        self.label = qt.QLabel("hi", self.window)
        self.spinBox = qt.QSpinBox(self.window)

    def testPropertiesAreReadWithoutParentheses(self):
        self.assertEqual(self.label.text, "hi")
        self.assertIs(self.label.visible, False)
        with self.assertRaisesRegex(TypeError, "'str' object is not callable"):
            self.label.text()
        with self.assertRaisesRegex(TypeError, "'int' object is not callable"):
            self.spinBox.value()
        with self.assertRaisesRegex(TypeError, "'QSize' object is not callable"):
            self.window.size()

    def testGettersWithoutPropertyAreCalled(self):
        layout = qt.QVBoxLayout(self.window)
        layout.addWidget(self.label)
        self.assertTrue(callable(self.label.parent))
        self.assertTrue(self.label.isEnabled())
        self.assertEqual(layout.count(), 1)
        self.assertIs(self.window.layout(), layout)
        self.assertIs(layout.itemAt(0).widget(), self.label)

    def testComboBoxCountIsAProperty(self):
        combo = qt.QComboBox()
        combo.addItems(["a", "b", "c"])
        self.assertEqual((combo.count, combo.currentText), (3, "a"))
        combo.currentText = "c"
        self.assertEqual(combo.currentIndex, 2)
        combo.currentText = "unknown"
        self.assertEqual(combo.currentText, "c")
        combo.currentIndex = 99
        self.assertEqual(combo.currentIndex, -1)
        self.assertIsNone(combo.lineEdit())
        with self.assertRaisesRegex(AttributeError, "Property 'count' of QComboBox object is not writable"):
            combo.count = 3

    def testUnknownAttributes(self):
        with self.assertRaisesRegex(AttributeError, "QLabel has no attribute named 'nosuch'"):
            self.label.nosuch  # noqa: B018
        expected = "'foo' does not exist on QLabel and creating new attributes on C\\+\\+ objects is not allowed"
        with self.assertRaisesRegex(AttributeError, expected):
            self.label.foo = 3
        with self.assertRaisesRegex(AttributeError, "Slot 'setText' can not be overwritten on QLabel object"):
            self.label.setText = 5
        self.assertFalse(hasattr(self.label, "nosuch"))
        self.assertEqual(getattr(self.label, "nosuch", 7), 7)

    def testPropertyTypesAreChecked(self):
        expected = "Property 'value' of type 'int' does not accept an object of type str \\('3'\\)"
        with self.assertRaisesRegex(AttributeError, expected):
            self.spinBox.value = "3"
        self.spinBox.value = 500
        self.assertEqual(self.spinBox.value, 99)
        self.label.enabled = None
        self.assertIs(self.label.enabled, False)

    def testArgumentsAreConverted(self):
        self.spinBox.setValue(3.7)
        self.assertEqual(self.spinBox.value, 3)
        self.spinBox.setValue(np.int64(4))
        self.assertEqual(self.spinBox.value, 4)
        for wrong in (np.float64(5), None, "4"):
            with self.subTest(wrong=wrong), self.assertRaisesRegex(ValueError, "Called setValue"):
                self.spinBox.setValue(wrong)
        for value, text in ((5, "5"), (None, "None"), (b"x", "b'x'")):
            self.label.setText(value)
            self.assertEqual(self.label.text, text)
        box = qt.QCheckBox()
        box.setChecked("no")
        self.assertIs(box.checked, True)

    def testListsComeBackAsTuples(self):
        self.assertEqual(self.window.children(), (self.label, self.spinBox))
        combo = qt.QComboBox()
        combo.addItems("ab")
        combo.setItemData(0, {"key": [1, 2]})
        self.assertEqual(combo.count, 2)
        self.assertEqual(combo.itemData(0)["key"][1], 2)

    def testKeywordArgumentsAreRefused(self):
        with self.assertRaisesRegex(ValueError, "with keyword arguments, but called slot does not support kwargs"):
            qt.QLabel("x", parent=self.window)
        with self.assertRaisesRegex(ValueError, "with wrong number of arguments: \\(\\)"):
            qt.QCheckBox().setChecked()

    def testDynamicProperties(self):
        self.assertIs(self.window.setProperty("SlicerParameterName", "p1"), False)
        self.assertIs(self.window.setProperty("enabled", True), True)
        self.assertEqual(self.window.property("SlicerParameterName"), "p1")
        self.assertEqual(self.window.SlicerParameterName, "p1")
        self.assertIsNone(self.window.property("unknown"))
        self.assertEqual(len(self.window.dynamicPropertyNames()), 1)

    def testEnumsAreInts(self):
        self.assertEqual(repr(qt.Qt.Checked), "2")
        self.assertEqual(f"{qt.Qt.Checked}", "2")
        self.assertIsInstance(qt.Qt.Checked, int)
        with self.assertRaises(AttributeError):
            qt.Qt.AlignLeft.name  # noqa: B018
        self.assertEqual(qt.QProcess.ProcessState.NotRunning, qt.QProcess.NotRunning)
        combined = qt.Qt.AlignLeft | qt.Qt.AlignTop
        self.assertIs(type(combined), int)
        self.label.setAlignment(combined)
        self.assertEqual(self.label.alignment, combined)
        self.assertIs(type(self.label.alignment), int)
        self.label.alignment = qt.Qt.AlignRight
        self.assertEqual(self.label.alignment & qt.Qt.AlignRight, qt.Qt.AlignRight)

    def testByteArray(self):
        data = qt.QByteArray("é")
        self.assertEqual(data.data(), b"\xc3\xa9")
        self.assertEqual(data.size(), 2)
        self.assertEqual(str(qt.QByteArray("abc")), "b'abc'")
        self.assertTrue(qt.QByteArray("abc") == b"abc")
        with self.assertRaises(TypeError):
            bytes(data)
        with self.assertRaises(TypeError):
            len(data)


class IdentityTest(unittest.TestCase):
    def testOneWrapperPerObject(self):
        window = qt.QWidget()
        label = qt.QLabel("a", window)
        label.objectName = "lab"
        self.assertIs(label.parent(), window)
        for found in (
            window.findChild(qt.QLabel, "lab"),
            window.findChild("QLabel", "lab"),
            window.findChild(qt.QLabel),
        ):
            self.assertIs(found, label)
        self.assertIsNone(window.findChild("lab"))
        self.assertEqual(window.findChildren(qt.QWidget), (label,))
        with self.assertRaises(ValueError):
            window.findChildren(qt.QWidget, "lab", qt.Qt.FindDirectChildrenOnly)

    def testNoInheritanceInPython(self):
        label = qt.QLabel("a")
        self.assertIs(type(label), qt.QLabel)
        self.assertNotIsInstance(label, qt.QWidget)
        self.assertFalse(issubclass(qt.QLabel, qt.QWidget))
        self.assertTrue(label.inherits("QWidget"))
        self.assertTrue(label.isWidgetType())
        self.assertEqual(label.className(), "QLabel")
        qt.QLabel.setText(label, "b")
        self.assertEqual(label.text, "b")

    def testDeletedObjectsSaySo(self):
        window = qt.QWidget()
        label = qt.QLabel("a", window)
        window.delete()
        with self.assertRaisesRegex(ValueError, "Trying to read property 'text' from a destroyed QLabel object"):
            label.text  # noqa: B018
        with self.assertRaisesRegex(ValueError, "Trying to call 'setText' on a destroyed QLabel object"):
            label.setText("x")
        with self.assertRaisesRegex(AttributeError, "Trying to set property 'text' on a destroyed QLabel object"):
            label.text = "x"
        self.assertFalse(bool(label))
        self.assertTrue(label == None)  # noqa: E711
        self.assertIsNotNone(label)

    def testTheLayoutKeepsItsWidgets(self):
        window = qt.QWidget()
        layout = qt.QVBoxLayout(window)
        layout.addWidget(qt.QLabel("kept"))
        gc.collect()
        self.assertEqual(layout.itemAt(0).widget().text, "kept")

    def testTableItems(self):
        table = qt.QTableWidget(1, 1)
        item = qt.QTableWidgetItem("a")
        table.setItem(0, 0, item)
        self.assertIs(table.item(0, 0), item)
        del item
        self.assertEqual(table.item(0, 0).text(), "a")
        table.rowCount = 5
        self.assertEqual(table.rowCount, 5)
