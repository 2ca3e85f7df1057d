"""The ctk and qMRML widgets and .ui files as observed in Slicer (slicer-facts.md, sections 2 and 5)."""

import tempfile
import unittest
from pathlib import Path

import ctk
import qt
import slicer

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="mainLayout">
 <item><widget class="ctkCollapsibleButton" name="inputs"><property name="text"><string>Inputs</string></property>
  <layout class="QFormLayout" name="form">
   <item row="0" column="0"><widget class="QLabel" name="label"><property name="text"><string>V:</string></property></widget></item>
   <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="selector">
    <property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
    <property name="noneEnabled"><bool>true</bool></property>
    <property name="SlicerParameterName" stdset="0"><string>volume</string></property></widget></item>
  </layout></widget></item>
 <item><widget class="ctkSliderWidget" name="slider"><property name="maximum"><double>5.0</double></property></widget></item>
 <item><widget class="QPushButton" name="button"/></item>
</layout></widget>
<customwidgets>
 <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header><container>1</container></customwidget>
 <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>qMRMLNodeComboBox.h</header></customwidget>
 <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><header>ctkCollapsibleButton.h</header><container>1</container></customwidget>
 <customwidget><class>ctkSliderWidget</class><extends>QWidget</extends><header>ctkSliderWidget.h</header></customwidget>
</customwidgets><resources/>
<connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
 <receiver>selector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>
"""  # noqa: E501


class UiFileTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "panel.ui"
            path.write_text(UI, encoding="utf-8")
            self.panel = slicer.util.loadUI(str(path))
        self.ui = slicer.util.childWidgetVariables(self.panel)

    def testWidgetsAndProperties(self):
        self.assertIs(type(self.panel), slicer.qMRMLWidget)
        self.assertIs(type(self.ui.slider), ctk.ctkSliderWidget)
        self.assertEqual((self.ui.label.text, self.ui.slider.maximum, self.ui.inputs.text), ("V:", 5.0, "Inputs"))
        self.assertEqual(self.ui.selector.nodeTypes, ("vtkMRMLScalarVolumeNode",))
        self.assertEqual(self.ui.selector.property("SlicerParameterName"), "volume")
        with self.assertRaises(AttributeError):
            self.ui.nosuch  # noqa: B018

    def testSceneReachesChildrenThroughConnections(self):
        self.assertIsNone(self.ui.selector.mrmlScene())
        self.panel.setMRMLScene(slicer.mrmlScene)
        self.assertIs(self.ui.selector.mrmlScene(), slicer.mrmlScene)

    def testMissingFileAndChild(self):
        with self.assertRaisesRegex(RuntimeError, "Could not load UI file: file not found"):
            slicer.util.loadUI("/nosuch.ui")
        with self.assertRaises(RuntimeError):
            slicer.util.findChild(self.panel, "nosuch")
        self.assertIs(slicer.util.findChild(self.panel, "button"), self.ui.button)


class NodeComboBoxTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.combo = slicer.qMRMLNodeComboBox()
        self.combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]

    def testDefaults(self):
        combo = slicer.qMRMLNodeComboBox()
        for name in ("addEnabled", "removeEnabled", "selectNodeUponCreation", "showChildNodeTypes"):
            self.assertIs(getattr(combo, name), True)
        for name in ("noneEnabled", "renameEnabled"):
            self.assertIs(getattr(combo, name), False)
        self.assertIsNone(combo.mrmlScene())
        self.assertIsNone(combo.currentNode())

    def testSelectsTheFirstNodeByItself(self):
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        self.combo.setMRMLScene(slicer.mrmlScene)
        self.assertIs(self.combo.currentNode(), volume)
        self.assertEqual(self.combo.currentNodeID, volume.GetID())
        self.assertEqual(self.combo.nodeCount(), 1)

    def testNoneStaysNone(self):
        self.combo.noneEnabled = True
        self.combo.setMRMLScene(slicer.mrmlScene)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        self.assertIsNone(self.combo.currentNode())

    def testSignals(self):
        received = []
        self.combo.noneEnabled = True
        self.combo.setMRMLScene(slicer.mrmlScene)
        for signature in ("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)"):
            self.assertIs(self.combo.connect(signature, received.append), True)
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        received.clear()  # the list that changes may signal too
        self.combo.setCurrentNode(volume)
        self.assertIn(volume, received)
        self.assertIn(True, received)
        received.clear()
        slicer.mrmlScene.RemoveNode(volume)
        self.assertIsNone(self.combo.currentNode())
        self.assertIn(None, received)

    def testNoneCanBeSetEvenWithoutAnEntryForIt(self):
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        self.combo.setMRMLScene(slicer.mrmlScene)
        self.assertIsNotNone(self.combo.currentNode())
        self.combo.setCurrentNode(None)
        self.assertIsNone(self.combo.currentNode())

    def testANewNameCountsAsAChange(self):
        received = []
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "before")
        self.combo.setMRMLScene(slicer.mrmlScene)
        self.combo.connect("currentNodeChanged(vtkMRMLNode*)", received.append)
        volume.SetName("after")
        slicer.app.processEvents()
        self.assertIn(volume, received)
        self.assertIn("after", [self.entries().itemText(index) for index in range(self.entries().count)])

    def entries(self):
        """The list inside, as it is on the screen."""
        box = self.combo.findChild("QComboBox")
        self.combo.grab()
        return box

    def testEntries(self):
        self.combo.noneEnabled = True
        self.combo.noneDisplay = "(choose)"
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
        self.combo.setMRMLScene(slicer.mrmlScene)
        box = self.entries()
        texts = [box.itemText(index) for index in range(box.count)]
        self.assertEqual(texts[:2], ["(choose)", "CT"])
        self.assertEqual(box.currentText, "(choose)")
        self.assertTrue(any(text.startswith("Create new") for text in texts))
        self.combo.addEnabled = False
        box = self.entries()
        self.assertFalse(any(box.itemText(index).startswith("Create new") for index in range(box.count)))

    def testWithoutSceneItIsDisabledAndRemembersTheNode(self):
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        second = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        self.assertIs(self.combo.enabled, False)
        self.combo.setCurrentNode(second)
        self.assertIsNone(self.combo.currentNode())
        self.combo.setMRMLScene(slicer.mrmlScene)
        self.assertIs(self.combo.enabled, True)
        self.assertIs(self.combo.currentNode(), second)
        self.assertIsNot(self.combo.currentNode(), volume)

    def testNoAttributesOnWidgets(self):
        with self.assertRaises(AttributeError):
            self.combo.myData = 1


class SegmentSelectorTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.ids = [self.node.GetSegmentation().AddEmptySegment("", name) for name in ("Lesion", "Organ")]
        self.selector = slicer.qMRMLSegmentSelectorWidget()

    def testFirstSegmentUnlessAnotherIsChosen(self):
        received = []
        self.selector.connect("currentSegmentChanged(QString)", received.append)
        self.selector.setMRMLScene(slicer.mrmlScene)
        self.assertIs(self.selector.currentNode(), self.node)
        self.assertEqual(self.selector.currentSegmentID(), self.ids[0])
        self.selector.setCurrentSegmentID(self.ids[1])
        self.selector.setCurrentSegmentID("nosuch")
        self.assertEqual((self.selector.currentSegmentID(), received), (self.ids[1], self.ids))
        self.node.GetSegmentation().RemoveSegment(self.ids[1])
        self.assertEqual(self.selector.currentSegmentID(), self.ids[0])

    def testNone(self):
        self.selector.noneEnabled = True
        self.selector.setMRMLScene(slicer.mrmlScene)
        self.assertIsNone(self.selector.currentNode())
        self.selector.setCurrentNode(self.node)
        self.assertEqual((self.selector.currentNodeID(), self.selector.currentSegmentID()), (self.node.GetID(), ""))


class CtkTest(unittest.TestCase):
    def testSlider(self):
        slider, received = ctk.ctkSliderWidget(), []
        self.assertEqual((slider.minimum, slider.maximum, slider.decimals, slider.singleStep), (0, 99.99, 2, 1))
        slider.connect("valueChanged(double)", received.append)
        slider.value = 500
        self.assertEqual(len(received), 1)
        self.assertAlmostEqual(received[0], 99.99, 6)  # spin box and slider both round
        with self.assertRaisesRegex(AttributeError, "ctkSliderWidget has no attribute named 'setRange'"):
            slider.setRange(0, 1)

    def testRange(self):
        widget, received = ctk.ctkRangeWidget(), []
        widget.setRange(-100, 100)
        widget.connect("valuesChanged(double,double)", lambda *a: received.append(a))
        widget.setValues(50, -50)
        self.assertEqual((widget.minimumValue, widget.maximumValue), (-50, 50))
        self.assertEqual(received[-1], (-50, 50))

    def testCollapsibleButton(self):
        button, received = ctk.ctkCollapsibleButton(), []
        button.connect("contentsCollapsed(bool)", lambda value: received.append(("contentsCollapsed", value)))
        button.connect("toggled(bool)", lambda value: received.append(("toggled", value)))
        button.collapsed = True
        self.assertEqual(set(received), {("contentsCollapsed", True), ("toggled", False)})
        self.assertIs(button.collapsed, True)

    def testPaths(self):
        line, button, received = ctk.ctkPathLineEdit(), ctk.ctkDirectoryButton(), []
        self.assertIs(line.connect("currentPathChanged(QString)", received.append), True)
        line.currentPath = "/tmp/a"
        self.assertEqual(received, ["/tmp/a"])
        self.assertIsInstance(line.filters, int)
        self.assertIs(button.connect("directoryChanged(QString)", received.append), True)
        self.assertIs(button.connect("directorySelected(QString)", received.append), True)
        button.directory = "/"
        self.assertEqual(received, ["/tmp/a", "/", "/"])

    def testDirtyPanelsDie(self):
        panel = qt.QWidget()
        slider = ctk.ctkSliderWidget(panel)
        panel.delete()
        self.assertFalse(bool(slider))
