"""MedGAN Synthesis: applies image-to-image generators to volumes of the scene. MedGANSynthesisLib does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qt
import slicer
import vtk
from medgan.errors import Cancelled, InputError, MedGANError
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from MedGANSynthesisLib.SynthesisParameterNode import MaskMode, SynthesisParameterNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from MedGANSynthesisLib.SynthesisJob import SynthesisJob

TASK = "denoise-ct"
# Slicer's own documentation, to which modules link by default, has no pages of extensions.
DOCUMENTATION = "https://github.com/SlicerMedGAN/SlicerMedGAN#readme"


class MedGANSynthesis(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedGAN Synthesis")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = ["Segmentations", "Volumes"]
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


class MedGANSynthesisWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    logic = None
    _parameterNode = None
    _guiTag = None
    _job = None
    _outcome = ""
    _models = ()
    _segments = ()

    def setup(self) -> None:
        """Build the panel. Called once."""
        from MedGANSynthesisLib.Remark import Remark

        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/MedGANSynthesis.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = MedGANSynthesisLogic()
        self._remark = Remark()

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked()", self.onApplyOrCancel)
        self.ui.undoButton.connect("clicked()", lambda: self.onUndoOrRedo(self.logic.undo))
        self.ui.redoButton.connect("clicked()", lambda: self.onUndoOrRedo(self.logic.redo))
        self.ui.modelComboBox.connect("activated(int)", self.onModelChosen)
        self.ui.segmentComboBox.connect("activated(int)", self.onSegmentChosen)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Leave nothing behind: no job, no observer, no process."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
        self.setParameterNode(None)
        self.removeObservers()
        self.logic.stopEngine()

    def enter(self) -> None:
        """The user opens the module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """The user opens another module; a running job goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller=None, event=None) -> None:
        """The parameter node is about to go."""
        self.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None) -> None:
        """Show a new parameter node if the panel is open."""
        self.logic.gate.history.prune()
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Make sure there is a parameter node; propose the first volume as source."""
        self._fillModels()
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameterNode.sourceVolume is None:
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            images = (node for node in volumes if node.GetClassName() == "vtkMRMLScalarVolumeNode")
            self._parameterNode.sourceVolume = next(images, None)

    def setParameterNode(self, parameterNode: SynthesisParameterNode | None) -> None:
        """Show and follow a parameter node, or none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            node = self._parameterNode.parameterNode
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self._parameterNode, self._guiTag = parameterNode, None
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            # Not the wrapper: the mixin keeps what it has observed, and there is a new wrapper at every entry.
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
            self.updatePanel()

    def updatePanel(self, caller=None, event=None) -> None:
        """Bring everything that is not bound to a single parameter in line with the parameters and the job."""
        parameters = self._parameterNode
        if parameters is None:
            return
        names = [bundle.name for bundle in self._models]
        self.ui.modelComboBox.currentIndex = names.index(parameters.model) if parameters.model in names else 0
        self._fillSegments()
        masked = parameters.maskMode != MaskMode.Everywhere
        for widget in (self.ui.segmentationSelector, self.ui.segmentComboBox, self.ui.softEdgeSliderWidget):
            widget.enabled = masked
        self.ui.outputVolumeSelector.enabled = not parameters.inPlace
        running = self._job is not None
        ready = parameters.sourceVolume is not None and bool(names)
        self.ui.applyButton.text = _("Cancel") if running else _("Apply")
        self.ui.applyButton.enabled = running or ready
        tip = _("Compute the result.") if ready else _("Choose a source volume and a model first.")
        self.ui.applyButton.toolTip = _("Stop the computation. Nothing is changed.") if running else tip
        self.ui.progressBar.visible = running
        history = self.logic.gate.history
        self.ui.undoButton.enabled = not running and history.canUndo()
        self.ui.redoButton.enabled = not running and history.canRedo()
        self._updateStatus()

    def onApplyOrCancel(self) -> None:
        """Start a job, or stop the running one."""
        if self._job is not None:
            self._job.cancel()
            return
        parameters = self._parameterNode
        masked = parameters.maskMode != MaskMode.Everywhere
        self._outcome = ""
        try:
            if masked and parameters.segmentation is None:
                raise InputError(_("Masking is on, but no segmentation is selected; choose one or apply everywhere."))
            self._job = self.logic.apply(
                TASK,
                parameters.sourceVolume,
                model=self._model(),
                device=parameters.device.value,
                strength=parameters.strength,
                segmentationNode=parameters.segmentation if masked else None,
                segmentID=parameters.segmentID,
                maskMode=parameters.maskMode.value,
                softEdgeMm=parameters.softEdgeMm,
                outputNode=None if parameters.inPlace else parameters.outputVolume,
                inPlace=parameters.inPlace,
                secondOutput=parameters.secondOutput,
                wait=False,
                onProgress=self.onProgress,
                onDone=self.onDone,
            )
        except MedGANError as error:
            self._showError(error)
        if self._job is not None and self._job.finished:
            self._job = None
        self.updatePanel()

    def onProgress(self, job: SynthesisJob) -> None:
        """The job got on."""
        self.ui.progressBar.value = round(100 * job.progress)
        self._updateStatus()

    def onDone(self, job: SynthesisJob) -> None:
        """The job is done, failed or cancelled."""
        self._job = None
        self.ui.progressBar.value = 0
        try:
            outputNode = job.result()
            self._outcome = "\n".join([_("Done."), *job.notes])
            if outputNode is not None and slicer.app.layoutManager() is not None:
                slicer.util.setSliceViewerLayers(background=outputNode)
        except Cancelled as error:
            self._outcome = str(error)
        except Exception as error:
            self._showError(error)
        self.updatePanel()

    def onModelChosen(self, index: int) -> None:
        """The user chose a model."""
        self._parameterNode.model = self._models[index].name

    def onSegmentChosen(self, index: int) -> None:
        """The user chose a segment."""
        self._parameterNode.segmentID = self.ui.segmentComboBox.itemData(index)

    def onUndoOrRedo(self, step) -> None:
        """Take back what was written over last, or write it again."""
        self._outcome = ""
        try:
            step()
        except MedGANError as error:
            self._showError(error)
        self.updatePanel()

    def _showError(self, error: Exception) -> None:
        """One sentence in the panel and in a box, which opens after the running callback has returned."""
        self._outcome = str(error)
        qt.QTimer.singleShot(0, lambda: slicer.util.errorDisplay(str(error)))

    def _updateStatus(self) -> None:
        job = self._job
        if job is None and not self._models:
            self.ui.statusLabel.text = _(
                "No model is installed; put one into the folder .medgan/models of your home folder."
            )
        elif job is None:
            node = self._parameterNode.sourceVolume if self._parameterNode is not None else None
            self.ui.statusLabel.text = "\n".join(filter(None, [self._outcome, self._remark.text(self._model(), node)]))
        else:
            left = job.remainingSeconds
            time = _("About {seconds} s left.").format(seconds=max(1, round(left))) if left is not None else ""
            self.ui.statusLabel.text = f"{job.message} {time}".strip()

    def _model(self):
        return self._models[max(self.ui.modelComboBox.currentIndex, 0)] if self._models else None

    def _fillModels(self) -> None:
        self._models = self.logic.models(TASK)
        self.ui.modelComboBox.clear()
        for bundle in self._models:
            self.ui.modelComboBox.addItem(bundle.title)

    def _fillSegments(self) -> None:
        node, box = self._parameterNode.segmentation, self.ui.segmentComboBox
        segmentation = node.GetSegmentation() if node is not None else None
        ids = list(segmentation.GetSegmentIDs()) if segmentation is not None else []
        segments = [(segmentID, segmentation.GetSegment(segmentID).GetName()) for segmentID in ids]
        if segments != self._segments:
            self._segments = segments
            box.clear()
            for segmentID, name in segments:
                box.addItem(name, segmentID)
        if ids and self._parameterNode.segmentID not in ids:
            self._parameterNode.segmentID = ids[0]
        if ids:
            box.currentIndex = ids.index(self._parameterNode.segmentID)


class MedGANSynthesisLogic(SynthesisLogic, ScriptedLoadableModuleLogic):
    """``apply``, ``models``, ``undo``, ``redo``: see ``SynthesisLogic``; with the parameter node of the panel."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        SynthesisLogic.__init__(self)

    def getParameterNode(self) -> SynthesisParameterNode:
        """The one parameter node of the scene."""
        return SynthesisParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))


class MedGANSynthesisTest(ScriptedLoadableModuleTest):
    """A volume through the identity generator; the full tests are in Testing/Python."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_identityKeepsEveryVoxel()

    def test_identityKeepsEveryVoxel(self):
        import tempfile
        from pathlib import Path

        import numpy as np
        from medgan.bundle import Bundle

        array = np.random.default_rng(1).integers(-1024, 3072, (5, 6, 7)).astype(np.int16)
        source = slicer.util.addVolumeFromArray(array, name="CT")
        logic = MedGANSynthesisLogic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                bundle = Bundle.create_identity(Path(folder) / "identity", task=TASK)
                output = logic.apply(TASK, source, model=bundle)
        finally:
            logic.stopEngine()
        self.assertTrue(np.array_equal(slicer.util.arrayFromVolume(output), array))
        self.assertEqual(output.GetName(), "CT denoised")
