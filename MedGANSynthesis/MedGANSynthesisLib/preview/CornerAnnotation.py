"""CornerAnnotation: the word SYNTHETIC in every slice view that shows what no scanner has acquired."""

from __future__ import annotations

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..nodes import ATTRIBUTE_PREFIX
from .SliceViews import allSliceNodes, compositeNodeOf

NOTE_ATTRIBUTE = ATTRIBUTE_PREFIX + "Note"
_FONT_SIZE = 14  # that of Slicer's own annotations


class CornerAnnotation(VTKObservationMixin):
    """Marks slice views whose background or visible foreground is synthetic, as long as it is enabled.

    Slicer's DataProbe module writes into the corner annotation of a slice view whenever the view changes, so this is
    one of its own, in the renderer that lies over the image, and in the corner that DataProbe leaves free.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self._enabled = False
        self._followed: list[str] | None = None
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
            self._followed = None
            self.removeObservers()
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
    def _onNodeAddedOrRemoved(self, caller, event, node) -> None:
        if node.IsA("vtkMRMLSliceNode") or node.IsA("vtkMRMLSliceCompositeNode") or node.IsA("vtkMRMLVolumeNode"):
            self._changed()

    def _update(self) -> None:
        self._observe()
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        for sliceNode in allSliceNodes():
            name, composite = sliceNode.GetLayoutName(), compositeNodeOf(sliceNode)
            widget = layoutManager.sliceWidget(name)
            if widget is not None and composite is not None and _showsSynthetic(composite):
                self._add(name, widget.sliceView())
            else:
                self._remove(name)

    def _observe(self) -> None:
        """Follow the composite nodes and the volumes they show: an image becomes synthetic when it is overwritten."""
        nodes = {}
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            nodes |= {node.GetID(): node for node in (composite, *_volumes(composite))}
        if list(nodes) == self._followed:
            return
        self._followed = list(nodes)
        self.removeObservers()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAddedOrRemoved)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeAddedOrRemoved)
        for node in nodes.values():
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed)

    def _add(self, name: str, sliceView) -> None:
        if name in self._props:
            return
        annotation = vtk.vtkCornerAnnotation()
        annotation.SetText(vtk.vtkCornerAnnotation.LowerRight, _("SYNTHETIC"))
        annotation.SetMinimumFontSize(_FONT_SIZE)
        annotation.SetMaximumFontSize(_FONT_SIZE)
        annotation.SetNonlinearFontScaleFactor(1)
        annotation.GetTextProperty().SetShadow(True)
        annotation.GetTextProperty().SetBold(True)
        slicer.app.applicationLogic().UseCustomFontFile(annotation.GetTextProperty())
        renderer = _topRenderer(sliceView.renderWindow())
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


def _topRenderer(renderWindow):
    """The renderer of the overlay, which covers the whole view also where a light box divides it."""
    renderers = renderWindow.GetRenderers()
    found = [renderers.GetItemAsObject(index) for index in range(renderers.GetNumberOfItems())]
    return max(found, key=lambda renderer: renderer.GetLayer())
