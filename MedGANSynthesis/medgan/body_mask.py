"""Where the body is: the voxels that count in fingerprints, patches, losses and measures."""

from __future__ import annotations

import numpy as np

from .errors import InputError
from .volume import Volume

BODY_ABOVE_HU = -500.0
GLASS_ABOVE = 0.86
"""A picture's pixel all of whose components exceed this share of the type's range is empty glass."""
COARSE_MM = 2.0
BRIDGE_MM = 2.5
GAP_MM = 7.0


def body_mask(volume: Volume) -> np.ndarray:
    """The body in a CT or MR, or the tissue on a slide.

    CT in HU: above -500 HU. Other scalar images, looked at in voxels of about 2 mm: above Otsu's threshold (IEEE Trans
    Syst Man Cybern 1979) of the logarithm, since fat outshines everything else in MR and the plain threshold loses
    half of the head; gaps of dark bone and air are closed. Of both, bridges to the table are cut, the largest piece is
    kept, and what it encloses (lungs, sinuses) is filled. Color pictures: everything but white glass.

    Args:
        volume: scalar ``(k, j, i)``, or color ``(k, j, i, 3)`` on a white ground.

    Returns:
        bool ``(k, j, i)``; all false in an empty image.

    Raises:
        InputError: the image holds voxels that are no number.
    """
    if volume.non_finite:
        raise InputError("The image has voxels that are no number (NaN or infinite), so the body cannot be found.")
    if volume.channels > 1:
        return _tissue(volume.array)
    if volume.units == "HU":
        return _filled(_largest_piece(volume.array > BODY_ABOVE_HU, volume.geometry.spacing_mm), axes=(0,))
    return _mask_of_arbitrary_scale(volume)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks of one shape, 0 (also if both are empty) to 1: twice the intersection over the sum."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2 * np.count_nonzero(one & other) / total) if total else 0.0


def _tissue(array: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    white = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else max(float(array.max()), 1e-6)
    tissue = (array <= GLASS_ABOVE * white).any(axis=-1)
    return ndimage.median_filter(tissue, size=(1, 5, 5))  # dust, and gaps within tissue


def _mask_of_arbitrary_scale(volume: Volume) -> np.ndarray:
    from scipy import ndimage

    spacing_mm = volume.geometry.spacing_mm[::-1]
    factor = np.maximum(np.rint(COARSE_MM / spacing_mm).astype(int), 1)
    factor = np.minimum(factor, volume.grid_shape)
    coarse = _block_means(volume.array, factor)
    coarse_mm = spacing_mm * factor
    mask = coarse > _threshold(coarse)
    if mask.any() and not mask.all():
        mask = _largest_piece(mask, coarse_mm[::-1])
        outside_mm = ndimage.distance_transform_edt(np.pad(~mask, 1, mode="edge"), sampling=coarse_mm)
        gaps = outside_mm <= GAP_MM
        mask = ndimage.distance_transform_edt(gaps, sampling=coarse_mm)[1:-1, 1:-1, 1:-1] > GAP_MM
        mask = _filled(mask, axes=(0, 1, 2))
    for axis, count in enumerate(factor):
        mask = np.repeat(mask, count, axis)
    return np.ascontiguousarray(mask[tuple(slice(size) for size in volume.grid_shape)])


def _block_means(array: np.ndarray, factor: np.ndarray) -> np.ndarray:
    padded = np.pad(array, [(0, -size % f) for size, f in zip(array.shape, factor, strict=True)], mode="edge")
    shape = [part for size, f in zip(padded.shape, factor, strict=True) for part in (size // f, f)]
    return padded.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)


def _threshold(array: np.ndarray) -> float:
    """Otsu's threshold of the logarithm of the height above the background; of an image of one value, that value."""
    low, high = np.percentile(array, (1.0, 99.0))
    if not high > low:
        low, high = float(array.min()), float(array.max())
    if not high > low:
        return high
    scale = 0.02 * (high - low)  # below this the logarithm turns linear, so that noise of the air does not count
    heights = np.log1p((np.clip(array, low, high) - low) / scale)
    counts, edges = np.histogram(heights, bins=256)
    centers = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    sums = np.cumsum(counts * centers)
    between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / np.maximum(above, 1)) ** 2
    return float(low + scale * np.expm1(edges[1 + between.argmax()]))


def _largest_piece(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The largest connected piece, parted from others where they touch in bridges of less than 5 mm."""
    from scipy import ndimage

    radius = [
        min(round(BRIDGE_MM / spacing), 3, size // 4)
        for spacing, size in zip(spacing_mm[::-1], mask.shape, strict=True)
    ]
    box = np.ones([2 * r + 1 for r in radius], bool)
    core = ndimage.binary_erosion(mask, box, border_value=1)
    labels, _ = ndimage.label(core if core.any() else mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    if not sizes.any():
        return np.zeros(mask.shape, bool)
    return mask & ndimage.binary_dilation(labels == sizes.argmax(), box)


def _filled(mask: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mask with the holes of its slices across each of the axes: background that does not reach a slice's edge."""
    from scipy import ndimage

    for axis in axes:
        slices = np.moveaxis(mask, axis, 0)
        if min(slices.shape[1:]) == 1:
            continue
        in_plane = np.zeros((3, 3, 3), bool)
        in_plane[1] = ndimage.generate_binary_structure(2, 1)
        labels, count = ndimage.label(~slices, in_plane)
        outside = np.zeros(count + 1, bool)
        for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
            outside[np.unique(edge)] = True
        outside[0] = False
        mask = np.moveaxis(~outside[labels], 0, axis)
    return mask
