"""Intensity scalings between physical units and the numbers a network sees.

A scale is *fitted* to a volume first: fixed scales ignore it, statistical ones take an offset and a divisor from it,
for the whole volume or for every slice. The fitted scale then works on any block of slices, so a tile sees the same
numbers as the whole volume would. Blocks are numpy arrays or torch tensors ``(components, k, j, i)``: the same code
serves inference and training on a device.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from .errors import BundleError

AIR_HU = -1024.0
PADDING_BELOW_HU = -1200.0
"""Scanners fill what lies outside their field of view with -2000 or -3024 HU: no measurement, and no air either."""


class Fitted(Protocol):
    """A scale fitted to a volume."""

    def forward(self, block: Any, slices: slice | np.ndarray = slice(None)) -> Any:
        """Network numbers (float32, a new array) of a physical block that covers ``slices``."""

    def inverse(self, block: Any, slices: slice | np.ndarray = slice(None)) -> Any:
        """Physical values of a float32 network block; may work in place."""


class Scale(Protocol):
    """How physical values become network numbers; written into a bundle's manifest by :meth:`to_dict`."""

    def fit(self, array: np.ndarray) -> Fitted:
        """The scale for one volume, shape ``(k, j, i[, c])``."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready description, read back by :func:`from_dict`."""


@dataclass(frozen=True)
class FittedScale:
    """``network = (physical - offset) / divisor``, with one offset and divisor for all slices or one per slice.

    Args:
        offset: scalar or shape ``(slices,)``, physical units.
        divisor: scalar or shape ``(slices,)``, physical units per network unit.
        limit: network numbers are clipped to -limit .. limit; None leaves them.
    """

    offset: np.ndarray
    divisor: np.ndarray
    limit: float | None = None

    def forward(self, block: Any, slices: slice | np.ndarray = slice(None)) -> Any:
        """See :class:`Fitted`."""
        scaled = as_float(block)
        offset, divisor = self._along_k(scaled, slices)
        if np.any(self.offset):
            scaled -= offset
        scaled *= 1.0 / divisor
        return scaled if self.limit is None else scaled.clip(-self.limit, self.limit)

    def inverse(self, block: Any, slices: slice | np.ndarray = slice(None)) -> Any:
        """See :class:`Fitted`; works in place and returns ``block``."""
        offset, divisor = self._along_k(block, slices)
        block *= divisor
        if np.any(self.offset):
            block += offset
        return block

    def _along_k(self, block: Any, slices: slice | np.ndarray) -> tuple[Any, Any]:
        if self.offset.ndim == 0:
            if is_tensor(block):
                return float(self.offset), float(self.divisor)
            return self.offset, self.divisor
        return tuple(like(values[slices], block)[:, None, None] for values in (self.offset, self.divisor))


@dataclass(frozen=True)
class FixedScale:
    """The same affine map for every volume, so that adjacent slices and different patients stay comparable.

    Args:
        offset: physical value that becomes 0.
        divisor: physical difference that becomes 1, for example 1000 HU.
    """

    KIND: ClassVar[str] = "fixed"
    offset: float = 0.0
    divisor: float = 1000.0

    def fit(self, array: np.ndarray) -> FittedScale:
        """The scale itself; ``array`` is not looked at."""
        return FittedScale(np.float32(self.offset), np.float32(self.divisor))

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Scale`."""
        return {"kind": self.KIND, **asdict(self)}


@dataclass(frozen=True)
class SliceStatistics:
    """Mean and variance (or standard deviation) of every slice of the source.

    ``variance=True`` is what the published CNCL code does: dividing by the variance, not by the standard deviation.
    """

    KIND: ClassVar[str] = "slice-statistics"
    variance: bool = True

    def fit(self, array: np.ndarray) -> FittedScale:
        """Statistics of each slice of ``array``, shape ``(k, j, i)``."""
        mean = array.mean(axis=(1, 2), dtype=np.float64)
        spread = array.var(axis=(1, 2), dtype=np.float64) if self.variance else array.std(axis=(1, 2), dtype=np.float64)
        spread[spread == 0] = 1.0  # a constant slice: keep it invertible
        return FittedScale(mean.astype(np.float32), spread.astype(np.float32))

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Scale`."""
        return {"kind": self.KIND, **asdict(self)}


@dataclass(frozen=True)
class SliceRange:
    """Smallest value of every slice to -1, largest to 1: what the published MR to CT code does to the MR."""

    KIND: ClassVar[str] = "slice-range"

    def fit(self, array: np.ndarray) -> FittedScale:
        """Range of each slice of ``array``, shape ``(k, j, i)``."""
        low, high = array.min(axis=(1, 2)).astype(np.float32), array.max(axis=(1, 2)).astype(np.float32)
        half = (high - low) / 2
        half[half == 0] = 1.0
        return FittedScale((low + high) / 2, half)

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Scale`."""
        return {"kind": self.KIND}


@dataclass(frozen=True)
class PercentileScale:
    """Two values of the whole volume to 0 and 1 (``symmetric``: to -1 and 1), robust against single bright voxels.

    Args:
        low: percentile of all voxels that becomes the lower end; 0 is the smallest value.
        high: percentile of the foreground (voxels above the mean, which in an MR is the patient) that becomes the
            upper end; 100 is the largest value of all.
        symmetric: map to -1 .. 1.
        from_zero: the lower end is the value 0, as the published super-resolution takes it.
        clipped: network numbers beyond -1 .. 1 are clipped, for networks that have to paint the image back by tanh.
    """

    KIND: ClassVar[str] = "percentiles"
    low: float = 0.5
    high: float = 99.5
    symmetric: bool = True
    from_zero: bool = False
    clipped: bool = False

    def fit(self, array: np.ndarray) -> FittedScale:
        """Percentiles of ``array``, any shape."""
        values = array.reshape(-1)
        low = 0.0 if self.from_zero else float(np.percentile(values, self.low))
        foreground = values if self.high >= 100 else values[values > values.mean(dtype=np.float64)]
        high = float(np.percentile(foreground if foreground.size else values, self.high))
        reach = high - low if high > low else 1.0  # a constant volume: keep it invertible
        limit = 1.0 if self.clipped else None
        if self.symmetric:
            return FittedScale(np.float32(low + reach / 2), np.float32(reach / 2), limit)
        return FittedScale(np.float32(low), np.float32(reach), limit)

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Scale`."""
        return {"kind": self.KIND, **asdict(self)}


@dataclass(frozen=True)
class Windows:
    """CT windows as channels: each clips HU to its range and maps it to -1 .. 1; fits every volume alike.

    Args:
        windows_hu: (width, level) of each window in HU.
    """

    KIND: ClassVar[str] = "windows"
    windows_hu: tuple[tuple[float, float], ...] = ((2000.0, 0.0),)

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows_hu", tuple(tuple(window) for window in self.windows_hu))  # JSON gives lists

    def fit(self, array: np.ndarray) -> Windows:
        """The scale itself; ``array`` is not looked at."""
        return self

    def forward(self, block: Any, slices: slice | np.ndarray = slice(None)) -> Any:
        """One channel per window of a block with one component."""
        block = as_float(block)
        channels = [((block - level) / (width / 2)).clip(-1.0, 1.0) for width, level in self.windows_hu]
        return namespace(block).concatenate(channels)

    def inverse(self, block: Any, slices: slice | np.ndarray = slice(None)) -> Any:
        """HU by the first window, the widest by convention (source: pix2pix3D-CT)."""
        width, level = self.windows_hu[0]
        return block[:1] * (width / 2) + level

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Scale`."""
        return {"kind": self.KIND, "windows_hu": [list(window) for window in self.windows_hu]}


def from_dict(description: dict[str, Any]) -> Scale:
    """The scale a bundle describes.

    Raises:
        BundleError: the kind or a field is unknown to this version.
    """
    from .colour import ColourInput

    kinds = {
        kind.KIND: kind for kind in (FixedScale, SliceStatistics, SliceRange, PercentileScale, Windows, ColourInput)
    }
    fields = dict(description)
    try:
        return kinds[fields.pop("kind")](**fields)
    except (KeyError, TypeError, ValueError):
        raise BundleError(
            f"The intensity scaling {description} is not known to this version of MedGAN; update it."
        ) from None


def without_padding(array: np.ndarray) -> np.ndarray:
    """HU in which padding has become air, as networks are shown it; the array itself where there is none."""
    padding = array < PADDING_BELOW_HU
    return np.where(padding, array.dtype.type(AIR_HU), array) if padding.any() else array


def is_tensor(block: Any) -> bool:
    """Whether a block is a torch tensor rather than a numpy array (without importing torch)."""
    return not isinstance(block, np.ndarray)


def namespace(block: Any) -> Any:
    """The module whose functions work on ``block``: numpy or torch."""
    if not is_tensor(block):
        return np
    import torch

    return torch


def as_float(block: Any) -> Any:
    """A float32 copy of a block."""
    return block.float().clone() if is_tensor(block) else block.astype(np.float32)


def like(values: np.ndarray, block: Any) -> Any:
    """Float32 numbers of the kind and on the device of ``block``."""
    values = np.asarray(values, np.float32)
    if not is_tensor(block):
        return values
    import torch

    return torch.as_tensor(values, device=block.device)
