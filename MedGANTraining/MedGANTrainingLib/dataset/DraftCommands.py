"""What is done with the cases of a draft: preparing them in a process, adjusting, showing, finishing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
from medgan.dataset import Dataset
from medgan.draft import Draft
from medgan.draft_case import DraftCase
from medgan.errors import InputError
from slicer.i18n import tr as _

from ..dependencies import ensureImagePackages
from ..EngineTask import EngineTask
from .AddPair import segmentMask
from .CaseNodes import addCaseNode, removeTransientNode
from .CaseView import CaseView

_view: CaseView | None = None


def prepare(
    draft: Draft,
    wait: bool = True,
    onProgress: Callable[[EngineTask], None] | None = None,
    onDone: Callable[[EngineTask], None] | None = None,
    caseID: str = "",
) -> tuple[DraftCase, ...] | EngineTask:
    """Register, resample and mask the cases that wait for it, in a process of its own.

    What is finished stays if it is cancelled or dies; the rest goes on waiting.

    Args:
        wait: return the cases when it is done; False returns the ``EngineTask`` at once.
        onProgress, onDone: called with the ``EngineTask``.
        caseID: only this case.

    Raises:
        MedGANError: Python packages are missing; with ``wait`` also that it could not work at all.
    """
    ensureImagePackages()
    only = ["--case", caseID] if caseID else []
    arguments = ["dataset", "draft", draft.folder, "--build", *only]
    task = EngineTask(arguments, lambda task: draft.cases, onProgress, onDone)
    return task.wait() if wait else task


def adjust(draft: Draft, caseID: str, transformNode, build: bool = True) -> DraftCase:
    """Take how source and target of a case lie on each other from a linear transform node.

    Args:
        transformNode: moves the target, as it was added, onto the source; its parents count.
        build: prepare the case again before returning; else it waits to be prepared.

    Raises:
        InputError: the transform is not linear, or the target does not lie on the source then.
    """
    return draft.adjust(caseID, sourceToTarget(transformNode), build=build)


def sourceToTarget(transformNode) -> np.ndarray:
    """The 4x4 matrix from points of the source to points of the target under a transform that moves the target.

    Raises:
        InputError: there is no transform, or it is not linear.
    """
    if transformNode is None or not transformNode.IsTransformToWorldLinear():
        raise InputError(_("The alignment can be adjusted with a linear transform only; choose one."))
    return np.linalg.inv(slicer.util.arrayFromTransformMatrix(transformNode, toWorld=True))


def showCase(draft: Draft, caseID: str) -> dict:
    """Show source and target of a case over each other in the slice views, for the console.

    Returns:
        the nodes by role, "source", "target" and "mask"; they are not saved, and gone with the next case.
    """
    global _view
    if _view is None:
        _view = CaseView()
    _view.show(draft, draft.case(caseID))
    return dict(_view.nodes)


def sceneClosed() -> None:
    """The scene is gone, and what ``showCase`` showed with it."""
    if _view is not None:
        _view.sceneClosed()


def finish(draft: Draft, licence: str = "", description: str = "") -> Dataset:
    """Write the dataset into the folder of the draft, which can be changed and finished again.

    Args:
        licence, description: of the images, for the model card; '' keeps what the draft has.

    Raises:
        InputError: too few cases, a patient in two splits, or the disk is full.
    """
    given = {"licence": licence.strip(), "description": description.strip()}
    changed = {name: text for name, text in given.items() if text and text != getattr(draft.settings, name)}
    if changed:
        draft.change(**changed)
    return draft.finish()


def setMask(draft: Draft, caseID: str, segmentationNode=None, segmentID: str | None = None) -> DraftCase:
    """Learn from a case within a segment only; None finds the body again. The case waits to be prepared.

    Raises:
        InputError: the segment does not exist, is empty, or does not lie on the image of the case.
    """
    if segmentationNode is None:
        return draft.set_mask(caseID, None)
    volume = draft.volume(caseID, "source", raw=True) or draft.volume(caseID, "target", raw=True)
    node = addCaseNode(volume, caseID, caseID)
    try:
        return draft.set_mask(caseID, segmentMask(node, volume, segmentationNode, segmentID))
    finally:
        removeTransientNode(node)
