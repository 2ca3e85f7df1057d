"""PreviewLayer: a volume node that lives only for the preview, and the views that show it as their foreground."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import vtk
from medgan.volume import Volume

from .DisplayLink import DisplayLink


@dataclass
class _Before:
    """What a view showed before: the foreground (weak, None for none) and its opacity, and if it had a background."""

    foreground: vtk.vtkWeakReference | None
    opacity: float
    hadNoBackground: bool


class PreviewLayer:
    """A preview in the scene. No editor lists it, no scene file contains it, and ``remove`` undoes it without trace.

    Args:
        name: tells it from other previews, for example the name of the view.
        sourceNode: the volume that is previewed.
    """

    def __init__(self, name: str, sourceNode):
        self._name = name
        self._source = _weak(sourceNode)
        self._node = self._link = None
        self._nodeID, self._sameKind = "", True
        self._before: dict[str, _Before] = {}

    @property
    def node(self):
        """The volume node; None before the first ``write`` and after it was removed."""
        node = self._node.Get() if self._node is not None else None
        return node if node is not None and node.GetScene() is not None else None

    def write(self, gate, image: Volume, sameKind: bool) -> None:
        """Show these voxels. ``sameKind``: they measure what the source measures, and look as the source looks."""
        className = "vtkMRMLVectorVolumeNode" if image.array.ndim == 4 else "vtkMRMLScalarVolumeNode"
        source, node, shownIn = self._source.Get(), self.node, list(self._before)
        if node is not None and (node.GetClassName(), self._sameKind) != (className, sameKind):
            self._removeNode()
            node = None
        self._sameKind = sameKind
        if node is None:
            node = _newNode(className, self._name, source)
            self._node, self._nodeID = _weak(node), node.GetID()
            if sameKind and source.GetDisplayNode() is not None:
                self._link = DisplayLink(source.GetDisplayNode(), node)
        gate.writePreview(node, image, source, sameKind)
        if self._link is None:
            _holdWindowStill(node)
        for compositeID in shownIn:
            composite = source.GetScene().GetNodeByID(compositeID)
            if composite is not None and composite.GetForegroundVolumeID() != node.GetID():
                composite.SetForegroundVolumeID(node.GetID())

    def showIn(self, compositeNodes: list, opacity: float) -> None:
        """Make it the foreground of these views and of no others.

        A view without background also gets the source, to scroll through.
        """
        node, source = self.node, self._source.Get()
        if node is None:
            return
        if node.GetTransformNodeID() != source.GetTransformNodeID():  # moving the source changes no voxel
            node.SetAndObserveTransformNodeID(source.GetTransformNodeID())
        wanted = {compositeNode.GetID() for compositeNode in compositeNodes}
        for compositeNode in self._compositeNodes():
            if compositeNode.GetID() not in wanted:
                self.hide(compositeNode)
        for compositeNode in compositeNodes:
            self._show(compositeNode, opacity)

    def covers(self, compositeNode) -> bool:
        """Whether a view showed the source as its foreground before it got the preview."""
        before, source = self._before.get(compositeNode.GetID()), self._source.Get()
        return before is not None and before.foreground is not None and before.foreground.Get() is source

    def underlays(self, compositeNode) -> bool:
        """Whether a view shows the source as its background only because the preview needs one."""
        before = self._before.get(compositeNode.GetID())
        return before is not None and before.hadNoBackground

    def wasReplacedIn(self, compositeNode) -> bool:
        """Whether somebody has chosen another foreground for a view since; his choice stays from now on."""
        node = self.node
        if node is None or compositeNode.GetID() not in self._before:
            return False
        if compositeNode.GetForegroundVolumeID() == node.GetID():
            return False
        del self._before[compositeNode.GetID()]
        return True

    def setOpacity(self, opacity: float) -> None:
        """How much of it is seen, 0 to 1, in all views."""
        for compositeNode in self._compositeNodes():
            compositeNode.SetForegroundOpacity(opacity)

    def hide(self, compositeNode) -> None:
        """Give a view back what it showed before."""
        before, source = self._before.pop(compositeNode.GetID(), None), self._source.Get()
        if before is None:
            return
        with slicer.util.NodeModify(compositeNode):
            if compositeNode.GetForegroundVolumeID() in (None, self._nodeID):
                foreground = before.foreground.Get() if before.foreground is not None else None
                alive = foreground is not None and foreground.GetScene() is not None
                compositeNode.SetForegroundVolumeID(foreground.GetID() if alive else None)
                compositeNode.SetForegroundOpacity(before.opacity)
            background = compositeNode.GetBackgroundVolumeID()
            if before.hadNoBackground and (source is None or background == source.GetID()):
                compositeNode.SetBackgroundVolumeID(None)

    def remove(self) -> None:
        """Give all views back what they showed, and remove the node."""
        for compositeNode in self._compositeNodes():
            self.hide(compositeNode)
        self._before.clear()
        self._removeNode()

    def _show(self, compositeNode, opacity: float) -> None:
        if compositeNode.GetID() in self._before:
            return
        node, source = self.node, self._source.Get()
        foreground = node.GetScene().GetNodeByID(compositeNode.GetForegroundVolumeID() or "")
        hadNoBackground = compositeNode.GetBackgroundVolumeID() is None
        opacityBefore = compositeNode.GetForegroundOpacity()
        self._before[compositeNode.GetID()] = _Before(_weak(foreground), opacityBefore, hadNoBackground)
        with slicer.util.NodeModify(compositeNode):
            if hadNoBackground:
                compositeNode.SetBackgroundVolumeID(source.GetID())
            compositeNode.SetForegroundVolumeID(node.GetID())
            compositeNode.SetForegroundOpacity(opacity)

    def _compositeNodes(self) -> list:
        nodes = [slicer.mrmlScene.GetNodeByID(compositeID) for compositeID in self._before]
        return [node for node in nodes if node is not None]

    def _removeNode(self) -> None:
        if self._link is not None:
            self._link.cleanup()
            self._link = None
        node, self._node = self.node, None
        if node is not None:
            scene, display = node.GetScene(), node.GetDisplayNode()
            scene.RemoveNode(node)
            if display is not None and display.GetScene() is not None:
                scene.RemoveNode(display)


def _newNode(className: str, name: str, sourceNode):
    scene = sourceNode.GetScene()
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(f"MedGAN preview {name}")
    # Before it enters the scene, or the subject hierarchy would take it up.
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    # The ID is made of the tag. A scene that is saved now names it as foreground; a number might one day be the ID of
    # another volume, which would then show up unasked.
    node.SetSingletonTag(f"MedGANPreview{name}")
    return scene.AddNode(node)


def _holdWindowStill(node) -> None:
    """Window and level of the first result stay, or brightness would change from slice to slice."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    if display.IsA("vtkMRMLScalarVolumeDisplayNode") and display.GetAutoWindowLevel():
        window, level = display.GetWindow(), display.GetLevel()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(window, level)


def _weak(node):
    if node is None:
        return None
    reference = vtk.vtkWeakReference()
    reference.Set(node)
    return reference
