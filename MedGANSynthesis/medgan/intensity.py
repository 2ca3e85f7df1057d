"""Intensity scalings between physical units and the numbers a network sees; all affine, hence exactly invertible.

A scale is *fitted* to a volume first: fixed scales ignore it, statistical ones take an offset and a divisor per
slice from it. The fitted scale then works on any block of slices, so a tile sees the same numbers as the whole
volume would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import BundleError

AIR_HU = -1024.0
PADDING_BELOW_HU = -1200.0
"""Scanners fill what lies outside their field of view with -2000 or -3024 HU: no measurement, and no air either."""


@dataclass(frozen=True)
class FittedScale:
    """``network = (physical - offset) / divisor``, with one offset and divisor for all slices or one per slice.

    Args:
        offset: scalar or shape ``(slices,)``, physical units.
        divisor: scalar or shape ``(slices,)``, physical units per network unit.
    """

    offset: np.ndarray
    divisor: np.ndarray

    def forward(self, block: np.ndarray, slices: slice = slice(None)) -> np.ndarray:
        """Network numbers (float32, a new array) of a physical ``(..., k, j, i)`` block that covers ``slices``."""
        scaled = block.astype(np.float32)
        offset, divisor = self._along_k(slices)
        if np.any(offset):
            scaled -= offset
        scaled *= np.float32(1.0) / divisor
        return scaled

    def inverse(self, block: np.ndarray, slices: slice = slice(None)) -> np.ndarray:
        """Physical values of a float32 network block ``(..., k, j, i)``; works in place and returns ``block``."""
        offset, divisor = self._along_k(slices)
        block *= divisor
        if np.any(offset):
            block += offset
        return block

    def _along_k(self, slices: slice) -> tuple[np.ndarray, np.ndarray]:
        if self.offset.ndim == 0:
            return self.offset, self.divisor
        return self.offset[slices, np.newaxis, np.newaxis], self.divisor[slices, np.newaxis, np.newaxis]


@dataclass(frozen=True)
class FixedScale:
    """The same affine map for every volume, so that adjacent slices and different patients stay comparable.

    Args:
        offset: physical value that becomes 0.
        divisor: physical difference that becomes 1, for example 1000 HU.
    """

    offset: float = 0.0
    divisor: float = 1000.0

    def fit(self, array: np.ndarray) -> FittedScale:
        """The scale itself; ``array`` is not looked at."""
        return FittedScale(np.float32(self.offset), np.float32(self.divisor))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready description, read back by :func:`from_dict`."""
        return {"kind": "fixed", "offset": self.offset, "divisor": self.divisor}


@dataclass(frozen=True)
class SliceStatistics:
    """Mean and variance (or standard deviation) of every slice of the source.

    ``variance=True`` is what the published CNCL code does: dividing by the variance, not by the standard deviation.
    """

    variance: bool = True

    def fit(self, array: np.ndarray) -> FittedScale:
        """Statistics of each slice of ``array``, shape ``(k, j, i)``."""
        mean = array.mean(axis=(1, 2), dtype=np.float64)
        spread = array.var(axis=(1, 2), dtype=np.float64) if self.variance else array.std(axis=(1, 2), dtype=np.float64)
        spread[spread == 0] = 1.0  # a constant slice: keep it invertible
        return FittedScale(mean.astype(np.float32), spread.astype(np.float32))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready description, read back by :func:`from_dict`."""
        return {"kind": "slice-statistics", "variance": self.variance}


_KINDS = {"fixed": FixedScale, "slice-statistics": SliceStatistics}


def from_dict(description: dict[str, Any]) -> FixedScale | SliceStatistics:
    """The scale a bundle describes.

    Raises:
        BundleError: the kind or a field is unknown to this version.
    """
    fields = dict(description)
    try:
        return _KINDS[fields.pop("kind")](**fields)
    except (KeyError, TypeError):
        raise BundleError(
            f"The intensity scaling {description} is not known to this version of MedGAN; update it."
        ) from None
