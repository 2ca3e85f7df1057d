"""The option frames: every parameter has its widget, and what is shown, stored and applied is one thing."""

import dataclasses
import gc
import shutil
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import qt
import slicer
from medgan.bundle import Bundle
from medgan.network import NetworkSpec
from medgan.parameters import parameter
from MedGANSynthesisLib import effects
from MedGANSynthesisLib.effects.OptionsFrame import OptionsFrame
from MedGANSynthesisLib.effects.parameters import readParameters, writeParameter
from slicer_fixtures import addVolume, processEventsUntil, randomArray


@dataclass(frozen=True)
class PlainParameters:
    """What none of the built-in effects has."""

    radius: int = parameter(2, label="Radius", help="A radius.", unit="voxels", minimum=1, maximum=9)
    offset: float = parameter(0.5, label="Offset", help="An offset without bounds.", unit="HU")
    name: str = parameter("first", label="Name", help="A name.")


class PlainEffect(effects.GeneratorEffect):
    """An effect of another extension, with a row of its own."""

    key = "plain"
    title = "Plain"
    Parameters = PlainParameters

    def available(self, bundle):
        return {"radius", "offset", "name"}

    def setupOptionsFrame(self, frame):
        super().setupOptionsFrame(frame)
        self.button = qt.QPushButton("Measure")
        frame.addWidget("Own:", self.button)


class OptionsFrameTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        folder = Path(cls.folder)
        cls.identity = Bundle.create_identity(folder / "identity", task="denoise-ct")
        cls.finer = Bundle.create_identity(
            folder / "finer", task="superres-mr", network=NetworkSpec(dimensions=3, scale=(1, 2, 4))
        )
        cls.color = Bundle.create_identity(folder / "color", task="stain", channels=3)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        self.changes = []

    def frame(self, effect, bundle=None):
        effect = effects.effect(effect) if isinstance(effect, str) else effect
        frame = OptionsFrame(effect, self.node, self.changes.append)
        self.addCleanup(frame.cleanup)
        frame.setBundle(bundle)
        return frame

    def values(self, frame):
        return readParameters(frame.effect, self.node)

    def test_everyParameterHasARowThatExplainsItself(self):
        for effect in effects.effects():
            frame = self.frame(effect)
            for field in dataclasses.fields(effect.Parameters):
                self.assertIn(field.metadata["help"], frame.editor(field.name).toolTip)
            labels = [label.text for label in frame.widget.findChildren(qt.QLabel)]
            for field in dataclasses.fields(effect.Parameters):
                self.assertIn(f"{field.metadata['label']}:", labels)
        self.assertEqual(self.changes, [])

    def test_sliderCheckBoxAndList(self):
        frame = self.frame("custom", self.identity)
        frame.editor("strength").value = 0.25
        frame.editor("enhancementOnly").click()
        frame.editor("spread").currentIndex = 2
        frame.editor("spreadSamples").value = 12
        values = self.values(frame)
        expected = (0.25, True, "dropout", 12)
        self.assertEqual((values.strength, values.enhancementOnly, values.spread, values.spreadSamples), expected)
        self.assertEqual(self.changes, ["strength", "enhancementOnly", "spread", "spreadSamples"])

    def test_choicesAreWords(self):
        frame = self.frame("mr-to-ct")
        for name in ("spread", "orientations"):
            box = frame.editor(name)
            choices = type(self.values(frame)).__dataclass_fields__[name].metadata["choices"]
            texts = [box.itemText(index) for index in range(box.count)]
            self.assertEqual(len(texts), len(choices))
            for text, choice in zip(texts, choices, strict=True):
                self.assertGreater(len(text), 2)
                self.assertNotEqual(text, choice)

    def test_onlyWhatMakesSenseIsEnabled(self):
        frame = self.frame("custom", self.identity)
        self.assertTrue(frame.editor("strength").enabled)
        self.assertFalse(frame.editor("targetSpacingMm").enabled)
        self.assertIn("no use", frame.editor("targetSpacingMm").toolTip)
        self.assertFalse(frame.editor("spreadSamples").enabled)  # there is no spread
        self.assertNotIn("no use", frame.editor("spreadSamples").toolTip)
        frame.editor("spread").currentIndex = 2
        self.assertTrue(frame.editor("spreadSamples").enabled)
        frame.setBundle(self.finer)
        self.assertFalse(frame.editor("strength").enabled)
        self.assertTrue(frame.editor("targetSpacingMm").enabled)
        frame.setBundle(self.color)
        self.assertTrue(frame.editor("referenceNode").enabled)
        frame.setBundle(None)
        for field in dataclasses.fields(frame.effect.Parameters):
            self.assertFalse(frame.editor(field.name).enabled)

    def test_targetSpacingIsProposedFromSourceAndModel(self):
        frame = self.frame("superres-mr", self.finer)
        source = addVolume(randomArray(), hounsfield=False)
        source.SetSpacing(1.0, 2.0, 3.0)
        frame.setSourceVolume(source)
        editor = frame.editor("targetSpacingMm")
        automatic = editor.findChild(qt.QCheckBox, "automatic")
        boxes = [editor.findChild(qt.QDoubleSpinBox, axis) for axis in "ijk"]
        self.assertTrue(automatic.checked)
        self.assertEqual([box.value for box in boxes], [0.25, 1.0, 3.0])
        self.assertFalse(any(box.enabled for box in boxes))
        self.assertTrue(all("mm" in box.suffix for box in boxes))
        automatic.click()
        self.assertEqual(self.values(frame).targetSpacingMm, (0.25, 1.0, 3.0))
        self.assertTrue(all(box.enabled for box in boxes))
        boxes[1].value = 0.5
        self.assertEqual(self.values(frame).targetSpacingMm, (0.25, 0.5, 3.0))
        automatic.click()
        self.assertIsNone(self.values(frame).targetSpacingMm)
        self.assertEqual([box.value for box in boxes], [0.25, 1.0, 3.0])
        frame.setSourceVolume(None)
        self.assertEqual(self.changes, ["targetSpacingMm"] * 3)

    def test_referenceIsANodeOfTheScene(self):
        reference = addVolume(randomArray((2, 4, 5, 3), np.uint8), hounsfield=False, name="Slide")
        addVolume(randomArray(), name="Gray")
        frame = self.frame("stain", self.color)
        selector = frame.editor("referenceNode")
        self.assertIsNone(selector.currentNode())
        self.assertEqual(selector.nodeCount(), 1)
        selector.setCurrentNode(reference)
        self.assertIs(self.values(frame).referenceNode, reference)
        slicer.mrmlScene.RemoveNode(reference)
        self.assertIsNone(self.values(frame).referenceNode)
        self.assertIsNone(selector.currentNode())

    def test_whatTheNodeHoldsIsShown(self):
        effect = effects.effect("custom")
        writeParameter(effect, self.node, "strength", 0.5)
        writeParameter(effect, self.node, "targetSpacingMm", (0.123456, 1.0, 1.0))
        frame = self.frame("custom", self.identity)
        self.assertEqual(frame.editor("strength").value, 0.5)
        writeParameter(effect, self.node, "strength", 0.75)
        writeParameter(effect, self.node, "orientations", "all")
        frame.refresh()
        self.assertEqual(frame.editor("strength").value, 0.75)
        self.assertEqual(frame.editor("orientations").currentIndex, 2)
        self.assertEqual(self.changes, [])
        self.assertEqual(self.values(frame).targetSpacingMm, (0.123456, 1.0, 1.0))  # showing does not round

    def test_plainNumbersAndTextOfOthers(self):
        effect = PlainEffect()
        frame = self.frame(effect, self.identity)
        self.assertIn("voxels", frame.editor("radius").suffix)
        self.assertEqual((frame.editor("radius").minimum, frame.editor("radius").maximum), (1, 9))
        frame.editor("radius").value = 4
        frame.editor("offset").value = -250.0
        frame.editor("name").text = "second"
        frame.editor("name").editingFinished.emit()
        self.assertEqual(self.values(frame), PlainParameters(4, -250.0, "second"))
        self.assertIn(effect.button, frame.widget.findChildren(qt.QPushButton))
        with self.assertRaises(KeyError):
            frame.addParameter("nothing")

    def test_aNumberIsTakenWhenItIsComplete(self):
        """Each digit on the way would start a preview of its own."""
        frame = self.frame(PlainEffect(), self.identity)
        for name in ("offset", "radius"):
            box = frame.editor(name)
            box.findChild(qt.QLineEdit).text = "7"
            self.assertEqual(self.changes, [], name)
            box.interpretText()
            self.assertEqual(self.changes, [name])
            self.changes.clear()

    def test_anOptionMayLeadToAnotherEffect(self):
        """The widget whose signal is being delivered, and the frame around it, must live until that is over."""
        frame = self.frame(PlainEffect(), self.identity)
        button, alive = frame.effect.button, []

        def leave():
            frame.cleanup()
            gc.collect()
            alive.append(bool(button) and button.text == "Measure")

        button.connect("clicked()", leave)
        button.click()
        self.assertEqual(alive, [True])
        self.assertTrue(processEventsUntil(lambda: not button))

    def test_cleanedUpItLetsGo(self):
        reference = addVolume(randomArray((2, 4, 5, 3), np.uint8), hounsfield=False)
        frame = self.frame("stain", self.color)
        selector, slider = frame.editor("referenceNode"), frame.editor("strength")
        selector.setCurrentNode(reference)
        frame.cleanup()
        self.assertIsNone(frame.widget)
        self.assertIsNone(selector.mrmlScene())
        self.assertIs(readParameters(frame.effect, self.node).referenceNode, reference)
        slider.value = 0.1
        frame.refresh()
        frame.cleanup()
        self.assertEqual(readParameters(frame.effect, self.node).strength, 1.0)
        self.assertEqual(self.changes, ["referenceNode"])
