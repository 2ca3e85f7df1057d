"""MedGAN Synthesis: applies image-to-image generators to volumes of the scene. MedGANSynthesisLib does the work."""

from __future__ import annotations

import contextlib

import slicer
from MedGANSynthesisLib.startup import extendSlicer
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from MedGANSynthesisLib.SynthesisParameterNode import SynthesisParameterNode
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


class MedGANSynthesis(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedGAN Synthesis")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = ["Markups", "Segmentations", "Volumes"]
        self.parent.contributors = ["MedGAN contributors"]
        self.parent.helpText = _(
            "Turn one volume into another with a trained generator, for example a low-dose CT into a clean one. "
            "Results are synthetic: they are computed by a neural network and not acquired by a scanner."
        )
        link = _('For more information, see the <a href="{url}">online documentation</a>.').format(url=DOCUMENTATION)
        self.parent.helpText += f"<p>{link}</p>"
        self.parent.acknowledgementText = _(
            "MedGAN reimplements published methods; each model card names the publication and the training data."
        )
        slicer.app.connect("startupCompleted()", extendSlicer)


class MedGANSynthesisWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's life: made, entered, left, and its scene closed or imported. ``Panel`` does the rest.

    Attributes:
        ui: the child widgets by name.
        panel: the ``Panel``; ``panel.parameters`` is the parameter node while the module is shown.
    """

    logic = panel = None
    _root = None

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self) -> None:
        """Build the panel. Called once."""
        from MedGANSynthesisLib.panel.Panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        self._root = slicer.util.loadUI(self.resourcePath("UI/MedGANSynthesis.ui"))
        self.layout.addWidget(self._root)
        self.ui = slicer.util.childWidgetVariables(self._root)
        self._root.setMRMLScene(slicer.mrmlScene)
        self.logic = MedGANSynthesisLogic()
        self.panel = Panel(self, self._root, self.ui, self.logic)
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
        """Leave nothing behind: no job, no observer, no process, no shared memory; also after half a ``setup``."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()
        if self.logic is not None:
            self.logic.stopEngine()
        if self._root is not None:
            self._root.deleteLater()  # a reload would only hide it, and its selectors would go on following the scene

    def enter(self) -> None:
        """The user opens the module."""
        if self.panel is not None:
            self.initializeParameterNode()

    def exit(self) -> None:
        """The user opens another module; a running job goes on."""
        if self.panel is not None:
            self.panel.setParameterNode(None)

    def synthesize(self, volumeNode) -> None:
        """Choose a volume to work on, as "Synthesize..." in the subject hierarchy does."""
        self.logic.getParameterNode().sourceVolume = volumeNode

    def onSceneStarts(self, caller=None, event=None) -> None:
        """The scene is about to change as a whole, and the parameter node with it."""
        self.panel.setParameterNode(None)

    def onSceneEnds(self, caller=None, event=None) -> None:
        """Show what the scene holds now, if the module is shown."""
        self.panel.sceneReplaced()
        if getattr(self.parent, "isEntered", False):
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Make sure there is a parameter node; propose a volume as source."""
        from MedGANSynthesisLib.panel.views import defaultSource

        parameters = self.logic.getParameterNode()
        if parameters.sourceVolume is None:
            parameters.sourceVolume = defaultSource()
        self.panel.setParameterNode(parameters)


class MedGANSynthesisLogic(SynthesisLogic, ScriptedLoadableModuleLogic):
    """``apply``, ``models``, ``undo``, ``redo``: see ``SynthesisLogic``; with the parameter node of the panel."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        SynthesisLogic.__init__(self)

    def getParameterNode(self) -> SynthesisParameterNode:
        """The one parameter node of the scene."""
        return SynthesisParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))


class MedGANSynthesisTest(ScriptedLoadableModuleTest):
    """The identity generator through logic and panel; the full tests are in Testing/Python."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for test in (self.test_registry, self.test_identityKeepsEveryVoxel, self.test_panel):
            self.setUp()
            test()

    def test_registry(self):
        from MedGANSynthesisLib.effects import effects

        found = effects()
        self.assertEqual([effect.order for effect in found], sorted(effect.order for effect in found))
        self.assertGreaterEqual(len({effect.key for effect in found}), 6)
        for effect in found:
            self.assertTrue(effect.title and effect.helpText and effect.iconPath, effect.key)

    def test_identityKeepsEveryVoxel(self):
        source, array = self.addVolume()
        logic = MedGANSynthesisLogic()
        with self.models() as bundle:
            output = logic.apply("denoise-ct", source, model=bundle)
            logic.stopEngine()
        self.assertTrue((slicer.util.arrayFromVolume(output) == array).all())
        self.assertEqual(output.GetName(), "CT denoised")

    def test_panel(self):
        """Choose, apply over the source, undo."""
        source, _array = self.addVolume()
        with self.models():
            slicer.util.selectModule("MedGANSynthesis")
            widget = slicer.util.getModuleWidget("MedGANSynthesis")
            widget.enter()
            slicer.util.findChild(widget.ui.effectsFrame, "denoise-ctEffectButton").click()
            widget.ui.sourceVolumeSelector.setCurrentNode(source)
            widget.ui.inPlaceCheckBox.checked = True
            widget.ui.applyButton.click()
            (job,) = widget.logic.jobs
            job.wait()
            self.assertEqual(source.GetAttribute("MedGAN.Task"), "denoise-ct")
            widget.ui.undoButton.click()
            self.assertIsNone(source.GetAttribute("MedGAN.Task"))
            widget.logic.stopEngine()
            slicer.mrmlScene.Clear()

    def addVolume(self):
        import numpy as np

        array = np.random.default_rng(1).integers(-1024, 3072, (5, 6, 7)).astype(np.int16)
        return slicer.util.addVolumeFromArray(array, name="CT"), array

    @contextlib.contextmanager
    def models(self):
        """An identity model, which computes without PyTorch, as the first one that is found."""
        import os
        import tempfile
        from pathlib import Path
        from unittest import mock

        from medgan.bundle import Bundle

        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"MEDGAN_MODELS": folder}):
            yield Bundle.create_identity(Path(folder) / "identity", task="denoise-ct")
