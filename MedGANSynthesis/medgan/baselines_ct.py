"""CT from MR without a network: what an MR-to-CT generator has to beat."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .body_mask import body_mask
from .errors import InputError
from .intensity import AIR_HU
from .volume import Volume

WATER_HU = 0.0
BINS = 64
_LEAST_VOXELS = 50


def water(mr: Volume) -> Volume:
    """Water (0 HU) in the whole body, air (-1024 HU) around it, int16: the oldest bulk density of MR-only planning."""
    return _as_ct(mr, np.where(body_mask(mr), WATER_HU, AIR_HU))


class IntensityRegression:
    """The mean CT number of each MR intensity, learnt from training pairs; nothing but the intensity is looked at.

    Intensities are put on a common scale by the 1st and 99th percentile inside the body, and cut into 64 bins.

    Args:
        pairs: (MR, CT in HU, mask or None) on one grid each, read one after the other.

    Raises:
        InputError: there is no pair with a body.
    """

    def __init__(self, pairs: Iterable[tuple[Volume, Volume, np.ndarray | None]]):
        sums, counts = np.zeros(BINS), np.zeros(BINS)
        for mr, ct, mask in pairs:
            inside = body_mask(ct) if mask is None else mask
            if inside.any():
                bins = np.minimum((_common_scale(mr)[inside] * BINS).astype(int), BINS - 1)
                sums += np.bincount(bins, ct.array[inside].astype(np.float64), BINS)
                counts += np.bincount(bins, minlength=BINS)
        known = counts >= min(_LEAST_VOXELS, counts.max())
        if not counts.any():
            raise InputError("There is no training pair of MR and CT with a body in it, so no intensities are learnt.")
        self.intensity = (np.flatnonzero(known) + 0.5) / BINS
        self.hu = sums[known] / counts[known]

    def __call__(self, mr: Volume) -> Volume:
        """CT numbers by intensity inside the body of ``mr``, -1024 HU outside, int16."""
        values = np.interp(_common_scale(mr), self.intensity, self.hu)
        return _as_ct(mr, np.where(body_mask(mr), values, AIR_HU))


def _common_scale(mr: Volume) -> np.ndarray:
    """Intensities from 0 to 1 between the percentiles inside the body, clipped."""
    mask = body_mask(mr)
    low, high = np.percentile(mr.array[mask] if mask.any() else mr.array, (1.0, 99.0))
    return np.clip((mr.array.astype(np.float32) - low) / max(high - low, 1e-6), 0.0, 1.0)


def _as_ct(mr: Volume, array: np.ndarray) -> Volume:
    return mr.with_array(np.rint(array).astype(np.int16), units="HU", modality="CT")
