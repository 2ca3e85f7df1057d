"""What the tests of MedGANTraining share: a panel with folders of its own, and a dataset that is measured quickly."""

import importlib.util
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import slicer
from medgan.bundle import Bundle
from slicer_fixtures import processEventsUntil

CAN_MEASURE = all(importlib.util.find_spec(name) for name in ("skimage", "scipy", "matplotlib"))


class TrainingPanelTest(unittest.TestCase):
    """The module, opened, with models and runs of its own in ``self.folder``."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, self.folder)
        self.models = self.folder / "models"
        places = {"MEDGAN_MODELS": str(self.models), "MEDGAN_RUNS": str(self.folder / "runs.json")}
        environment = mock.patch.dict(os.environ, places)
        environment.start()
        self.addCleanup(environment.stop)
        slicer.mrmlScene.Clear(0)
        self.open()
        self.addCleanup(self.close)

    def open(self):
        """Open the module as the module selector does."""
        slicer.util.selectModule("MedGANTraining")
        self.widget = slicer.util.getModuleWidget("MedGANTraining")
        self.widget.enter()

    def close(self):
        slicer.mrmlScene.Clear(0)
        self.widget.exit()

    @property
    def parameters(self):
        return self.widget.panel.parameters

    @property
    def logic(self):
        return self.widget.logic

    def section(self, name):
        return self.widget.panel.sections[name]

    def identity(self, name, task="denoise-ct", **fields):
        """A bundle that returns its input, outside of the installed ones."""
        return Bundle.create_identity(self.folder / name, task, **fields)

    def wait(self, condition, seconds=120.0):
        self.assertTrue(processEventsUntil(condition, seconds))
