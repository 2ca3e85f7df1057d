"""``slicer.app.layoutManager()``: the slice views of the layouts that MRML knows."""

import slicer
import vtk

from .native_qt import QtCore
from .qt_special import registerHostClass
from .slice_view import qMRMLSliceWidget


@registerHostClass
class qSlicerLayoutManager(QtCore.QObject):
    """The documented calls of qSlicerLayoutManager that need no rendering; there are no 3-D, table and plot views."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, sceneHost):
        super().__init__()
        self._sceneHost, self._widgets = sceneHost, {}
        for logic in sceneHost.sliceLogics.values():
            self._addWidget(logic)
        sceneHost.scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._onNodeAdded)
        self._layoutLogic = slicer.vtkMRMLLayoutLogic()
        self._layoutLogic.SetMRMLApplicationLogic(sceneHost.applicationLogic)
        self._layoutLogic.SetMRMLScene(sceneHost.scene)
        self._setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._layout = self._layoutNode().GetViewArrangement()
        self._mapViews()
        self._layoutNode().AddObserver(vtk.vtkCommand.ModifiedEvent, self._updateLayout)
        sceneHost.scene.AddObserver(slicer.vtkMRMLScene.EndBatchProcessEvent, self._updateLayout)

    def _addWidget(self, logic):
        widget = qMRMLSliceWidget()
        widget.setLogic(logic)
        self._widgets[logic.GetSliceNode().GetLayoutName()] = widget

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene, event, node):
        """Some layouts have further slice views, whose nodes come into the scene when the layout is chosen."""
        if node.IsA("vtkMRMLSliceNode") and node.GetLayoutName() not in self._widgets:
            self._addWidget(self._sceneHost.addSliceLogic(node))

    def _layoutNode(self):
        return self._layoutLogic.GetLayoutNode()

    def _updateLayout(self, caller, event):
        """A scene that closes or opens may change the layout and change it back: only what is left counts."""
        if slicer.mrmlScene.IsBatchProcessing():
            return
        self._mapViews()
        if self._layoutNode().GetViewArrangement() != self._layout:
            self._layout = self._layoutNode().GetViewArrangement()
            self.layoutChanged.emit(self._layout)

    def _mapViews(self):
        """Tell each slice node whether the layout shows its view."""
        shown = self._layoutLogic.GetViewNodes()
        for widget in self._widgets.values():
            widget.mrmlSliceNode().SetMappedInLayout(bool(shown.IsItemPresent(widget.mrmlSliceNode())))

    def _setLayout(self, layout):
        self._layoutNode().SetViewArrangement(layout)

    layout = QtCore.Property(int, lambda self: self._layout, _setLayout)
    threeDViewCount = QtCore.Property(int, lambda self: 0)
    tableViewCount = QtCore.Property(int, lambda self: 0)
    plotViewCount = QtCore.Property(int, lambda self: 0)

    def mrmlScene(self):
        return slicer.mrmlScene

    def sliceViewNames(self):
        return list(self._widgets)

    def sliceWidget(self, name):
        return self._widgets.get(name)

    def mrmlSliceLogics(self):
        collection = vtk.vtkCollection()
        for widget in self._widgets.values():
            collection.AddItem(widget.sliceLogic())
        return collection

    def resetSliceViews(self):
        for widget in self._widgets.values():
            widget.sliceLogic().FitSliceToAll()

    def pauseRender(self):
        for widget in self._widgets.values():
            widget.sliceView().pauseRender()

    def resumeRender(self):
        for widget in self._widgets.values():
            widget.sliceView().resumeRender()

    def setRenderPaused(self, pause):
        if pause:
            self.pauseRender()
        else:
            self.resumeRender()
