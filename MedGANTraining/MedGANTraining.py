"""MedGAN Training: makes datasets of volumes, trains generators, measures them. MedGANTrainingLib does the work."""

from __future__ import annotations

import contextlib

import slicer
from MedGANTrainingLib.TrainingLogic import TrainingLogic
from MedGANTrainingLib.TrainingParameterNode import TrainingParameterNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Slicer's own documentation, to which modules link by default, has no pages of extensions.
DOCUMENTATION = "https://github.com/SlicerMedGAN/SlicerMedGAN#readme"


class MedGANTraining(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedGAN Training")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = ["MedGANSynthesis"]
        self.parent.contributors = ["MedGAN contributors"]
        self.parent.helpText = _(
            "Train a generator on your own volumes: make a dataset of pairs that are loaded or on disk, train, measure "
            "the result beside classical methods, and apply it in the module MedGAN Synthesis."
        )
        link = _('For more information, see the <a href="{url}">online documentation</a>.').format(url=DOCUMENTATION)
        self.parent.helpText += f"<p>{link}</p>"
        self.parent.acknowledgementText = _(
            "MedGAN reimplements published methods; the plan of a training names the publication."
        )


class MedGANTrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's life: made, entered, left, and its scene closed or imported. ``TrainingPanel`` does the rest.

    Attributes:
        ui: the child widgets by name.
        panel: the ``TrainingPanel``; ``panel.parameters`` is the parameter node while the module is shown.
    """

    logic = None
    panel = None
    _root = None

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self) -> None:
        """Build the panel. Called once."""
        from MedGANTrainingLib.TrainingPanel import TrainingPanel

        ScriptedLoadableModuleWidget.setup(self)
        self._root = slicer.util.loadUI(self.resourcePath("UI/MedGANTraining.ui"))
        self.layout.addWidget(self._root)
        self.ui = slicer.util.childWidgetVariables(self._root)
        self._root.setMRMLScene(slicer.mrmlScene)
        self.logic = MedGANTrainingLogic()
        self.panel = TrainingPanel(self.ui, self.logic)
        scene = slicer.mrmlScene
        for event, handler in (
            (scene.StartCloseEvent, self.onSceneStarts),
            (scene.StartImportEvent, self.onSceneStarts),
            (scene.EndCloseEvent, self.onSceneEnds),
            (scene.EndImportEvent, self.onSceneEnds),
        ):
            self.addObserver(scene, event, handler)
        self.onSceneEnds()  # after a reload of the module nobody enters it

    def cleanup(self) -> None:
        """Leave nothing behind but a training that runs: no observer, no timer, no other process."""
        self.removeObservers()
        if self.panel is not None:  # else setup failed
            self.panel.cleanup()
        if self._root is not None:
            self._root.deleteLater()  # a reload would only hide it, and its selectors would go on following the scene

    def enter(self) -> None:
        """The user opens the module."""
        self.panel.setParameterNode(self.logic.getParameterNode())

    def exit(self) -> None:
        """The user opens another module; what runs goes on."""
        self.panel.setParameterNode(None)

    def onSceneStarts(self, caller=None, event=None) -> None:
        """The scene is about to change as a whole, and the parameter node with it."""
        self.panel.setParameterNode(None)
        if slicer.mrmlScene.IsClosing():
            self.panel.sceneCloses()

    def onSceneEnds(self, caller=None, event=None) -> None:
        """Show what the scene holds now, if the module is shown."""
        if getattr(self.parent, "isEntered", False):
            self.enter()


class MedGANTrainingLogic(TrainingLogic, ScriptedLoadableModuleLogic):
    """From pairs to a model, on the console: see ``TrainingLogic``; with the parameter node of the panel."""

    def getParameterNode(self) -> TrainingParameterNode:
        """The one parameter node of the scene."""
        return TrainingParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))


class MedGANTrainingTest(ScriptedLoadableModuleTest):
    """The panel and what needs neither torch nor network; the full tests are in Testing/Python."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for test in (self.test_panel, self.test_datasetOfTheScene, self.test_handOver):
            self.setUp()
            test()

    def test_panel(self):
        """The sections are there, follow the parameter node, and let go of it."""
        slicer.util.selectModule("MedGANTraining")
        widget = slicer.util.getModuleWidget("MedGANTraining")
        widget.enter()
        self.assertEqual(list(widget.panel.sections), ["dataset", "plan", "run", "evaluation"])
        for section in widget.panel.sections.values():
            self.assertIs(section.parameters, widget.panel.parameters)
        widget.exit()
        self.assertIsNone(widget.panel.parameters)

    def test_datasetOfTheScene(self):
        """A pair of volumes becomes a case, which survives the scene."""
        logic = MedGANTrainingLogic()
        with self.folders() as folder:
            draft = logic.createDataset(folder / "data", "denoise-ct", register="")
            case = logic.addPair(draft, self.addVolume("low dose", 1), self.addVolume("full dose", 2), "p1", force=True)
            slicer.mrmlScene.Clear()
            self.assertEqual([one.id for one in logic.openDataset(folder / "data").cases], [case.id])

    def test_handOver(self):
        """A model is installed with its license, and found."""
        from medgan.bundle import Bundle
        from medgan.bundle_search import find_bundles

        logic = MedGANTrainingLogic()
        with self.folders() as folder:
            run = Bundle.create_identity(folder / "run" / "bundle", task="denoise-ct").path.parent
            installed = logic.install(run, "Module test", "CC0-1.0")
            self.assertIn(installed.name, [bundle.name for bundle in find_bundles("denoise-ct")])
            self.assertEqual(installed.licence, "CC0-1.0")

    def addVolume(self, name, seed):
        import numpy as np

        array = np.random.default_rng(seed).integers(-1024, 3072, (5, 16, 17)).astype(np.int16)
        return slicer.util.addVolumeFromArray(array, name=name)

    @contextlib.contextmanager
    def folders(self):
        """A folder to work in, with installed models and runs of its own."""
        import os
        import tempfile
        from pathlib import Path
        from unittest import mock

        with tempfile.TemporaryDirectory() as folder:
            places = {"MEDGAN_MODELS": f"{folder}/models", "MEDGAN_RUNS": f"{folder}/runs.json"}
            with mock.patch.dict(os.environ, places):
                yield Path(folder)
