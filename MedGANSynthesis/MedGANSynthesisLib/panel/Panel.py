"""Panel: the boxes of the panel around one parameter node; every change goes through ``update``."""

from __future__ import annotations

import slicer
import vtk
from medgan.errors import MedGANError
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..effects import registry
from ..effects.parameters import readParameters
from .AnnotationBox import AnnotationBox
from .DeviceBox import DeviceBox
from .EffectBar import EffectBar
from .JobBox import JobBox
from .Later import Later
from .MaskBox import MaskBox
from .ModelBox import ModelBox
from .NodeFollower import NodeFollower
from .OptionsBox import OptionsBox
from .OutputBox import OutputBox
from .PreviewBox import PreviewBox
from .ProvenanceBox import ProvenanceBox
from .Shortcuts import Shortcuts
from .VerdictLine import VerdictLine


class Panel(VTKObservationMixin):
    """Shows and follows a parameter node.

    Args:
        moduleWidget: the widget object of the module; effects get it when they are activated.
        root: the widget made from the .ui file.
        ui, logic: its child widgets, and what computes.

    Attributes:
        parameters: the parameter node while the module is shown, else None.
        effect: what is chosen, None if nothing is.
        refusal: why the effect cannot take the source, '' if it can.
    """

    def __init__(self, moduleWidget, root, ui, logic):
        VTKObservationMixin.__init__(self)
        self.moduleWidget, self.root, self.ui, self.logic = moduleWidget, root, ui, logic
        self.registry = registry
        self.parameters = self._guiTag = None
        self.effect = None
        self.refusal = ""
        events = (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, vtk.vtkCommand.ModifiedEvent)
        self._source = NodeFollower(events, self.updateSoon)
        self._models, self._verdict, self._jobs = ModelBox(self), VerdictLine(self), JobBox(self)
        self._mask, self._output, self._devices = MaskBox(self), OutputBox(self), DeviceBox(self)
        self._provenance = ProvenanceBox(self)
        choices = (EffectBar(self), self._models, OptionsBox(self), self._mask, self._output)
        consequences = (
            self._verdict,
            self._jobs,
            PreviewBox(self),
            self._devices,
            self._provenance,
            AnnotationBox(self),
        )
        self._boxes = (*choices, *consequences)
        self._shortcuts = Shortcuts(root, {"Z": self._jobs.undo, "Y": self._jobs.redo})
        self._soon = Later(0, self.update)
        registry.addObserver(self.update)

    @property
    def source(self):
        """The source volume, None if there is none."""
        return self._source.node

    @property
    def bundle(self):
        """The chosen model, None without effect or if none is installed."""
        return self._models.bundle if self.effect is not None else None

    def setParameterNode(self, parameters) -> None:
        """Show and follow a parameter node (``SynthesisParameterNode``), or none."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.removeObservers()
            for box in self._boxes:
                box.leave()
            self.effect = None
            self._source.follow(None)
        self.parameters, self._guiTag = parameters, None
        self._shortcuts.setEnabled(parameters is not None)
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            # Not the wrapper: the mixin keeps what it has observed, and there is a new wrapper at every entry.
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onModified)
            self.update()

    def updateSoon(self, caller=None, event=None) -> None:
        """Update after a node has changed that others may be in the middle of changing."""
        self._soon.request()

    def update(self) -> None:
        """Bring everything in line with the parameters, the scene and the jobs."""
        if self.parameters is None:
            return
        # What the boxes correct on the way comes as one modification at the end, and brings us here again.
        with slicer.util.NodeModify(self.parameters.parameterNode):
            self.effect = registry.effect(self.parameters.effect) if self.parameters.effect else None
            self._source.follow(self.parameters.sourceVolume)
            self.refusal = self.effect.accepts(self.source) if self.effect and self.source else ""
            for box in self._boxes:
                box.update()

    def cleanup(self) -> None:
        """Leave nothing behind: no job, no observer, no timer, no shortcut."""
        registry.removeObserver(self.update)
        self.setParameterNode(None)
        for box in self._boxes:
            box.cleanup()
        self._shortcuts.cleanup()
        self._soon.cleanup()
        self.removeObservers()

    def sceneReplaced(self) -> None:
        """The scene was closed or another one came into it, whether the module is shown or not."""
        self.logic.gate.history.prune()

    def obstacle(self) -> str:
        """Why nothing can be applied or previewed, in one sentence; '' if something can."""
        if self.effect is None:
            return _("Choose an effect first.")
        if self.source is None:
            return _("Choose a source volume first.")
        if self.bundle is None:
            return _("No model for this effect is installed; add one with Manage.")
        return self.refusal

    def outputObstacle(self) -> str:
        """Why the chosen output volume cannot take the result, in one sentence; '' if it can."""
        return self._output.obstacle()

    def arguments(self) -> dict:
        """What is chosen, as keywords of ``logic.apply``. Raises MedGANError: something is missing or does not fit."""
        return {
            "model": self.bundle,
            "device": self.parameters.device,
            **self._effectArguments(),
            **self._mask.keywords(),
            **self._output.keywords(),
        }

    def applyOptions(self):
        """What shapes the image, as the engine's ``ApplyOptions``; the spread does not. Raises MedGANError."""
        try:
            arguments = self._effectArguments()
            for name in ("spread", "spreadSamples", "ensemble"):
                arguments.pop(name, None)
            return self.logic.applyOptions(**arguments)
        except TypeError as error:  # of an effect that somebody else wrote; the panel has to stay alive
            message = _("The options of '{effect}' cannot be used ({reason}); report it to the maker of the effect.")
            raise MedGANError(message.format(effect=self.effect.title, reason=error)) from error

    def maskKeywords(self) -> dict:
        """The mask as keywords of ``logic.apply``. Raises InputError: something is not chosen yet."""
        return self._mask.keywords()

    def deviceUsed(self) -> str:
        """The device that computed the last result, '' if there is none."""
        return self._provenance.deviceUsed()

    def showProvenanceOf(self, node) -> None:
        """Show how this output was made."""
        self._provenance.show(node)

    def onJobDone(self) -> None:
        """A job ended, whether the module is shown or not."""
        self._devices.ask()
        self.update()

    def _effectArguments(self) -> dict:
        values = readParameters(self.effect, self.parameters.parameterNode)
        return self.effect.arguments(values, self.bundle)

    def _onModified(self, caller=None, event=None) -> None:
        self.update()
