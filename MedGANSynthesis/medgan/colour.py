"""Color of stained slides as a stain-transfer network sees it: RGB, or one of three kinds of grey.

RGB runs from 0 to 255. Optical density is the natural logarithm of what the tissue absorbs, -ln(RGB / 255): stains add
up in it (Beer and Lambert). Haematoxylin is found by color deconvolution (Ruifrok & Johnston, Anal Quant Cytol Histol
2001;23:291), with the stain vectors that scikit-image uses too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .errors import InputError
from .intensity import as_float, like, namespace
from .volume import Volume

LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
STAIN_VECTORS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density in red, green and blue of haematoxylin, eosin and DAB."""
UNMIXING = np.linalg.inv(STAIN_VECTORS)

INPUTS = ("luma", "optical-density", "haematoxylin", "rgb")
TISSUE_BELOW = 220.0
"""A pixel with a component below this is tissue, as in :func:`medgan.body_mask.body_mask`."""
_SAMPLE = 4096


def optical_density(rgb: Any) -> Any:
    """-ln(RGB / 255) of a float block, numpy or torch; black counts as 1 of 255."""
    xp = namespace(rgb)
    return -xp.log(rgb.clip(min=1.0) * (1.0 / 255.0))


def from_optical_density(density: Any) -> Any:
    """The inverse of :func:`optical_density`."""
    return 255.0 * namespace(density).exp(-density)


def as_grey(rgb: Any, kind: str) -> Any:
    """One kind of grey of a float RGB block ``(3, ...)``, numpy or torch; shape ``(1, ...)``.

    ``luma`` is 0 to 255; ``optical-density`` the mean density of the components; ``haematoxylin`` its concentration, in
    density along its stain vector.
    """
    if kind == "luma":
        return _combined(rgb, LUMA_WEIGHTS)
    weights = UNMIXING[:, 0] if kind == "haematoxylin" else np.full(3, 1 / 3)
    return _combined(optical_density(rgb), weights)


def grey(volume: Volume, kind: str = "luma") -> Volume:
    """The grey a stain-transfer network would be given, as a scalar float32 image, for datasets and for looking at.

    Args:
        volume: RGB, 0 to 255.
        kind: "luma", "optical-density" or "haematoxylin", see :func:`as_grey`.

    Raises:
        InputError: there is no such kind of grey, or the image is no RGB.
    """
    if kind not in INPUTS[:-1]:
        raise InputError(f"There is no grey of the kind '{kind}'; there are {', '.join(INPUTS[:-1])}.")
    if volume.channels != 3:
        raise InputError(f"A grey is made from images of 3 components (RGB); this one has {volume.channels}.")
    return volume.with_array(as_grey(np.moveaxis(as_float(volume.array), -1, 0), kind)[0])


@dataclass(frozen=True)
class ColourInput:
    """Scale of RGB sources: the kind of color or grey, and whether a slide is brought to common statistics first.

    Args:
        kind_of_input: one of :data:`INPUTS`.
        copies: how often a grey is repeated as channels (published: 3); RGB has three channels anyway.
        slide_statistics: take the mean and the deviation of each channel over the tissue of the whole slide as 0 and 1;
            RGB becomes optical density for that. Else RGB and luma -1 to 1, densities 0 to 2 likewise.
    """

    KIND: ClassVar[str] = "colour"
    kind_of_input: str = "rgb"
    copies: int = 1
    slide_statistics: bool = False

    def __post_init__(self) -> None:
        if self.kind_of_input not in INPUTS:
            raise ValueError(f"There is no input '{self.kind_of_input}'.")

    def fit(self, array: np.ndarray) -> FittedColour:
        """The scale of one slide ``(k, j, i, 3)``; without slide statistics ``array`` is not looked at."""
        if not self.slide_statistics:
            return self.fit_to(np.empty((3, 0), np.float32))
        if array.ndim != 4 or array.shape[3] != 3:
            raise InputError("Stain transfer takes color images of 3 components (RGB).")
        return self.fit_to(tissue_sample(array))

    def fit_to(self, tissue: np.ndarray) -> FittedColour:
        """The scale of a slide with this tissue, ``(3, n)`` RGB float32."""
        return FittedColour(self, tissue, *self._statistics(tissue))

    def channels(self) -> int:
        """Network inputs."""
        return 3 if self.kind_of_input == "rgb" else self.copies

    def values(self, rgb: Any) -> Any:
        """What is scaled: density, grey or RGB of a float block ``(3, ...)``."""
        if self.kind_of_input != "rgb":
            return as_grey(rgb, self.kind_of_input)
        return optical_density(rgb) if self.slide_statistics else rgb

    def _statistics(self, tissue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = 3 if self.kind_of_input == "rgb" else 1
        if not self.slide_statistics:
            middle = 127.5 if self.kind_of_input in ("rgb", "luma") else 1.0
            return np.full(count, middle, np.float32), np.full(count, middle, np.float32)
        values = self.values(tissue)
        if values.shape[1] < 2:  # a slide without tissue
            return np.zeros(count, np.float32), np.ones(count, np.float32)
        deviation = np.maximum(values.std(axis=1), 1e-3 * max(1.0, float(np.abs(values).max())))
        return values.mean(axis=1), deviation

    def to_dict(self) -> dict[str, Any]:
        """See :class:`medgan.intensity.Scale`."""
        return {"kind": self.KIND, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class FittedColour:
    """:class:`ColourInput` of one slide.

    Args:
        scale: what it was fitted for.
        tissue: RGB of some pixels of tissue, ``(3, n)`` float32, from which another staining can be fitted.
        mean, deviation: of each channel, what becomes 0 and what becomes 1.
    """

    scale: ColourInput
    tissue: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def forward(self, block: Any, slices: Any = slice(None)) -> Any:
        """Network numbers ``(channels, k, j, i)`` of an RGB block ``(3, k, j, i)``."""
        values = self.scale.values(as_float(block))
        shape = (-1,) + (1,) * (values.ndim - 1)
        mean, deviation = (like(numbers.reshape(shape), values) for numbers in (self.mean, self.deviation))
        scaled = (values - mean) / deviation
        if self.scale.kind_of_input == "rgb" or self.scale.copies == 1:
            return scaled
        return namespace(scaled).concatenate([scaled] * self.scale.copies)

    def inverse(self, block: Any, slices: Any = slice(None)) -> Any:
        """RGB of network numbers; only RGB input can be turned back.

        Raises:
            ValueError: the input is a grey, so the target needs a scale of its own.
        """
        if self.scale.kind_of_input != "rgb":
            raise ValueError("Color cannot be got back from grey.")
        shape = (-1,) + (1,) * (block.ndim - 1)
        values = block * like(self.deviation.reshape(shape), block) + like(self.mean.reshape(shape), block)
        return from_optical_density(values) if self.scale.slide_statistics else values


def tissue_sample(array: np.ndarray, most: int = _SAMPLE) -> np.ndarray:
    """RGB ``(3, n)`` float32 of evenly spread tissue pixels of a slide ``(k, j, i, 3)``, at most ``most`` of them."""
    pixels = array.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // 2**22)]
    pixels = pixels[(pixels < TISSUE_BELOW).any(axis=1)]
    return np.ascontiguousarray(pixels[:: max(1, len(pixels) // most)][:most].T, np.float32)


def _combined(rgb: Any, weights: np.ndarray) -> Any:
    red, green, blue = (float(weight) for weight in weights)
    return red * rgb[:1] + green * rgb[1:2] + blue * rgb[2:3]
