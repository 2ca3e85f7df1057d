"""Stain reference: the colors of one slide's tissue, and how another slide is brought to them.

Source: Reinhard et al., IEEE Comput Graph Appl 2001;21(5):34: mean and standard deviation of each channel are taken
over from the reference. Here in CIE L*a*b*, where equal distances look equal, and over the tissue alone, so that the
amount of glass in a picture does not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .colour import TISSUE_BELOW, tissue_sample
from .errors import InputError
from .volume import Volume

WHITE_FROM = 240.0
"""A pixel whose components all reach this is glass and keeps its color; from ``TISSUE_BELOW`` on the change fades."""
LEAST_TISSUE = 500
LEAST_SHARE = 0.002
_SAMPLE = 2**18
_LEAST_DEVIATION = 0.5  # L*a*b* units: below this a channel is noise, which must not be blown up

# IEC 61966-2-1 (sRGB): linear RGB to CIE XYZ; the rows sum to the white point D65, so that white is L* 100, a* b* 0
_XYZ_OF_RGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = _XYZ_OF_RGB.sum(axis=1)
_TO_XYZ = (_XYZ_OF_RGB / _WHITE[:, np.newaxis]).astype(np.float32)
_FROM_XYZ = np.linalg.inv(_XYZ_OF_RGB / _WHITE[:, np.newaxis]).astype(np.float32)
_BEND = np.float32(6 / 29)  # CIE 1976: cube root above the third power of this, a straight line below


class StainReference(NamedTuple):
    """Mean and standard deviation of CIE L*a*b* (sRGB, D65) over the tissue of a slide: six plain numbers."""

    mean_l: float
    mean_a: float
    mean_b: float
    deviation_l: float
    deviation_a: float
    deviation_b: float

    @classmethod
    def of(cls, volume: Volume) -> StainReference:
        """The colors of a slide.

        Args:
            volume: RGB ``(k, j, i, 3)``, 0 to 255.

        Raises:
            InputError: the image is no RGB, holds values that are no number, or shows hardly any tissue.
        """
        if volume.channels != 3:
            raise InputError(
                f"Colors can only be taken from an image of 3 components (RGB); this one has {volume.channels}."
            )
        if volume.non_finite:
            raise InputError("The image has voxels that are no number (NaN or infinite); replace them first.")
        tissue = tissue_sample(volume.array, _SAMPLE)
        looked_at = min(volume.array.size // 3, _SAMPLE)
        if tissue.shape[1] < min(LEAST_TISSUE, looked_at) or tissue.shape[1] < LEAST_SHARE * looked_at:
            raise InputError(
                "The image shows hardly any tissue, so its colors cannot be measured; choose an image with more of it."
            )
        lab = lab_of_rgb(tissue)
        mean, deviation = lab.mean(axis=1, dtype=np.float64), lab.std(axis=1, dtype=np.float64)
        return cls(*mean.tolist(), *deviation.tolist())


def recolour(rgb: np.ndarray, own: tuple[float, ...], reference: tuple[float, ...]) -> np.ndarray:
    """The block in the colors of the reference; each pixel by itself, so that tiles show no seam.

    Args:
        rgb: ``(3, ...)`` float32, 0 to 255.
        own: the six numbers of the whole slide that the block is from.
        reference: the six numbers of the slide whose colors are wanted.

    Returns:
        ``(3, ...)`` float32, 0 to 255. Glass stays as it is, and where tissue turns into glass the change fades.
    """
    shape = (3,) + (1,) * (rgb.ndim - 1)
    own_mean, own_deviation, mean, deviation = (
        np.reshape(np.asarray(numbers, np.float32), shape)
        for numbers in (own[:3], own[3:], reference[:3], reference[3:])
    )
    factor = deviation / np.maximum(own_deviation, np.float32(_LEAST_DEVIATION))
    changed = rgb_of_lab((lab_of_rgb(rgb) - own_mean) * factor + mean)
    part = ((WHITE_FROM - rgb.min(axis=0)) / (WHITE_FROM - TISSUE_BELOW)).clip(0.0, 1.0)
    weight = part * part * (3.0 - 2.0 * part)
    return (rgb + weight * (changed - rgb)).clip(0.0, 255.0).astype(np.float32, copy=False)


def lab_of_rgb(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* ``(3, ...)`` float32 of sRGB ``(3, ...)``, 0 to 255."""
    share = rgb.astype(np.float32).clip(0.0, 255.0) / np.float32(255.0)
    linear = np.where(share > 0.04045, ((share + np.float32(0.055)) / np.float32(1.055)) ** 2.4, share / 12.92)
    xyz = np.tensordot(_TO_XYZ, linear, axes=1)
    bent = np.where(xyz > _BEND**3, np.cbrt(xyz), xyz / (3 * _BEND**2) + np.float32(4 / 29))
    return np.stack([116 * bent[1] - 16, 500 * (bent[0] - bent[1]), 200 * (bent[1] - bent[2])])


def rgb_of_lab(lab: np.ndarray) -> np.ndarray:
    """sRGB ``(3, ...)`` float32 of CIE L*a*b*, clipped to the colors there are, 0 to 255."""
    y = (lab[0] + 16) / 116
    bent = np.stack([y + lab[1] / 500, y, y - lab[2] / 200])
    xyz = np.where(bent > _BEND, bent**3, 3 * _BEND**2 * (bent - np.float32(4 / 29)))
    linear = np.tensordot(_FROM_XYZ, xyz, axes=1).clip(0.0, 1.0)
    share = np.where(linear > 0.0031308, 1.055 * linear ** np.float32(1 / 2.4) - np.float32(0.055), 12.92 * linear)
    return (share * 255.0).clip(0.0, 255.0).astype(np.float32, copy=False)
