"""The slice views: their real nodes, logics, renderers and annotations, but nothing is ever rendered."""

import vtk

from .native_qt import QtCore, QtWidgets
from .qt_special import registerHostClass


@registerHostClass
class qMRMLSliceView(QtWidgets.QWidget):
    """The area of a slice view that shows pixels; requests to render are welcome and do nothing."""

    resized = QtCore.Signal(QtCore.QSize)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._sliceNode, self._paused = None, 0
        # What Slicer uses too; it needs no graphics card before it renders, which it never does here.
        self._renderWindow = vtk.vtkGenericOpenGLRenderWindow()
        renderers = [vtk.vtkRenderer() for _layer in ("image", "overlay", "orientation marker")]
        self._renderWindow.SetNumberOfLayers(len(renderers))
        for layer, renderer in enumerate(renderers):
            renderer.SetLayer(layer)
            self._renderWindow.AddRenderer(renderer)
        renderers[2].SetViewport(0.8, 0.0, 1.0, 0.2)  # once the marker is shown
        self._cornerAnnotation = vtk.vtkCornerAnnotation()
        self.overlayAnnotation = vtk.vtkCornerAnnotation()
        renderers[0].AddViewProp(self._cornerAnnotation)
        renderers[1].AddViewProp(self.overlayAnnotation)

    def mrmlSliceNode(self):
        return self._sliceNode

    def setMRMLSliceNode(self, node):
        self._sliceNode = node

    def cornerAnnotation(self):
        return self._cornerAnnotation

    def renderWindow(self):
        return self._renderWindow

    def scheduleRender(self):
        """Nothing to do: there are no pixels."""

    def forceRender(self):
        """Nothing to do: there are no pixels."""

    def pauseRender(self):
        self._paused += 1
        return self._paused

    def resumeRender(self):
        self._paused -= 1
        return self._paused

    def isRenderPaused(self):
        return self._paused > 0

    def convertXYZToRAS(self, xyz):
        return list(self._sliceNode.GetXYToRAS().MultiplyPoint((*map(float, xyz), 1.0))[:3])

    def convertRASToXYZ(self, ras):
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self._sliceNode.GetXYToRAS(), inverse)
        return list(inverse.MultiplyPoint((*map(float, ras), 1.0))[:3])

    def convertDeviceToXYZ(self, xy):
        """Device coordinates are those of the slice view, without the panes of a light box."""
        return [float(xy[0]), float(xy[1]), 0.0]


@registerHostClass
class qMRMLSliceWidget(QtWidgets.QWidget):
    """A slice view with its controller bar, of which the stand-in has the nodes and the logic."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic, self._view = None, qMRMLSliceView(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)

    def setLogic(self, logic):
        """Tell which slice logic of the scene this view shows (the stand-in's own way in)."""
        self._logic = logic
        self._view.setMRMLSliceNode(logic.GetSliceNode())

    sliceViewName = QtCore.Property(str, lambda self: self._logic.GetSliceNode().GetLayoutName())
    sliceViewLabel = QtCore.Property(str, lambda self: self._logic.GetSliceNode().GetLayoutLabel())
    sliceOrientation = QtCore.Property(
        str,
        lambda self: self._logic.GetSliceNode().GetOrientation(),
        lambda self, name: self._logic.GetSliceNode().SetOrientation(name),
    )

    def sliceView(self):
        return self._view

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def overlayCornerAnnotation(self):
        return self._view.overlayAnnotation

    def imageDataConnection(self):
        return self._logic.GetImageDataConnection()

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()
