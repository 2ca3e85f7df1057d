"""SliceRegion: which voxels of a volume a slice view shows, or lie in a ROI, as a box of the volume's grid."""

from __future__ import annotations

import math

import numpy as np
import slicer
import vtk
from medgan.tile_plan import Box
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

ALIGNED_VOXELS = 1e-3  # a plane that is off a layer of voxels by less than this shows that layer alone
# vtkMRMLSliceLayerLogic takes smaller parts of an axis for zero, so that nearly aligned planes are resliced faster.
_SNAP = 1e-3
_GRID = 40  # cells along each side of a plane that a non-linear transform bends
_PLANES = 33  # looked at in a slab


def sliceRegion(sliceNode, volumeNode) -> Box | None:
    """The voxels that the image of a slice view is interpolated from, with one voxel to spare within the plane.

    Slab reconstruction and parent transforms of the volume are taken into account; a volume under a non-linear
    transform is looked at on a grid of points, with the bending between them to spare.

    Returns:
        box (k, j, i) of the volume's grid, one layer thick if the plane lies on a layer; None if the view shows
        nothing of the volume.
    """
    shape = volumeShape(volumeNode)
    width, height, _depth = sliceNode.GetDimensions()
    if shape is None or width < 1 or height < 1:
        return None
    transform = _xyToIJK(sliceNode, volumeNode)
    bounds = [_planeBounds(transform, width, height, z, shape) for z in _depths(sliceNode)]
    return _box(bounds, shape)


def roiRegion(roiNode, volumeNode) -> Box | None:
    """The smallest box (k, j, i) of a volume's grid that holds a markups ROI; None if they do not meet."""
    shape = volumeShape(volumeNode)
    if shape is None or min(roiNode.GetSize()) <= 0:
        return None
    steps = np.linspace(-0.5, 0.5, 9)
    corners = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    transform = vtk.vtkGeneralTransform()
    transform.PostMultiply()
    transform.Concatenate(roiNode.GetObjectToWorldMatrix())
    _concatenateWorldToIJK(transform, volumeNode)
    points = _transformed(transform, corners * roiNode.GetSize())
    # A voxel counts if the ROI enters it.
    low, high = np.floor(points.min(axis=0) + 0.5 + ALIGNED_VOXELS), np.floor(points.max(axis=0) + 0.5 - ALIGNED_VOXELS)
    return _clamped(low, np.maximum(low, high), shape)


def volumeShape(volumeNode) -> tuple[int, int, int] | None:
    """Voxels along i, j, k; None without an image."""
    image = volumeNode.GetImageData()
    return image.GetDimensions() if image is not None and image.GetNumberOfPoints() > 0 else None


def meet(first: Box, second: Box) -> bool:
    """Whether two boxes have voxels in common."""
    axes = zip(first.start, first.stop, second.start, second.stop, strict=True)
    return all(start < otherStop and otherStart < stop for start, stop, otherStart, otherStop in axes)


def holds(outer: Box, inner: Box) -> bool:
    """Whether all voxels of ``inner`` lie in ``outer``."""
    axes = zip(outer.start, outer.stop, inner.start, inner.stop, strict=True)
    return all(start <= innerStart and innerStop <= stop for start, stop, innerStart, innerStop in axes)


def _xyToIJK(sliceNode, volumeNode):
    """What ``vtkMRMLSliceLayerLogic`` reslices with: a 4x4 array, or a vtkGeneralTransform if it is not linear."""
    transform = vtk.vtkGeneralTransform()
    transform.PostMultiply()
    transform.Concatenate(sliceNode.GetXYToRAS())
    _concatenateWorldToIJK(transform, volumeNode)
    linear = vtk.vtkTransform()
    if not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(transform, linear):
        return transform
    matrix = slicer.util.arrayFromVTKMatrix(linear.GetMatrix())
    axes = matrix[:3, :3]
    axes[np.abs(axes) < _SNAP * np.abs(axes).max(axis=0)] = 0.0
    return matrix


def _concatenateWorldToIJK(transform, volumeNode) -> None:
    parent = volumeNode.GetParentTransformNode()
    if parent is not None:
        fromWorld = vtk.vtkGeneralTransform()
        parent.GetTransformFromWorld(fromWorld)
        transform.Concatenate(fromWorld)
    rasToIJK = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(rasToIJK)
    transform.Concatenate(rasToIJK)


def _depths(sliceNode) -> list[float]:
    """Positions z, in slices of the view, of the planes that are shown: one, or samples of a slab."""
    if not sliceNode.GetSlabReconstructionEnabled():
        return [0.0]
    spacingMm = np.linalg.norm(slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS())[:3, 2])
    slices = sliceNode.GetSlabReconstructionThickness() / spacingMm if spacingMm > 0 else 0.0
    # vtkMRMLSliceLogic takes the distance of its samples in mm for one in slices; the slab is the larger of both.
    sampled = (slices - 1.0) * spacingMm / sliceNode.GetSlabReconstructionOversamplingFactor()
    half = 0.5 * max(slices, sampled)
    return np.linspace(-half, half, _PLANES).tolist()


def _planeBounds(transform, width: int, height: int, z: float, shape):
    """(lowest, highest) i, j, k of the part of a plane that lies in the volume; None if none does."""
    if isinstance(transform, np.ndarray):
        x, y = width - 1.0, height - 1.0
        corners = np.array([(0.0, 0.0, z, 1.0), (x, 0.0, z, 1.0), (x, y, z, 1.0), (0.0, y, z, 1.0)])
        polygon = _clipped((corners @ transform.T)[:, :3], shape)
        return (polygon.min(axis=0), polygon.max(axis=0)) if len(polygon) else None
    return _bentBounds(transform, width, height, z, shape)


def _clipped(polygon: np.ndarray, shape) -> np.ndarray:
    """The part of a polygon (n, 3) of indices within the volume, whose voxels reach half a voxel beyond their centers.

    Sutherland and Hodgman, Reentrant polygon clipping, CACM 1974.
    """
    for axis in range(3):
        for sign, limit in ((-1.0, 0.5), (1.0, shape[axis] - 0.5)):
            inside = limit - sign * polygon[:, axis]  # not negative: inside
            kept = []
            for index in range(len(polygon)):
                here, there = inside[index - 1], inside[index]
                if (here >= 0) != (there >= 0):
                    kept.append(polygon[index - 1] + (polygon[index] - polygon[index - 1]) * (here / (here - there)))
                if there >= 0:
                    kept.append(polygon[index])
            polygon = np.array(kept).reshape(-1, 3)
    return polygon


def _bentBounds(transform, width: int, height: int, z: float, shape):
    x, y = np.linspace(0.0, width - 1.0, _GRID + 1), np.linspace(0.0, height - 1.0, _GRID + 1)
    points = np.stack([*np.meshgrid(x, y, indexing="ij"), np.full((x.size, y.size), z)], axis=-1)
    points = _transformed(transform, points.reshape(-1, 3)).reshape(points.shape)
    bend = max(np.abs(np.diff(points, n=2, axis=axis)).max() for axis in (0, 1))
    cells = np.stack([points[:-1, :-1], points[1:, :-1], points[:-1, 1:], points[1:, 1:]])
    # Between four points a surface departs from the flat by at most a quarter of the second differences around it.
    low, high = cells.min(axis=0) - bend / 4, cells.max(axis=0) + bend / 4
    inside = ((high >= -0.5) & (low <= np.array(shape) - 0.5)).all(axis=-1)
    return (low[inside].min(axis=0), high[inside].max(axis=0)) if inside.any() else None


def _transformed(transform, points: np.ndarray) -> np.ndarray:
    source, result = vtk.vtkPoints(), vtk.vtkPoints()
    for vtkPoints in (source, result):
        vtkPoints.SetDataTypeToDouble()
    source.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    transform.TransformPoints(source, result)
    return vtk_to_numpy(result.GetData()).copy()


def _box(bounds: list, shape) -> Box | None:
    found = [pair for pair in bounds if pair is not None]
    if not found:
        return None
    lowest, highest = np.min([low for low, _high in found], axis=0), np.max([high for _low, high in found], axis=0)
    spare = (highest - lowest > 1.0).astype(float)  # not across the plane
    return _clamped(np.floor(lowest + ALIGNED_VOXELS) - spare, np.ceil(highest - ALIGNED_VOXELS) + spare, shape)


def _clamped(first: np.ndarray, last: np.ndarray, shape) -> Box | None:
    """The box from the voxel ``first`` to the voxel ``last`` (i, j, k), both inside, as far as the volume has them."""
    start = [max(0, math.floor(value)) for value in first]
    stop = [min(size, math.floor(value) + 1) for value, size in zip(last, shape, strict=True)]
    if any(low >= high for low, high in zip(start, stop, strict=True)):
        return None
    return Box(tuple(start[::-1]), tuple(stop[::-1]))
