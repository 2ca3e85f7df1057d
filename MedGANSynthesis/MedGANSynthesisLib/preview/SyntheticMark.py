"""SyntheticMark: the word SYNTHETIC in the slice views, from the start of Slicer on, whichever module is shown."""

from __future__ import annotations

import slicer
from slicer.util import VTKObservationMixin

from ..SynthesisParameterNode import SynthesisParameterNode
from .CornerAnnotation import CornerAnnotation

_mark: SyntheticMark | None = None


class SyntheticMark(VTKObservationMixin):
    """Switches the corner annotation as the scene says: synthetic images are marked unless it says otherwise.

    Attributes:
        annotation: the ``CornerAnnotation``.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.annotation = CornerAnnotation()
        for event in (slicer.mrmlScene.EndCloseEvent, slicer.mrmlScene.EndImportEvent):
            self.addObserver(slicer.mrmlScene, event, self._readScene)
        slicer.app.connect("aboutToQuit()", self.cleanup)
        self._readScene()

    def setEnabled(self, enabled: bool) -> None:
        """Mark synthetic images from now on, or do not."""
        self.annotation.setEnabled(enabled)

    def cleanup(self) -> None:
        """The application ends."""
        self.removeObservers()
        self.annotation.cleanup()

    def _readScene(self, caller=None, event=None) -> None:
        node = slicer.mrmlScene.GetSingletonNode("MedGANSynthesis", "vtkMRMLScriptedModuleNode")
        self.setEnabled(node is None or SynthesisParameterNode(node).syntheticAnnotation)


def syntheticMark() -> SyntheticMark:
    """The one mark of the application, made by the first call; it outlives the panel and every reload of the module."""
    global _mark
    if _mark is None:
        _mark = SyntheticMark()
    return _mark


def showSyntheticMark() -> None:
    """Mark synthetic images from now on, if there are slice views."""
    if slicer.app.layoutManager() is not None:
        syntheticMark()
