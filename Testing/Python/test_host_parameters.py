"""parameterNodeWrapper as observed in Slicer (slicer-facts.md, section 5)."""

import enum
import pathlib
import unittest
from typing import Annotated, Optional

import ctk
import numpy as np
import qt
import slicer
from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import (
    Choice,
    Default,
    FloatRange,
    Minimum,
    RangeBounds,
    WithinRange,
    parameterNodeWrapper,
    parameterPack,
)


class Shade(enum.Enum):
    Dark = "d"
    Light = "l"


@parameterPack
class Point:
    x: float
    y: Annotated[float, WithinRange(-10, 10)]
    label: str


@parameterNodeWrapper
class Parameters:
    volume: vtkMRMLScalarVolumeNode
    other: Optional[vtkMRMLScalarVolumeNode]  # noqa: UP045 (the older spelling, which modules use)
    number: int
    real: Annotated[float, WithinRange(0.0, 2.0)] = 1.0
    text: str
    flag: bool
    shade: Shade
    path: pathlib.Path
    span: Annotated[FloatRange, RangeBounds(-100, 100), Default(FloatRange(-5, 5))]
    names: list[str]
    maybe: Optional[int]  # noqa: UP045
    choice: Annotated[str, Choice(["a", "b"])] = "b"
    point: Point
    plain = 5


def newParameters():
    return Parameters(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


class ParametersTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.parameters = newParameters()
        self.node = self.parameters.parameterNode

    def testDefaults(self):
        p = self.parameters
        self.assertEqual((p.number, p.real, p.text, p.flag, p.shade), (0, 1.0, "", False, Shade.Dark))
        self.assertEqual((p.volume, p.other, p.maybe, p.path), (None, None, None, pathlib.Path()))
        self.assertEqual((p.span, list(p.names), p.choice, p.plain), (FloatRange(-5, 5), [], "b", 5))

    def testStoredText(self):
        p, stored = self.parameters, self.node.GetParameter
        p.flag, p.shade, p.span = True, Shade.Light, FloatRange(1, 2)
        p.names = ["u", "v"]
        self.assertEqual((stored("flag"), stored("shade")), ("True", "Light"))
        self.assertEqual((float(stored("span._minimum")), float(stored("span._maximum"))), (1.0, 2.0))
        self.assertEqual((stored("names.0"), stored("names.1"), stored("names.len")), ("u", "v", "2"))
        p.point.x = 2.5
        self.assertEqual((float(stored("point.x")), p.point.x), (2.5, 2.5))

    def testAssignmentIsStrict(self):
        p = self.parameters
        for name, wrong in (
            ("number", 5.5),
            ("number", "5"),
            ("number", np.int64(5)),
            ("flag", 1),
            ("text", 5),
            ("path", "/tmp"),
            ("shade", "Light"),
            ("volume", "vtkMRMLScalarVolumeNode1"),
        ):
            with self.subTest(name=name, wrong=wrong), self.assertRaises(TypeError):
                setattr(p, name, wrong)
        with self.assertRaisesRegex(ValueError, "Value must not be None"):
            p.number = None
        with self.assertRaisesRegex(ValueError, "invalid literal for int"):
            p.number = True
        with self.assertRaisesRegex(ValueError, r"Value must be within range \[0.0, 2.0\], is 3.0"):
            p.real = 3.0
        with self.assertRaisesRegex(ValueError, "Value is c, but must be in one of"):
            p.choice = "c"
        p.real = 2
        self.assertEqual(p.real, 2.0)

    def testNodes(self):
        p = self.parameters
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        p.volume = volume
        self.assertIs(p.volume, volume)
        self.assertIs(self.node.GetNodeReference("volume"), volume)
        p.volume = labelmap
        self.assertIsInstance(p.volume, vtkMRMLLabelMapVolumeNode)
        slicer.mrmlScene.RemoveNode(labelmap)
        self.assertIsNone(p.volume)

    def testEditsInPlaceAreWritten(self):
        p = self.parameters
        p.names.append("new")
        self.assertEqual(list(newParametersOn(self.node).names), ["new"])
        with self.assertRaises(TypeError):
            p.names.append(5)
        held = p.point
        held.label = "held"
        self.assertEqual(p.point.label, "held")
        with self.assertRaises(ValueError):
            p.point.y = 11.0

    def testPacks(self):
        self.assertEqual(Point(1.0, 2.0, "n"), Point(x=1.0, y=2.0, label="n"))
        self.parameters.point = Point(1.0, 2.0, "n")
        self.assertEqual(self.parameters.getValue("point.y"), 2.0)
        self.parameters.setValue("point.y", 3.0)
        self.assertEqual(self.parameters.point.y, 3.0)

    def testValuesLiveInTheNode(self):
        self.parameters.number = 7
        self.assertEqual(newParametersOn(self.node).number, 7)
        with self.assertRaisesRegex(AttributeError, "'NoneType' object has no attribute"):
            Parameters(None)

    def testRefusedTypes(self):
        with self.assertRaisesRegex(Exception, "Unable to create serializer for .* member x"):

            @parameterNodeWrapper
            class Wrong:
                x: np.ndarray

        @parameterNodeWrapper
        class OutOfRange:
            x: Annotated[int, WithinRange(5, 9)]

        with self.assertRaisesRegex(ValueError, r"Value must be within range \[5, 9\], is 0"):
            OutOfRange(self.node)
        with self.assertRaisesRegex(ValueError, "Cannot use reserved name 'allParameters'"):

            @parameterNodeWrapper
            class Derived(Parameters):
                y: int


def newParametersOn(node):
    return Parameters(node)


class GuiTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.parameters = newParameters()
        self.panel = qt.QWidget()

    def add(self, widget, name):
        widget.setParent(self.panel)
        widget.setProperty("SlicerParameterName", name)
        return widget

    def testBothDirections(self):
        box, slider = self.add(qt.QCheckBox(), "flag"), self.add(ctk.ctkSliderWidget(), "real")
        line, combo = self.add(qt.QLineEdit(), "text"), self.add(qt.QComboBox(), "shade")
        spinBox, span = self.add(qt.QSpinBox(), "number"), self.add(ctk.ctkRangeWidget(), "span")
        choice = self.add(qt.QComboBox(), "choice")
        p = self.parameters
        tag = p.connectGui(self.panel)
        self.assertIsInstance(tag, int)
        self.assertEqual((slider.value, slider.maximum, choice.currentText), (1.0, 2.0, "b"))
        self.assertEqual((combo.count, combo.currentText), (2, "Dark"))
        box.checked, slider.value, line.text, combo.currentIndex, spinBox.value = True, 0.5, "t", 1, 9
        span.setValues(-1, 1)
        self.assertEqual((p.flag, p.real, p.text, p.shade, p.number), (True, 0.5, "t", Shade.Light, 9))
        self.assertEqual(p.span, FloatRange(-1, 1))
        p.flag, p.real, p.text, p.shade = False, 1.5, "u", Shade.Dark
        self.assertEqual((box.checked, slider.value, line.text, combo.currentText), (False, 1.5, "u", "Dark"))
        p.disconnectGui(tag)
        p.text = "not shown"
        self.assertEqual(line.text, "u")
        line.text = "not read"
        self.assertEqual(p.text, "not shown")

    def testNodeComboBox(self):
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "V")
        combo = self.add(slicer.qMRMLNodeComboBox(), "volume")
        combo.noneEnabled = True
        combo.setMRMLScene(slicer.mrmlScene)
        self.parameters.connectGui(self.panel)
        self.assertEqual(combo.nodeTypes, ("vtkMRMLScalarVolumeNode",))
        self.assertIsNone(combo.currentNode())
        combo.setCurrentNode(volume)
        self.assertIs(self.parameters.volume, volume)
        self.parameters.volume = None
        self.assertIsNone(combo.currentNode())

    def testWidgetsThatDoNotFit(self):
        for widget, name in (
            (qt.QToolButton(), "flag"),
            (qt.QPlainTextEdit(), "text"),
            (qt.QLineEdit(), "number"),
            (qt.QSlider(), "real"),
            (ctk.ctkCollapsibleButton(), "flag"),
        ):
            with self.subTest(name=name), self.assertRaisesRegex(RuntimeError, "Unable to create GUI connector"):
                self.parameters.connectParametersToGui({name: widget})
        with self.assertRaisesRegex(ValueError, "Cannot find a param with the given name: nosuch"):
            self.parameters.connectParametersToGui({"nosuch": qt.QLineEdit()})

    def testSlidersNeedBounds(self):
        @parameterNodeWrapper
        class Unbounded:
            real: float
            atLeast: Annotated[float, Minimum(0)]

        p = Unbounded(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
        for name in ("real", "atLeast"):
            with self.subTest(name=name), self.assertRaisesRegex(RuntimeError, "ctkSliderWidget .* unbounded"):
                p.connectParametersToGui({name: ctk.ctkSliderWidget()})
        p.connectParametersToGui({"real": qt.QDoubleSpinBox()})
