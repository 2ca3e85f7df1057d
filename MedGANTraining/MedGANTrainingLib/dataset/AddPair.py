"""AddPair: volumes of a scene become a case, where they lie in the world."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import slicer
import vtk
from medgan.draft import Draft
from medgan.draft_case import DraftCase
from medgan.errors import InputError
from medgan.volume import Geometry, Volume
from MedGANSynthesisLib.masks import maskOf
from MedGANSynthesisLib.nodes import nodeName, volumeFromNode
from slicer.i18n import tr as _

from .ScenePairs import ScenePair, pairOf


def addPair(
    draft: Draft,
    sourceNode,
    targetNode=None,
    patient: str | None = None,
    maskSegmentation=None,
    segmentID: str | None = None,
    force: bool = False,
) -> DraftCase:
    """Copy volumes of the scene into a draft; the scene may be closed afterwards.

    Args:
        targetNode: None where the dataset makes one image from the other; an unpaired dataset takes either alone.
        patient: who it is of; None or '' goes by the DICOM patient ID, then by the subject hierarchy.
        maskSegmentation, segmentID: learn inside this segment only.
        force: the two are of one patient, and a CT is in HU, whatever the scene says.

    Raises:
        DifferentPatients, UnitsUnknown: ask the user, and come again with ``force``.
        InputError: the volumes can be no case; nothing was added.
    """
    pair = pairOf(sourceNode, targetNode, patient or "")
    answers = {"allow_different_patients": force, "assume_hu": force}
    return addScenePair(draft, pair, maskSegmentation, segmentID, answers)


def addScenePair(
    draft: Draft,
    pair: ScenePair,
    maskSegmentation=None,
    segmentID: str | None = None,
    answers: Mapping[str, bool] | None = None,
    name: str = "",
) -> DraftCase:
    """As ``addPair``, of a pair that was found.

    Args:
        answers: what the user has said: ``allow_different_patients``, ``assume_hu``.
        name: what the case is called, default the names of its volumes.
    """
    source, target = volumesOf(pair.source, pair.target)
    mask = None
    if maskSegmentation is not None:
        first = (pair.source, source) if source is not None else (pair.target, target)
        mask = segmentMask(*first, maskSegmentation, segmentID)
    names = [nodeName(node) for node in (pair.source, pair.target) if node is not None]
    return draft.add(
        source,
        target,
        patient=pair.patient,
        name=name or " - ".join(names),
        mask=mask,
        identity=pair.identity or None,
        **(answers or {}),
    )


def volumesOf(sourceNode, targetNode=None) -> tuple[Volume | None, Volume | None]:
    """The volumes of two nodes relative to each other: their own grids if they move together, else those in the world.

    Raises:
        InputError: a node is no image, or is moved by a transform that is not linear.
    """
    if sourceNode is None and targetNode is not None:
        return None, volumeFromNode(targetNode)
    source = volumeFromNode(sourceNode)
    if targetNode is None:
        return source, None
    if targetNode is sourceNode:
        raise InputError(_("'{name}' is both source and target; choose two volumes.").format(name=nodeName(sourceNode)))
    target = volumeFromNode(targetNode)
    if sourceNode.GetParentTransformNode() is targetNode.GetParentTransformNode():
        return source, target
    return _inWorld(sourceNode, source), _inWorld(targetNode, target)


def segmentMask(node, volume: Volume, segmentationNode, segmentID: str | None) -> Volume:
    """A segment on the grid of the image of a node, which ``volume`` holds where the case has it. Raises InputError."""
    mask = maskOf(node, segmentationNode=segmentationNode, segmentID=segmentID)
    return Volume(mask.array.astype(np.uint8), volume.geometry)


def _inWorld(node, volume: Volume) -> Volume:
    parent = node.GetParentTransformNode()
    if parent is None:
        return volume
    matrix = vtk.vtkMatrix4x4()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(parent, None, matrix):
        message = _("'{name}' is moved by a transform that is not linear; harden it in the Data module first.")
        raise InputError(message.format(name=nodeName(node)))
    moved = slicer.util.arrayFromVTKMatrix(matrix) @ volume.geometry.ijk_to_ras
    return volume.with_array(volume.array, geometry=Geometry.from_ijk_to_ras(moved))
