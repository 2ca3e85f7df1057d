"""What the tests of the panel share: models that need no torch, and a user's hands."""

import os
import shutil
import signal
import tempfile
import unittest
from pathlib import Path
from typing import ClassVar

import slicer
from medgan.bundle import Bundle
from medgan.client import Client
from MedGANSynthesisLib import engineClient
from MedGANSynthesisLib.QProcessTransport import QProcessTransport
from slicer_fixtures import addVolume, nodeIDs, processEventsUntil, randomArray

TASK = "denoise-ct"


class PanelTest(unittest.TestCase):
    """A panel with models of its own: ``models`` maps their names to the keywords of ``Bundle.create_identity``."""

    models: ClassVar = {"identity": {"task": TASK}}
    worker = None  # the command of a worker to which the name of a model says what its generator does

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        for name, fields in cls.models.items():
            Bundle.create_identity(Path(cls.folder) / name, **{"title": name, **fields})
        cls.before = os.environ.get("MEDGAN_MODELS")
        os.environ["MEDGAN_MODELS"] = cls.folder
        engineClient.stopEngine()
        cls.client = engineClient._client
        if cls.worker is not None:
            engineClient._client = Client(QProcessTransport(command=cls.worker))

    @classmethod
    def tearDownClass(cls):
        engineClient.stopEngine()
        engineClient._client = cls.client
        os.environ.pop("MEDGAN_MODELS")
        if cls.before is not None:
            os.environ["MEDGAN_MODELS"] = cls.before
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.enter()

    def tearDown(self):
        self.widget.logic.cancelAll()

    def enter(self):
        """Open the module as the module selector does."""
        slicer.util.selectModule("MedGANSynthesis")
        self.widget = slicer.util.getModuleWidget("MedGANSynthesis")
        self.widget.enter()
        self.ui = self.widget.ui

    @property
    def parameters(self):
        return self.widget.panel.parameters

    def choose(self, effect=TASK, source=None, model=None):
        """Press the button of an effect, select a source (a new CT if none is given) and a model."""
        self.press(effect)
        node = source if source is not None else addVolume(randomArray())
        self.ui.sourceVolumeSelector.setCurrentNode(node)
        self.assertIs(self.parameters.sourceVolume, node)
        if model is not None:
            self.chooseModel(model)
        return node

    def press(self, effect):
        self.button(effect).click()
        self.assertEqual(self.parameters.effect, effect)

    def button(self, effect):
        return slicer.util.findChild(self.ui.effectsFrame, f"{effect or 'none'}EffectButton")

    def chooseModel(self, name):
        self.ui.modelComboBox.currentIndex = self.modelNames().index(name)
        self.assertEqual(self.widget.panel.bundle.title, name)

    def modelNames(self):
        return [self.ui.modelComboBox.itemText(index) for index in range(self.ui.modelComboBox.count)]

    def settle(self):
        """Let the panel see what was changed in the scene."""
        self.assertTrue(processEventsUntil(lambda: not self.widget.panel._soon.pending))

    def finish(self):
        """Let the application run until no job is left."""
        self.assertTrue(processEventsUntil(lambda: not self.widget.logic.jobs))

    def apply(self):
        """Press Apply and wait for the end. Returns the image nodes that are new."""
        before = nodeIDs()
        self.assertEqual(self.ui.applyButton.text, "Apply")
        self.assertTrue(self.ui.applyButton.enabled, self.ui.applyButton.toolTip)
        self.ui.applyButton.click()
        self.finish()
        return self.newImages(before)

    def newImages(self, before):
        nodes = [slicer.mrmlScene.GetNodeByID(nodeID) for nodeID in sorted(nodeIDs() - before)]
        return [node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode")]

    def verdict(self):
        """The text of the verdict line, once it has settled."""
        self.settle()
        self.assertTrue(processEventsUntil(lambda: self.widget.panel._verdict.settled))
        return self.ui.applicabilityLabel.text

    def assertOneLine(self, *words):
        """The status line is an error of one line with these words."""
        text = self.ui.statusLabel.text
        self.assertIn("!</b>", text)
        self.assertNotIn("<br>", text)
        self.assertNotIn("\n", text)
        for word in words:
            self.assertIn(word, text)


def kill(pid):
    """End a process without asking it."""
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
