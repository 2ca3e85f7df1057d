"""CornerAnnotation: the word SYNTHETIC in every slice view that shows what no scanner has acquired."""

from __future__ import annotations

import operator

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..attributes import NOTE_ATTRIBUTE
from .SliceViews import allSliceNodes, compositeNodeOf

_OVERLAY_LAYER = 1
_FONT_SIZE = 14  # that of Slicer's own annotations


class CornerAnnotation(VTKObservationMixin):
    """Marks slice views whose background or visible foreground is synthetic, as long as it is enabled.

    Slicer's DataProbe module writes into the corner annotation of a slice view whenever the view changes, so this is
    one of its own, in the renderer that lies over the image, and in the middle of the upper edge: DataProbe writes into
    the corners, and the lower right one belongs to the orientation marker.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self._enabled = False
        self._followed: list | None = None  # nodes; their IDs would not do, for a new scene gives them out again
        self._props: dict[str, tuple] = {}  # (annotation, its renderer) by the name of the view
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._update)

    def setEnabled(self, enabled: bool) -> None:
        """Mark synthetic views from now on, or remove the marks."""
        if enabled == self._enabled:
            return
        self._enabled = enabled
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:
            change = layoutManager.connect if enabled else layoutManager.disconnect
            change("layoutChanged(int)", self._changed)
        self._changed()
        if not enabled:
            self._timer.stop()
            self._letGo()
            for name in list(self._props):
                self._remove(name)

    def cleanup(self) -> None:
        """Remove all marks, observers and connections."""
        self.setEnabled(False)
        self._timer.disconnect("timeout()", self._update)

    def _changed(self, caller=None, event=None) -> None:
        """Look at all views once whatever happens now is over: new views are not ready yet when their nodes are."""
        if not self._timer.active:
            self._timer.start(0)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller, event, node) -> None:
        if node.IsA("vtkMRMLSliceNode") or node.IsA("vtkMRMLSliceCompositeNode") or node.IsA("vtkMRMLVolumeNode"):
            self._changed()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, caller, event, node) -> None:
        if any(node is followed for followed in self._followed or ()):
            self._letGo()
        self._onNodeAdded(caller, event, node)

    def _update(self) -> None:
        self._observe()
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        sliceNodes = allSliceNodes()
        for name in set(self._props) - {sliceNode.GetLayoutName() for sliceNode in sliceNodes}:
            self._remove(name)
        for sliceNode in sliceNodes:
            name, composite = sliceNode.GetLayoutName(), compositeNodeOf(sliceNode)
            widget = layoutManager.sliceWidget(name)
            if widget is not None and composite is not None and _showsSynthetic(composite):
                self._add(name, widget.sliceView())
            else:
                self._remove(name)

    def _observe(self) -> None:
        """Follow the composite nodes and the volumes they show: an image becomes synthetic when it is overwritten."""
        nodes = []
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            shown = (composite, *_volumes(composite))
            nodes += [node for node in shown if not any(node is other for other in nodes)]
        followed = self._followed
        if followed is not None and len(nodes) == len(followed) and all(map(operator.is_, nodes, followed)):
            return
        self._letGo()
        self._followed = nodes
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        for node in nodes:
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed)

    def _letGo(self) -> None:
        """Hold no node any more; the next update follows what is there then."""
        self._followed = None
        self.removeObservers()

    def _add(self, name: str, sliceView) -> None:
        if name in self._props:
            return
        annotation = vtk.vtkCornerAnnotation()
        annotation.SetText(vtk.vtkCornerAnnotation.UpperEdge, _("SYNTHETIC"))
        annotation.SetMinimumFontSize(_FONT_SIZE)
        annotation.SetMaximumFontSize(_FONT_SIZE)
        annotation.SetNonlinearFontScaleFactor(1)
        annotation.GetTextProperty().SetShadow(True)
        annotation.GetTextProperty().SetBold(True)
        slicer.app.applicationLogic().UseCustomFontFile(annotation.GetTextProperty())
        renderer = _overlayRenderer(sliceView.renderWindow())
        renderer.AddViewProp(annotation)
        self._props[name] = (annotation, renderer)
        sliceView.scheduleRender()

    def _remove(self, name: str) -> None:
        if name not in self._props:
            return
        annotation, renderer = self._props.pop(name)
        renderer.RemoveViewProp(annotation)
        layoutManager = slicer.app.layoutManager()
        widget = layoutManager.sliceWidget(name) if layoutManager is not None else None
        if widget is not None:
            widget.sliceView().scheduleRender()


def _showsSynthetic(compositeNode) -> bool:
    return any(volume.GetAttribute(NOTE_ATTRIBUTE) for volume in _volumes(compositeNode, visible=True))


def _volumes(compositeNode, visible: bool = False) -> list:
    """The volumes in background and foreground (``visible``: only if its opacity is not 0)."""
    ids = [compositeNode.GetBackgroundVolumeID()]
    if not visible or compositeNode.GetForegroundOpacity() > 0:
        ids.append(compositeNode.GetForegroundVolumeID())
    nodes = [slicer.mrmlScene.GetNodeByID(nodeID) for nodeID in ids if nodeID]
    return [node for node in nodes if node is not None]


def _overlayRenderer(renderWindow):
    """The renderer that covers the whole view, also where a light box divides it.

    It is the first of layer 1. Rulers and handles share that layer; the orientation marker lies above, in a renderer
    that covers a corner only.
    """
    renderers = renderWindow.GetRenderers()
    found = [renderers.GetItemAsObject(index) for index in range(renderers.GetNumberOfItems())]
    return next(renderer for renderer in found if renderer.GetLayer() == _OVERLAY_LAYER)
