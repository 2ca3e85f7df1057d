"""Metrics of an MR inside the head (or body), whose intensities have no unit: the range comes from the truth."""

from __future__ import annotations

import numpy as np

from .basic import mae, psnr_db, rmse, ssim

LOW_PERCENTILE, HIGH_PERCENTILE = 0.1, 99.9


def intensity_range(truth: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """From the 0.1th percentile of all voxels (air) to the 99.9th of those in the mask; the same for every method."""
    inside = truth[mask] if mask.any() else truth
    low, high = float(np.percentile(truth, LOW_PERCENTILE)), float(np.percentile(inside, HIGH_PERCENTILE))
    return (low, high) if high > low else (low, low + 1.0)


def inside_head(
    truth: np.ndarray, image: np.ndarray, mask: np.ndarray, value_range: tuple[float, float]
) -> dict[str, float]:
    """PSNR (dB), SSIM (slices along k), MAE and RMSE inside the mask, all errors relative to ``value_range``."""
    span = value_range[1] - value_range[0]
    return {
        "psnr_db_head": psnr_db(truth, image, value_range, mask),
        "ssim_head": ssim(truth, image, value_range, mask),
        "mae_percent_head": 100.0 * mae(truth, image, mask) / span,
        "rmse_percent_head": 100.0 * rmse(truth, image, mask) / span,
    }
