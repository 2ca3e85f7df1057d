"""Contrast-to-noise ratio: how clearly what takes up contrast medium stands out."""

from __future__ import annotations

import numpy as np

ENHANCED_BY_HU = 50.0
SAME_WITHIN_HU = 20.0
SOFT_TISSUE_HU = (0.0, 100.0)


def contrast_to_noise(image: np.ndarray, region: np.ndarray, background: np.ndarray) -> float:
    """``(mean in region - mean in background) / standard deviation in background``; NaN where either is empty.

    Args:
        image: any shape and unit. region, background: masks of that shape.
    """
    if not region.any() or np.count_nonzero(background) < 2:
        return float("nan")
    inside, around = image[region].astype(np.float64), image[background].astype(np.float64)
    noise = around.std()
    return float((inside.mean() - around.mean()) / noise) if noise > 0 else float("nan")


def enhanced(source_hu: np.ndarray, truth_hu: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Region and background for :func:`contrast_to_noise`, from the true images alone, so equal for every method.

    The region is where the truth lies more than 50 HU above the non-contrast source; the background is soft tissue
    (0 to 100 HU in the source) that changes by less than 20 HU. Both are judged on images averaged over 3x3 pixels,
    or noise alone would enhance, and lie inside the mask.
    """
    from scipy.ndimage import uniform_filter

    source, truth = (uniform_filter(array.astype(np.float32), (1, 3, 3)) for array in (source_hu, truth_hu))
    change = truth - source
    soft = (source >= SOFT_TISSUE_HU[0]) & (source <= SOFT_TISSUE_HU[1])
    return mask & (change > ENHANCED_BY_HU), mask & soft & (np.abs(change) < SAME_WITHIN_HU)
