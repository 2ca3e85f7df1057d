"""DisplayLink: a preview looks as its source does, also while the user changes window and level of either."""

from __future__ import annotations

import slicer
import vtk
from slicer.util import VTKObservationMixin


class DisplayLink(VTKObservationMixin):
    """Gives a preview a display node like that of its source and keeps both alike until ``cleanup``.

    In a slice view the mouse adjusts the foreground, so what is done to the preview is done to the source as well;
    otherwise before and after could not be compared.

    Args:
        model: display node of the source.
        previewNode: the volume node that gets the display node.
    """

    def __init__(self, model, previewNode):
        VTKObservationMixin.__init__(self)
        self._busy = False
        display = previewNode.GetScene().CreateNodeByClass(model.GetClassName())
        display.UnRegister(None)
        display.SetSaveWithScene(False)
        self._model, self._display = model, previewNode.GetScene().AddNode(display)
        self._previewNode = previewNode
        self._follow()
        previewNode.SetAndObserveDisplayNodeID(self._display.GetID())
        self.addObserver(model, vtk.vtkCommand.ModifiedEvent, self._follow)
        self.addObserver(self._display, vtk.vtkCommand.ModifiedEvent, self._lead)

    def cleanup(self) -> None:
        """Let go of both."""
        self.removeObservers()
        self._model = self._display = self._previewNode = None

    def _follow(self, caller=None, event=None) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            with slicer.util.NodeModify(self._display):
                self._display.CopyContent(self._model)
                # That is more than the look: it has connected the display to the voxels of the source.
                self._display.SetInputImageDataConnection(self._previewNode.GetImageDataConnection())
                if self._model.GetColorNodeID() is not None:
                    self._display.SetAndObserveColorNodeID(self._model.GetColorNodeID())
                if self._display.IsA("vtkMRMLScalarVolumeDisplayNode"):
                    self._display.SetAutoWindowLevel(False)
                    self._display.SetWindowLevel(self._model.GetWindow(), self._model.GetLevel())
        finally:
            self._busy = False

    def _lead(self, caller=None, event=None) -> None:
        model, display = self._model, self._display
        if self._busy or model.GetScene() is None or not display.IsA("vtkMRMLScalarVolumeDisplayNode"):
            return
        if (display.GetWindow(), display.GetLevel()) != (model.GetWindow(), model.GetLevel()):
            self._busy = True
            try:
                with slicer.util.NodeModify(model):
                    model.SetAutoWindowLevel(False)
                    model.SetWindowLevel(display.GetWindow(), display.GetLevel())
            finally:
                self._busy = False
