"""``slicer.app.layoutManager()``: the three slice views with their real nodes and logics, nothing that renders."""

import vtk

from .qt_wrapper import wrapperClass


def makeSliceWidgetClass():
    from .native_qt import QtWidgets

    class qMRMLSliceWidget(QtWidgets.QWidget):
        """A slice view without pixels: node, composite node and logic."""

        _logic = None

        def sliceLogic(self):
            return self._logic

        def mrmlSliceNode(self):
            return self._logic.GetSliceNode()

        def mrmlSliceCompositeNode(self):
            return self._logic.GetSliceCompositeNode()

        def fitSliceToBackground(self):
            self._logic.FitSliceToBackground()

    return qMRMLSliceWidget


class LayoutManager:
    """The documented calls of qSlicerLayoutManager that need no rendering."""

    def __init__(self, host):
        nativeClass = makeSliceWidgetClass()
        self._logics = host.sliceLogics
        self._widgets = {}
        for name, logic in self._logics.items():
            widget = wrapperClass(nativeClass)()
            widget._native._logic = logic
            self._widgets[name] = widget

    def sliceViewNames(self):
        return tuple(self._widgets)

    def sliceWidget(self, name):
        return self._widgets.get(name)

    def mrmlSliceLogics(self):
        collection = vtk.vtkCollection()
        for logic in self._logics.values():
            collection.AddItem(logic)
        return collection

    def resetSliceViews(self):
        for logic in self._logics.values():
            logic.FitSliceToAll()

    def __getattr__(self, name):
        raise AttributeError(f"The MedGAN test host's layoutManager has no '{name}'")
