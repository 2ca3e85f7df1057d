"""Confidence intervals over patients by bootstrap."""

from __future__ import annotations

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000


def mean_interval(
    values: np.ndarray, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean (Efron 1979).

    Patients are drawn, not voxels or slices: those of one patient are alike, and counting each of them would make the
    interval far too narrow. With few patients the interval is still somewhat too narrow.

    Args:
        values: one number per patient; NaN (not measured) is left out.
        confidence: share of intervals that hold the true mean.
        seed: the same seed gives the same interval.

    Returns:
        lower and upper end, or None for fewer than two patients, of whom nothing can be said about others.
    """
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    tail = 100.0 * (1.0 - confidence) / 2.0
    # "nearest", because interpolating between infinite values (the PSNR of equal images) gives NaN
    low, high = np.percentile(values[drawn].mean(axis=1), (tail, 100.0 - tail), method="nearest")
    return float(low), float(high)
