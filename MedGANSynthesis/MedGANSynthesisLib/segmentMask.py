"""A segment as a mask on the grid of a volume."""

from __future__ import annotations

import contextlib

import slicer
from medgan.errors import InputError
from slicer.i18n import tr as _

from .nodes import nodeName
from .Prepared import Mask


def maskFromSegment(segmentationNode, segmentID: str | None, volumeNode, mode: str, softEdgeMm: float) -> Mask:
    """Sample a segment on the grid of a volume, parent transforms of both included.

    Args:
        mode: "inside" or "outside", where the result counts.
        softEdgeMm: width of the soft edge in mm.

    Raises:
        InputError: the mode is unknown, the segment does not exist, cannot be sampled or has no voxel in the volume.
    """
    if mode not in ("inside", "outside"):
        raise InputError(_("The mask mode is '{mode}'; use 'inside' or 'outside'.").format(mode=mode))
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID) if segmentID else None
    if segment is None:
        message = _("'{name}' has no such segment; choose the segment to mask with.")
        raise InputError(message.format(name=nodeName(segmentationNode)))
    try:
        with _leavingNoDisplayNode():
            array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentID, volumeNode) != 0
    except (RuntimeError, AttributeError) as error:
        message = _("Segment '{segment}' could not be sampled on '{volume}'; check that it is not empty.")
        raise InputError(message.format(segment=segment.GetName(), volume=nodeName(volumeNode))) from error
    if not array.any():
        message = _("Segment '{segment}' lies outside of '{volume}' or is empty; choose another segment.")
        raise InputError(message.format(segment=segment.GetName(), volume=nodeName(volumeNode)))
    description = f"{mode} segment '{segment.GetName()}' of '{nodeName(segmentationNode)}', soft edge {softEdgeMm:g} mm"
    return Mask(array, mode == "inside", float(softEdgeMm), description)


@contextlib.contextmanager
def _leavingNoDisplayNode():
    """Slicer samples a segment through a temporary label map, whose display node stays in the scene."""
    className = "vtkMRMLLabelMapVolumeDisplayNode"
    before = {node.GetID() for node in slicer.util.getNodesByClass(className)}
    try:
        yield
    finally:
        for node in slicer.util.getNodesByClass(className):
            if node.GetID() not in before:
                slicer.mrmlScene.RemoveNode(node)
