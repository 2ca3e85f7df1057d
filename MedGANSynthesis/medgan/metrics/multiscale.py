"""Multi-scale structural similarity as Wang et al. (2003) define it."""

from __future__ import annotations

import numpy as np

from .basic import CT_RANGE_HU

LEAST_SIZE = 176
"""Pixels along the shorter side of a slice that MONAI wants for five scales of a window of 11 pixels."""
_BATCH = 8


def ms_ssim(reference: np.ndarray, image: np.ndarray, value_range: tuple[float, float] = CT_RANGE_HU) -> float:
    """MS-SSIM of the whole slices along k of ``(k, j, i)`` volumes, mean over the slices (MONAI's implementation).

    Gaussian window of 11 pixels, sigma 1.5, five scales, both images clipped to ``value_range`` and shifted to start at
    0. NaN where a slice is smaller than 176 pixels.
    """
    import torch
    from monai.metrics import MultiScaleSSIMMetric

    if min(reference.shape[1:]) < LEAST_SIZE:
        return float("nan")
    low, high = value_range
    metric = MultiScaleSSIMMetric(spatial_dims=2, data_range=high - low, kernel_size=11, kernel_sigma=1.5)
    values = []
    for start in range(0, len(reference), _BATCH):
        a, b = (
            torch.from_numpy(np.clip(array[start : start + _BATCH].astype(np.float32), low, high) - low)[:, None]
            for array in (reference, image)
        )
        values += metric._compute_tensor(b, a).flatten().tolist()
    return float(np.mean(values))
