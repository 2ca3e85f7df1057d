"""RunSample: what the generator makes of a held-out slice, beside input and truth, while it learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk
from MedGANSynthesisLib.Gate import removeWithDisplay
from MedGANSynthesisLib.preview.SliceViews import compositeNodeOf
from slicer.i18n import tr as _

ROLES = ("input", "output", "truth")
VIEWS = ("Red", "Green", "Yellow")  # one per role, from left to right where the layout has them in a row


@dataclass(frozen=True)
class _Before:
    """What a slice view showed (IDs of background, foreground and labels), and from where."""

    volumes: tuple[str | None, str | None, str | None]
    sliceToRas: vtk.vtkMatrix4x4
    fieldOfView: tuple[float, ...]
    origin: tuple[float, ...]


class RunSample:
    """Nodes that live only for the sample, refreshed in place; no editor lists them and no scene file holds them.

    While they are shown, the slice views Red, Green and Yellow show input, output and truth in the plane of the slice;
    ``hide`` gives the views back what they showed.
    """

    def __init__(self):
        self._read: tuple | None = None  # of which run, epoch and step
        self._before: dict[str, _Before] = {}

    @property
    def shown(self) -> bool:
        """Whether the slice views show it."""
        return bool(self._before)

    def node(self, role: str):
        """The volume node of "input", "output" or "truth"; None if there is none."""
        for className in ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode"):
            node = slicer.mrmlScene.GetSingletonNode(_tag(role), className)
            if node is not None:
                return node
        return None

    def update(self, sample: dict[str, Any] | None) -> bool:
        """Read what is new of a sample (``medgan.run_folder.Run.sample``). Returns whether there was something."""
        if sample is None:
            return False
        key = (str(sample["output"]), sample["epoch"], sample["step"])
        roles = [role for role in ROLES if role in sample]
        if key == self._read and all(self.node(role) is not None for role in roles):
            return False
        for role in ROLES:
            if role not in sample:
                self._remove(role)
            elif not self._load(role, str(sample[role]), sample["input_window" if role == "input" else "window"]):
                return False  # it is being replaced at this moment
        self._read = key
        if self.shown:
            self._fillViews()
        return True

    def show(self) -> None:
        """Let the slice views show it."""
        if not any(self.node(role) is not None for role in ROLES):
            return
        for view in VIEWS:
            sliceNode = _sliceNode(view)
            if sliceNode is not None and view not in self._before:
                self._before[view] = _remember(sliceNode)
        self._fillViews(fit=True)

    def hide(self) -> None:
        """Give the slice views back what they showed, where they still show the sample."""
        own = {node.GetID() for node in map(self.node, ROLES) if node is not None}
        for view, before in self._before.items():
            sliceNode = _sliceNode(view)
            if sliceNode is not None and compositeNodeOf(sliceNode).GetBackgroundVolumeID() in {*own, None}:
                _restore(sliceNode, before)
        self._before = {}

    def remove(self) -> None:
        """Give the views back what they showed, and remove the nodes."""
        self.hide()
        for role in ROLES:
            self._remove(role)
        self._read = None

    def _load(self, role: str, path: str, window: tuple[float, float]) -> bool:
        """Read a file into its node, which is made first if need be. Returns whether that worked."""
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()  # not in the scene: the volume is not to be saved
        storage.SetFileName(path)
        storage.SetSingleFile(True)
        color = _components(path) == 3
        className = "vtkMRMLVectorVolumeNode" if color else "vtkMRMLScalarVolumeNode"
        node = self.node(role)
        if node is not None and node.GetClassName() != className:
            self._remove(role)
            node = None
        node = node or _newNode(role, className)
        with slicer.util.NodeModify(node):
            if not storage.ReadData(node):
                return False
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        if not color:
            display.SetAutoWindowLevel(False)
            display.SetWindowLevelMinMax(*window)
        return True

    def _remove(self, role: str) -> None:
        node = self.node(role)
        if node is not None:
            removeWithDisplay(node)

    def _fillViews(self, fit: bool = False) -> None:
        for role, view in zip(ROLES, VIEWS, strict=True):
            node, sliceNode = self.node(role), _sliceNode(view)
            if view not in self._before or sliceNode is None:
                continue
            composite = compositeNodeOf(sliceNode)
            nodeID = node.GetID() if node is not None else None
            shown = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
            if shown is not None and not fit:
                continue  # it is refreshed already, or the user has chosen something else
            with slicer.util.NodeModify(composite):
                composite.SetBackgroundVolumeID(nodeID)
                composite.SetForegroundVolumeID(None)
                composite.SetLabelVolumeID(None)
            if node is not None:
                sliceNode.RotateToVolumePlane(node)
                logic = slicer.app.applicationLogic().GetSliceLogic(sliceNode)
                logic.FitSliceToBackground()
                logic.SnapSliceOffsetToIJK()


def titleOf(role: str) -> str:
    """What a volume is, as its node is called."""
    titles = {"input": _("Input"), "output": _("Generated"), "truth": _("Truth")}
    return titles[role]


def _tag(role: str) -> str:
    return f"MedGANTraining{role}"


def _newNode(role: str, className: str):
    node = slicer.mrmlScene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(_("MedGAN training: {role}").format(role=titleOf(role)))
    # Before it enters the scene, or the subject hierarchy would take it up.
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetSingletonTag(_tag(role))
    return slicer.mrmlScene.AddNode(node)


def _components(path: str) -> int:
    """Of an NRRD file as MedGAN writes it: a color image has its components along the first axis."""
    try:
        with Path(path).open("rb") as stream:
            header = stream.read(65536).partition(b"\n\n")[0]
    except OSError:
        return 1
    return 3 if b"\ndimension: 4" in header else 1


def _sliceNode(view: str):
    return slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{view}")


def _remember(sliceNode) -> _Before:
    composite = compositeNodeOf(sliceNode)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(sliceNode.GetSliceToRAS())
    volumes = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), composite.GetLabelVolumeID())
    fieldOfView, origin = tuple(sliceNode.GetFieldOfView()), tuple(sliceNode.GetXYZOrigin())
    return _Before(volumes, matrix, fieldOfView, origin)


def _restore(sliceNode, before: _Before) -> None:
    composite = compositeNodeOf(sliceNode)
    there = [nodeID if slicer.mrmlScene.GetNodeByID(nodeID or "") is not None else None for nodeID in before.volumes]
    with slicer.util.NodeModify(composite):
        composite.SetBackgroundVolumeID(there[0])
        composite.SetForegroundVolumeID(there[1])
        composite.SetLabelVolumeID(there[2])
    with slicer.util.NodeModify(sliceNode):
        sliceNode.GetSliceToRAS().DeepCopy(before.sliceToRas)
        sliceNode.UpdateMatrices()
        sliceNode.SetFieldOfView(*before.fieldOfView)
        sliceNode.SetXYZOrigin(*before.origin)
