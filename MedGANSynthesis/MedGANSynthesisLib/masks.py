"""Masks on the grid of a volume: a segment, an intensity range, a box, and what they have in common."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from medgan.errors import InputError
from medgan.masking import blend, soft_weight
from medgan.volume import Geometry, Volume
from slicer.i18n import tr as _

from .nodes import nodeName, volumeFromNode


@dataclass(frozen=True, eq=False)
class Mask:
    """Where a result counts.

    Attributes:
        array: bool (k, j, i), true where the result is taken.
        geometry: its grid.
        softEdgeMm: width in mm of the band around its surface in which source and result fade into each other.
        description: for provenance.
    """

    array: np.ndarray
    geometry: Geometry
    softEdgeMm: float = 0.0
    description: str = ""

    @functools.cached_property
    def weight(self) -> np.ndarray:
        """How much of the result each voxel takes: float32 (k, j, i), 0 to 1; see ``medgan.masking.soft_weight``."""
        return soft_weight(self.array, self.geometry, self.softEdgeMm)

    def blended(self, source: np.ndarray, result: np.ndarray) -> np.ndarray:
        """The result where it counts, the source elsewhere; both (k, j, i[, c]) of one shape."""
        return blend(source, result, self.weight)


def maskOf(
    volumeNode,
    *,
    segmentationNode=None,
    segmentID: str | None = None,
    maskMode: str = "inside",
    softEdgeMm: float = 0.0,
    intensityRange: tuple[float, float] | None = None,
    roiNode=None,
) -> Mask | None:
    """Where a result for a volume counts: all that is given at once; None if nothing is.

    Args:
        segmentationNode, segmentID: a segment; parent transforms of both nodes are included.
        maskMode: "inside" or "outside" of the segment; "everywhere" leaves the segment out.
        softEdgeMm: width in mm of the soft edge of what all of them have in common.
        intensityRange: lowest and highest value of the source where the result counts.
        roiNode: a vtkMRMLMarkupsROINode; its box, however turned or transformed.

    Raises:
        InputError: the mode is unknown, a segment, range or box does not exist or holds no voxel of the volume, or
            the edge is not a width.
    """
    if maskMode not in ("everywhere", "inside", "outside"):
        raise InputError(_("The mask mode is '{mode}'; use 'inside' or 'outside'.").format(mode=maskMode))
    if not (np.isfinite(softEdgeMm) and softEdgeMm >= 0):
        message = _("The soft edge is {width} mm; give a width of 0 mm or more.")
        raise InputError(message.format(width=softEdgeMm))
    volume = volumeFromNode(volumeNode)
    parts, words = [], []
    if segmentationNode is not None and maskMode != "everywhere":
        segment, name = _segment(segmentationNode, segmentID, volumeNode)
        parts.append(segment if maskMode == "inside" else ~segment)
        words.append(f"{maskMode} segment '{name}' of '{nodeName(segmentationNode)}'")
    if intensityRange is not None:
        lower, upper = (float(value) for value in intensityRange)
        parts.append(_inRange(volume, lower, upper, nodeName(volumeNode)))
        words.append(f"source from {lower:g} to {upper:g}")
    if roiNode is not None:
        parts.append(_inBox(roiNode, volumeNode, volume))
        words.append(f"inside ROI '{nodeName(roiNode)}'")
    if not parts:
        return None
    array = functools.reduce(np.logical_and, parts)
    if not array.any():
        message = _("No voxel of '{name}' lies within all parts of the mask; change the segment, the range or the ROI.")
        raise InputError(message.format(name=nodeName(volumeNode)))
    description = f"{' and '.join(words)}, soft edge {softEdgeMm:g} mm"
    return Mask(array, volume.geometry, float(softEdgeMm), description)


def _segment(segmentationNode, segmentID: str | None, volumeNode) -> tuple[np.ndarray, str]:
    """A segment sampled on the grid of a volume, and its name."""
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
    return array, segment.GetName()


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


def _inRange(volume: Volume, lower: float, upper: float, name: str) -> np.ndarray:
    if volume.channels != 1:
        message = _("'{name}' is a color image, which has no intensity range; switch the range off.")
        raise InputError(message.format(name=name))
    if not lower <= upper:
        message = _("The intensity range from {lower} to {upper} is empty; give the lower value first.")
        raise InputError(message.format(lower=lower, upper=upper))
    array = (volume.array >= lower) & (volume.array <= upper)
    if not array.any():
        message = _("No voxel of '{name}' lies between {lower} and {upper}; change the intensity range.")
        raise InputError(message.format(name=name, lower=lower, upper=upper))
    return array


def _inBox(roiNode, volumeNode, volume: Volume) -> np.ndarray:
    halfMm = np.array(roiNode.GetSize()) / 2
    array = np.ones(volume.grid_shape, bool)
    for k, positionMm in enumerate(_positionsInBoxMm(roiNode, volumeNode, volume)):
        for axis in range(3):
            array[k] &= np.abs(positionMm[axis]) <= halfMm[axis]
    if roiNode.GetInsideOut():
        array = ~array
    if not array.any():
        message = _("The ROI '{roi}' lies outside of '{volume}' or is empty; move it or choose another one.")
        raise InputError(message.format(roi=nodeName(roiNode), volume=nodeName(volumeNode)))
    return array


def _positionsInBoxMm(roiNode, volumeNode, volume: Volume):
    """Where the voxel centers lie along the three axes of a box, from its center in mm: (j, i) each, slice by slice."""
    rasToBox = np.linalg.inv(slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToNodeMatrix()))
    parents = volumeNode.GetParentTransformNode(), roiNode.GetParentTransformNode()
    ijkToRas, between = volume.geometry.ijk_to_ras, vtk.vtkMatrix4x4()
    slices, rows, columns = volume.grid_shape
    if slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(*parents, between):
        ijkToBox = rasToBox @ slicer.util.arrayFromVTKMatrix(between) @ ijkToRas
        for k in range(slices):
            yield _affine(ijkToBox, rows, columns, k)
        return
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(*parents, transform)
    for k in range(slices):
        moved = _moved(np.stack(_affine(ijkToRas, rows, columns, k), axis=-1), transform)
        yield np.moveaxis(moved @ rasToBox[:3, :3].T + rasToBox[:3, 3], -1, 0)


def _affine(matrix: np.ndarray, rows: int, columns: int, k: int) -> list[np.ndarray]:
    """The three coordinates of the voxels of slice k under a 4x4 matrix, each (j, i)."""
    i, j = np.arange(columns), np.arange(rows)[:, np.newaxis]
    return [row[0] * i + (row[1] * j + (row[2] * k + row[3])) for row in matrix[:3]]


def _moved(positionsMm: np.ndarray, transform) -> np.ndarray:
    """Points (..., 3) taken through a VTK transform, all at once."""
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    before.SetData(numpy_to_vtk(np.ascontiguousarray(positionsMm.reshape(-1, 3)), deep=True))
    after.SetDataTypeToDouble()
    transform.TransformPoints(before, after)
    return vtk_to_numpy(after.GetData()).reshape(positionsMm.shape)
