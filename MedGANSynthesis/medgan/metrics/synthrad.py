"""PSNR, SSIM and MS-SSIM as the SynthRAD challenges define them, for comparison with published synthetic CTs.

Own implementation of what the evaluation code of both challenges does (MAE is that of :mod:`.basic`). All images are
HU, ``(k, j, i)``; outside the mask both are set to -1024 HU first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .basic import CT_RANGE_HU, WINDOW, psnr_db

RANGE_2023_HU = (-1024.0, 3000.0)
RANGE_2025_HU = CT_RANGE_HU
LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LEAST_SIZE = 97
_SLAB = 16
_EDGE = WINDOW // 2

Map = Callable[[np.ndarray, np.ndarray], np.ndarray]


def psnr_2023_db(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB inside the mask, range [-1024, 3000] HU (SynthRAD2023)."""
    return psnr_db(reference, image, RANGE_2023_HU, mask)


def psnr_2025_db(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB inside the mask, range [-1024, 3071] HU (SynthRAD2025)."""
    return psnr_db(reference, image, RANGE_2025_HU, mask)


def ssim_2023(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """SSIM of SynthRAD2023: 3-D, uniform window of 7 voxels, range [-1024, 3000] HU.

    Mean of the map over the mask after cropping 3 voxels at each border; NaN where the volume is smaller than that.
    """
    from skimage.metrics import structural_similarity

    if min(reference.shape) < WINDOW:
        return float("nan")
    span = RANGE_2023_HU[1] - RANGE_2023_HU[0]
    return masked_mean(
        lambda a, b: structural_similarity(a, b, data_range=span, full=True)[1],
        outside_removed(reference, mask, RANGE_2023_HU),
        outside_removed(image, mask, RANGE_2023_HU),
        mask,
    )


def ms_ssim_2025(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """Multi-scale SSIM of SynthRAD2025: five levels, 3-D, range [-1024, 3071] HU.

    It differs from Wang et al. (2003), as the challenge's code does: luminance, contrast and structure are each raised
    to the level's weight at *every* level. Mean over the mask per level, product of the means clipped to [0, 1].
    Between levels a 2x2x2 mean (zeros before the first voxel), then every second voxel; the mask loses every second
    voxel without a mean. Volumes are padded with edge values to 97 voxels per axis. NaN where nothing of the mask is
    left at the coarsest level.
    """
    a, b = (_padded(outside_removed(array, mask, RANGE_2025_HU)) for array in (reference, image))
    inside, span = _padded(mask), RANGE_2025_HU[1] - RANGE_2025_HU[0]
    product = 1.0
    for level, weight in enumerate(LEVEL_WEIGHTS):
        if level:
            a, b, inside = _halved(a), _halved(b), inside[::2, ::2, ::2]
        mean = masked_mean(lambda x, y, w=weight: _weighted_similarity(x, y, span, w), a, b, inside)
        product *= float(np.clip(mean, 0.0, 1.0))
    return product


def outside_removed(image_hu: np.ndarray, mask: np.ndarray, range_hu: tuple[float, float]) -> np.ndarray:
    """The image clipped to a range, its lower end outside the mask, shifted to start at 0 (float64)."""
    low, high = range_hu
    return np.where(mask, np.clip(image_hu.astype(np.float64), low, high) - low, 0.0)


def masked_mean(similarity: Map, reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """Mean over the mask, less 3 voxels at each border, of a map that looks 3 voxels around; NaN for an empty mask.

    Computed in slabs around the mask: the maps of a whole CT at once would need many times its memory.
    """
    total, count = 0.0, 0
    mask = mask.astype(bool)
    core = (slice(_EDGE, -_EDGE),) * 3
    for start in range(_EDGE, len(reference) - _EDGE, _SLAB):
        stop = min(start + _SLAB, len(reference) - _EDGE)
        chosen = mask[start:stop, _EDGE:-_EDGE, _EDGE:-_EDGE]
        if not chosen.any():
            continue
        rows, columns = (np.flatnonzero(chosen.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        box = [(start, stop), *((at[0] + _EDGE, at[-1] + 1 + _EDGE) for at in (rows, columns))]
        block = tuple(slice(low - _EDGE, high + _EDGE) for low, high in box)
        values = similarity(reference[block], image[block])[core][mask[block][core]]
        total, count = total + float(values.sum(dtype=np.float64)), count + values.size
    return total / count if count else float("nan")


def _weighted_similarity(a: np.ndarray, b: np.ndarray, span: float, weight: float) -> np.ndarray:
    """Map of luminance, contrast and structure, negative ones set to 0, each raised to ``weight``."""
    from scipy.ndimage import uniform_filter

    voxels = WINDOW**a.ndim
    sample = voxels / (voxels - 1)
    mean_a, mean_b = uniform_filter(a, WINDOW), uniform_filter(b, WINDOW)
    variance_a = sample * (uniform_filter(a * a, WINDOW) - mean_a**2)
    variance_b = sample * (uniform_filter(b * b, WINDOW) - mean_b**2)
    covariance = sample * (uniform_filter(a * b, WINDOW) - mean_a * mean_b)
    deviations = np.sqrt(np.clip(variance_a, 0.0, None) * np.clip(variance_b, 0.0, None))
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    contrast = (2 * deviations + c2) / (variance_a + variance_b + c2)
    structure = (covariance + c2 / 2) / (deviations + c2 / 2)
    factors = (np.clip(factor, 0.0, None) ** weight for factor in (luminance, contrast, structure))
    return next(factors) * next(factors) * next(factors)


def _padded(array: np.ndarray) -> np.ndarray:
    """The array grown to ``LEAST_SIZE`` with its edge values, the smaller half of the padding first."""
    missing = [max(0, LEAST_SIZE - size) for size in array.shape]
    return np.pad(array, [(lack // 2, lack - lack // 2) for lack in missing], mode="edge")


def _halved(array: np.ndarray) -> np.ndarray:
    """Mean of voxels 2n-1 and 2n along each axis, with a zero before the first voxel."""
    for axis in range(array.ndim):
        array = np.moveaxis(array, axis, 0)
        even = array[::2]
        before = np.zeros_like(even)
        before[1:] = array[1::2][: len(even) - 1]
        array = np.moveaxis((even + before) / 2, 0, axis)
    return array
