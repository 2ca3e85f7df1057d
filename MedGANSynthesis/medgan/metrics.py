"""Image quality against a reference, in physical units, with the range stated.

All functions take arrays of equal shape; slices along the first axis.
CT uses the range [-1024, 3071] HU of SynthRAD2025.
"""

from __future__ import annotations

import numpy as np

CT_RANGE_HU = (-1024.0, 3071.0)


def rmse(reference: np.ndarray, image: np.ndarray) -> float:
    """Root mean squared difference, in the unit of the images."""
    difference = image.astype(np.float64) - reference.astype(np.float64)
    return float(np.sqrt(np.mean(difference**2)))


def psnr_db(reference: np.ndarray, image: np.ndarray, value_range: tuple[float, float] = CT_RANGE_HU) -> float:
    """Peak signal-to-noise ratio in dB over all voxels, after clipping both images to ``value_range``."""
    low, high = value_range
    error = rmse(np.clip(reference, low, high), np.clip(image, low, high))
    return float("inf") if error == 0 else float(20 * np.log10((high - low) / error))


def ssim(reference: np.ndarray, image: np.ndarray, value_range: tuple[float, float] = CT_RANGE_HU) -> float:
    """Mean structural similarity (Wang et al. 2004; 7x7 uniform window) over the slices of ``(k, j, i)`` volumes.

    NaN where a slice is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    if min(reference.shape[1:]) < 7:
        return float("nan")
    low, high = value_range
    pairs = zip(np.clip(reference, low, high), np.clip(image, low, high), strict=True)
    values = [
        structural_similarity(a.astype(np.float64), b.astype(np.float64), data_range=high - low) for a, b in pairs
    ]
    return float(np.mean(values))


def summary(
    reference: np.ndarray, image: np.ndarray, value_range: tuple[float, float] = CT_RANGE_HU
) -> dict[str, float]:
    """PSNR (dB), SSIM and RMSE (unit of the images) of one volume against its reference."""
    return {
        "psnr_db": psnr_db(reference, image, value_range),
        "ssim": ssim(reference, image, value_range),
        "rmse": rmse(reference, image),
    }
