"""ManualAdjust: a transform that the user moves until the target lies on the source."""

from __future__ import annotations

import numpy as np
import slicer
from medgan.draft import Draft
from medgan.draft_case import DraftCase
from medgan.errors import InputError
from slicer.i18n import tr as _

from .CaseNodes import CASE_ATTRIBUTE
from .CaseView import BLEND, CaseView
from .DraftCommands import adjust


class ManualAdjust:
    """One adjustment: ``begin``, the user drags or types, ``accept`` or ``cancel``.

    Args:
        view: shows the case, as it was added while it is adjusted.

    Attributes:
        transformNode: moves the target; a node as any other for the Transforms module. None while nothing is adjusted.
    """

    def __init__(self, view: CaseView):
        self._view = view
        self._case: DraftCase | None = None
        self.transformNode = None

    @property
    def active(self) -> bool:
        """Whether a case is being adjusted."""
        return self.transformNode is not None and self.transformNode.GetScene() is not None

    @property
    def caseID(self) -> str:
        """The case that is being adjusted, '' for none."""
        return self._case.id if self.active else ""

    def begin(self, draft: Draft, case: DraftCase) -> None:
        """Show the case as it was added, with the target under a transform node that starts from what there is.

        Raises:
            InputError: there is no pair to adjust, or its images cannot be read.
        """
        if not ({"source", "target"} <= set(case.raw)) or draft.settings.degrade:
            message = _("The case {name} has no pair of images that could be moved onto each other.")
            raise InputError(message.format(name=case.name or case.id))
        self.cancel()
        self._view.mode = BLEND
        self._view.show(draft, case, raw=True)
        self._case = case
        name = _("Alignment of {name}").format(name=case.name or case.id)
        self.transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        self.transformNode.SetAttribute(CASE_ATTRIBUTE, case.id)
        self.transformNode.SetSaveWithScene(False)
        if case.transform is not None:
            slicer.util.updateTransformMatrixFromArray(self.transformNode, np.linalg.inv(np.array(case.transform)))
        self._view.nodes["target"].SetAndObserveTransformNodeID(self.transformNode.GetID())
        self._showHandles()

    def accept(self, draft: Draft, build: bool = False) -> DraftCase:
        """Note the alignment in the draft. Without ``build`` the case waits to be prepared with it.

        Raises:
            InputError: nothing is being adjusted, or the images do not lie on each other so; it goes on then.
        """
        if not self.active:
            self.cancel()
            raise InputError(_("The transform is gone; begin to adjust the case again."))
        case = adjust(draft, self._case.id, self.transformNode, build=build)
        self.cancel()
        return case

    def cancel(self) -> None:
        """Leave the case as it was; what the views show is the view's business."""
        node, self.transformNode, self._case = self.transformNode, None, None
        if node is not None and node.GetScene() is not None:
            display = node.GetDisplayNode()
            if display is not None:
                slicer.mrmlScene.RemoveNode(display)
            slicer.mrmlScene.RemoveNode(node)

    def sceneClosed(self) -> None:
        """The scene is gone, and the transform with it."""
        self.transformNode = self._case = None

    def _showHandles(self) -> None:
        """Arrows and arcs to move the target with, in the slice and 3-D views, around its middle."""
        node = self.transformNode
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        if display is None:
            return
        bounds = [0.0] * 6
        self._view.nodes["target"].GetRASBounds(bounds)
        middle = [(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)]
        inverse = np.linalg.inv(slicer.util.arrayFromTransformMatrix(node))
        node.SetCenterOfTransformation(*(inverse @ [*middle, 1.0])[:3])
        display.SetEditorVisibility(True)
        display.SetEditorSliceIntersectionVisibility(True)
        display.SetEditorScalingEnabled(False)
