"""Where a result counts: weights from a binary mask with a soft edge in millimetres, and blending by them."""

from __future__ import annotations

import numpy as np

from .errors import InputError
from .volume import Geometry


def soft_weight(mask: np.ndarray, geometry: Geometry, soft_edge_mm: float = 0.0, inside: bool = True) -> np.ndarray:
    """How much of the result each voxel takes.

    The weight falls linearly from 1 to 0 across a band ``soft_edge_mm`` wide that lies centered on the surface of the
    mask; a voxel on the surface gets one half. Distances are measured along the axes of the grid, which is exact for
    every grid with perpendicular axes, however anisotropic or oblique.

    Args:
        mask: ``(k, j, i)``, true inside.
        geometry: the grid of the mask; only its spacing matters.
        soft_edge_mm: width of the band in mm; 0 gives a hard edge.
        inside: take the result inside the mask (True) or outside of it (False).

    Returns:
        float32 ``(k, j, i)``, 0 (keep the source) to 1 (take the result).

    Raises:
        InputError: the width is negative or not finite.
    """
    if not (np.isfinite(soft_edge_mm) and soft_edge_mm >= 0):
        raise InputError(f"The soft edge is {soft_edge_mm} mm; give a width of 0 mm or more.")
    mask = np.asarray(mask) != 0
    weight = mask.astype(np.float32)
    if soft_edge_mm > 0 and mask.any() and not mask.all():
        box = _band_box(mask, geometry, soft_edge_mm)
        distance_mm = _signed_distance_mm(mask[box], geometry)
        weight[box] = np.clip(0.5 - distance_mm / np.float32(soft_edge_mm), 0.0, 1.0)
    return weight if inside else 1.0 - weight


def blend(source: np.ndarray, result: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``source + weight * (result - source)``, computed slice by slice in double precision.

    Where the weight is 0 or 1 the voxels of the source or the result come out unchanged, bit for bit.

    Args:
        source, result: ``(k, j, i)`` or ``(k, j, i, c)`` of one shape.
        weight: ``(k, j, i)``, 0 to 1.

    Returns:
        array of the result's shape; of the result's type if that is floating, else float32 (round it as needed).
    """
    out = np.empty(result.shape, result.dtype if result.dtype.kind == "f" else np.float32)
    for k in range(result.shape[0]):
        share = weight[k].astype(np.float64)
        share = share.reshape(share.shape + (1,) * (result.ndim - 3))
        old, new = source[k].astype(np.float64), result[k].astype(np.float64)
        mixed = old + share * (new - old)
        out[k] = np.where(share <= 0, old, np.where(share >= 1, new, mixed))
    return out


def _band_box(mask: np.ndarray, geometry: Geometry, soft_edge_mm: float) -> tuple[slice, ...]:
    """The smallest box that holds the mask and the outer half of the band, one voxel to spare."""
    box = []
    for axis, spacing_mm in enumerate(geometry.spacing_mm[::-1]):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        margin = int(np.ceil(soft_edge_mm / 2 / spacing_mm)) + 1
        box.append(slice(max(hit[0] - margin, 0), min(hit[-1] + margin + 1, mask.shape[axis])))
    return tuple(box)


def _signed_distance_mm(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Distance of each voxel center to the surface of the mask in mm, negative inside.

    A distance map measures to voxel centers: from the mask's side the surface seems to lie half a voxel too deep, from
    the background's side half a voxel too far out. The mean of both lies on the faces between the voxels.
    """
    import SimpleITK as sitk

    def to_border_of(inside: np.ndarray) -> np.ndarray:
        image = sitk.GetImageFromArray(inside.astype(np.uint8))
        image.SetSpacing(geometry.spacing_mm.tolist())
        distance = sitk.SignedMaurerDistanceMap(
            image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
        return sitk.GetArrayFromImage(distance)

    if mask.all():  # the mask fills the box up to the border of the volume
        return np.full(mask.shape, -np.inf, np.float32)
    return (to_border_of(mask) - to_border_of(~mask)) / 2
