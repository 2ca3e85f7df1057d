"""Voxels as DICOM stores them: integers of 16 bits with a rescale, or RGB of 8 bits; and window and grid as text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .volume import Volume

_LARGEST_SHEAR = 1e-4


@dataclass(frozen=True)
class Encoded:
    """Stored values and how physical ones come out of them: ``stored * slope + intercept``."""

    stored: np.ndarray
    slope: str = "1"
    intercept: str = "0"


def encode(volume: Volume) -> Encoded:
    """Stored values of a volume.

    Integers that fit 16 bits are stored as they are, Hounsfield units rounded to whole ones, colors to 8 bits; other
    numbers are spread over 16 bits, so that none is off by more than 1/131070 of their range.

    Raises:
        InputError: there are values that are no number, colors beyond 0 to 255, or HU beyond what 16 bits hold.
    """
    array = volume.array
    if volume.non_finite:
        raise InputError(f"The volume has {volume.non_finite} voxels that are no number; DICOM cannot hold them.")
    low, high = float(array.min()), float(array.max())
    if volume.channels == 3:
        if low < 0 or high > 255.5:
            raise InputError(f"The colors run from {low:g} to {high:g}; DICOM takes colors from 0 to 255.")
        return Encoded(np.rint(array).clip(0, 255).astype(np.uint8))
    if volume.channels != 1:
        raise InputError(f"Images of {volume.channels} components per voxel cannot be exported as DICOM.")
    if volume.units == "HU" or array.dtype.kind in "iu":
        if low >= -(2**15) - 0.5 and high <= 2**15 - 0.5:
            return Encoded(np.rint(array).clip(-(2**15), 2**15 - 1).astype(np.int16))
        if low >= 0 and high <= 2**16 - 0.5:
            return Encoded(np.rint(array).astype(np.uint16))
        if volume.units == "HU":
            raise InputError(f"Values from {low:g} to {high:g} HU do not fit the 16 bits of DICOM; check the unit.")
    if not np.isfinite(high - low):
        raise InputError(f"Values from {low:g} to {high:g} are too far apart for DICOM; check the image.")
    slope = number((high - low) / (2**16 - 1)) if high > low else "1"
    intercept = number(low)
    # from the text: those are the numbers that a reader will have
    stored = np.rint((array.astype(np.float64) - float(intercept)) / float(slope)).clip(0, 2**16 - 1)
    return Encoded(stored.astype(np.uint16), slope, intercept)


def number(value: float) -> str:
    """A decimal string of at most 16 characters, as exact as they allow."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(value)) if value else "0"


def window_of(volume: Volume, window: tuple[float, float] | None = None) -> tuple[str, str]:
    """Center and width to show the volume with: those given, a soft-tissue window for HU, else most of the values."""
    if window is not None and not np.isfinite(window).all():
        window = None
    if window is None and volume.units == "HU":
        window = (40.0, 400.0)
    if window is None:
        low, high = np.percentile(volume.array[:: max(1, len(volume.array) // 16)], (0.5, 99.5))
        window = ((low + high) / 2, high - low)
    return number(window[0]), number(max(window[1], 1.0))


def slice_order(volume: Volume) -> list[int]:
    """Slices (k) in the order of the normal that DICOM derives from rows and columns.

    Raises:
        InputError: the slices are not perpendicular to it (a sheared grid).
    """
    across, down, through = volume.geometry.directions.T * np.array([-1.0, -1.0, 1.0])
    along = float(np.cross(across, down) @ through)
    if abs(float(across @ down)) > _LARGEST_SHEAR or abs(along) < 1 - _LARGEST_SHEAR:
        raise InputError(
            "The axes of the volume are not perpendicular, which a DICOM series cannot state; resample it first, for "
            "example in the module Resample Scalar/Vector/DWI Volume."
        )
    order = list(range(volume.grid_shape[0]))
    return order if along > 0 else order[::-1]
