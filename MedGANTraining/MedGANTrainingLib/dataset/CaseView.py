"""CaseView: a case in the slice views, as nodes that leave no trace."""

from __future__ import annotations

import slicer
from medgan.draft import Draft
from medgan.draft_case import DraftCase
from medgan.errors import InputError
from slicer.i18n import tr as _

from .CaseNodes import addCaseNode, addTransientNode, removeTransientNode
from .Checkerboard import checkerboard

BLEND, CHECKERBOARD, SIDE_BY_SIDE = MODES = ("blend", "checkerboard", "sideBySide")


class CaseView:
    """Shows one case at a time; ``clear`` gives the views back as they were.

    Attributes:
        nodes: the nodes that are shown by role: "source", "target", "mask", "checkerboard".
        case: what is shown, None for nothing. mode: one of ``MODES``.
        prepared: whether it is shown as it will be learnt from, or as it was added.
        opacity: of the target over the source.
    """

    def __init__(self):
        self.nodes: dict = {}
        self.case: DraftCase | None = None
        self.mode, self.opacity, self.prepared = BLEND, 0.5, False
        self._before: _ViewsBefore | None = None
        self._volumes: dict = {}

    def show(self, draft: Draft, case: DraftCase, raw: bool = False) -> None:
        """Show a case: prepared, or as it was added if it is not prepared or ``raw`` is wanted.

        Raises:
            InputError: its images are gone from the disk or cannot be read.
        """
        self.prepared = bool(case.source or case.target) and not raw
        roles = ("source", "target", "mask")
        volumes = {role: draft.volume(case.id, role, raw=not self.prepared) for role in roles}
        volumes = {role: volume for role, volume in volumes.items() if volume is not None}
        if not volumes:
            raise InputError(_("The case {name} has no image that can be shown.").format(name=case.name or case.id))
        self._removeNodes()
        if self._before is None:
            self._before = _ViewsBefore()
        self.case, self._volumes = case, volumes
        for role, volume in volumes.items():
            if role != "mask":
                self.nodes[role] = addCaseNode(volume, _nodeName(case.id, role), case.id)
        if "mask" in volumes:
            self.nodes["mask"] = self._addMask(volumes["mask"])
        self._arrange(fit=True)

    def setMode(self, mode: str) -> None:
        """Show both images blended, as a checkerboard, or beside each other."""
        self.mode = mode
        if self.case is not None:
            self._arrange()

    def setOpacity(self, opacity: float) -> None:
        """How much of the target is seen over the source, 0 to 1."""
        self.opacity = opacity
        if self.case is not None and self.mode == BLEND:
            for composite in _composites():
                composite.SetForegroundOpacity(opacity)

    def clear(self) -> None:
        """Remove the case from the views and show there what was shown before."""
        self._removeNodes()
        self.case, self._volumes = None, {}
        if self._before is not None:
            self._before.restore()
            self._before = None

    def sceneClosed(self) -> None:
        """The scene is gone, and all of this with it."""
        self.nodes, self.case, self._volumes, self._before = {}, None, {}, None

    def _addMask(self, volume):
        """As a label map, which the views draw as an outline."""
        node = addTransientNode("vtkMRMLLabelMapVolumeNode", _nodeName(self.case.id, "mask"), self.case.id)
        slicer.util.updateVolumeFromArray(node, (volume.array != 0).astype("uint8"))
        from MedGANSynthesisLib.nodes import setGeometryOfNode

        setGeometryOfNode(node, volume.geometry)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        return node

    def _arrange(self, fit: bool = False) -> None:
        source, target = self.nodes.get("source"), self.nodes.get("target")
        mode = self.mode if source is not None and target is not None else BLEND
        if mode == CHECKERBOARD and "checkerboard" not in self.nodes:
            board = self._checkerboard()
            if board is None:  # as added, the two lie on different grids
                mode = BLEND
            else:
                self.nodes["checkerboard"] = board
        self._before.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView if mode == SIDE_BY_SIDE else None)
        first = self.nodes["checkerboard"] if mode == CHECKERBOARD else source or target
        second = target if mode == BLEND and source is not None else None
        label = self.nodes.get("mask")
        for composite in _composites():
            beside = mode == SIDE_BY_SIDE and composite.GetLayoutName() == "Yellow"
            composite.SetBackgroundVolumeID((target if beside else first).GetID())
            composite.SetForegroundVolumeID(second.GetID() if second is not None else None)
            composite.SetForegroundOpacity(self.opacity if second is not None else 0.0)
            composite.SetLabelVolumeID(label.GetID() if label is not None else None)
        outlineMask()
        if fit and slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().resetSliceViews()

    def _checkerboard(self):
        try:
            board = checkerboard(self._volumes["source"], self._volumes["target"])
        except InputError:
            return None
        node = addCaseNode(board, _nodeName(self.case.id, "checkerboard"), self.case.id)
        if board.array.ndim == 3:
            node.GetDisplayNode().SetWindowLevel(255.0, 127.5)
        return node

    def _removeNodes(self) -> None:
        for node in self.nodes.values():
            removeTransientNode(node)
        self.nodes = {}


class _ViewsBefore:
    """What the slice views showed, and the layout, as long as those nodes exist."""

    def __init__(self):
        self._shown = [
            (
                node.GetID(),
                node.GetBackgroundVolumeID(),
                node.GetForegroundVolumeID(),
                node.GetLabelVolumeID(),
                node.GetForegroundOpacity(),
            )
            for node in _composites()
        ]
        views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        self._outlines = {node.GetID(): node.GetUseLabelOutline() for node in views}
        self._orientation = {node.GetID(): node.GetOrientation() for node in views}
        manager = slicer.app.layoutManager()
        self._layout = manager.layout if manager is not None else None
        self._changedLayout = False

    def setLayout(self, layout: int | None) -> None:
        """Use another layout, with the second view turned as the first; None goes back to the one there was."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if layout is not None:
            self._changedLayout = True
            manager.setLayout(layout)
            first, second = (slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode") for name in ("Red", "Yellow"))
            second.SetOrientation(first.GetOrientation())
        elif self._changedLayout:
            self._changedLayout = False
            manager.setLayout(self._layout)
            self._restoreOrientation()

    def restore(self) -> None:
        self.setLayout(None)
        for nodeID, background, foreground, label, opacity in self._shown:
            node = slicer.mrmlScene.GetNodeByID(nodeID)
            if node is not None:
                node.SetBackgroundVolumeID(_stillThere(background))
                node.SetForegroundVolumeID(_stillThere(foreground))
                node.SetLabelVolumeID(_stillThere(label))
                node.SetForegroundOpacity(opacity)
        for nodeID, outline in self._outlines.items():
            node = slicer.mrmlScene.GetNodeByID(nodeID)
            if node is not None:
                node.SetUseLabelOutline(outline)

    def _restoreOrientation(self) -> None:
        for nodeID, orientation in self._orientation.items():
            node = slicer.mrmlScene.GetNodeByID(nodeID)
            if node is not None and orientation != "Reformat":
                node.SetOrientation(orientation)


def outlineMask() -> None:
    """Draw label maps as outlines, so that the image under them is seen."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.SetUseLabelOutline(True)


def _nodeName(caseID: str, role: str) -> str:
    names = {
        "source": _("{case} source"),
        "target": _("{case} target"),
        "mask": _("{case} mask"),
        "checkerboard": _("{case} checkerboard"),
    }
    return names[role].format(case=caseID)


def _composites() -> list:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def _stillThere(nodeID: str | None) -> str | None:
    return nodeID if nodeID and slicer.mrmlScene.GetNodeByID(nodeID) is not None else None
