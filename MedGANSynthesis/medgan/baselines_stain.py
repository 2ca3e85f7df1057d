"""Classical stain normalisation, by torchstain: what a stain generator has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .body_mask import body_mask
from .errors import MedGANError, missing_package
from .volume import Volume

LEAST_TISSUE = 100
_MOST_PIXELS = 1_000_000


class StainNormalizer:
    """A method of torchstain (numpy), fitted to the colors of target slides.

    Sources: Macenko et al., ISBI 2009 (Io 240, percentiles 1 and 99, optical density from 0.15); Reinhard et al., IEEE
    CG&A 2001 (means and deviations in Lab).

    Args:
        method: "macenko" or "reinhard".
        targets: RGB slides with the colors wanted, ``(k, j, i, 3)``, 0 to 255; fitted to their pixels together.

    Raises:
        MedGANError: torchstain is not installed.
    """

    def __init__(self, method: str, targets: Sequence[Volume]):
        try:
            import torchstain.numpy.normalizers as normalizers
        except ImportError as error:
            raise MedGANError(missing_package(error)) from error
        kinds: dict[str, Any] = {
            "macenko": normalizers.NumpyMacenkoNormalizer,
            "reinhard": normalizers.NumpyReinhardNormalizer,
        }
        self.method, self.normalizer = method, kinds[method]()
        pixels = np.concatenate([picture_of(target).reshape(-1, 3) for target in targets])
        chosen = pixels[:: max(1, len(pixels) // _MOST_PIXELS)]
        self.normalizer.fit(chosen[:, np.newaxis])

    def __call__(self, slide: Volume) -> Volume:
        """The slide in the colors of the targets, uint8; unchanged where there is hardly any tissue, or no color."""
        picture = picture_of(slide)
        colorless = not np.ptp(picture, axis=-1).any()
        if colorless or np.count_nonzero(body_mask(slide)) < LEAST_TISSUE:
            return slide.with_array(picture)
        flat = picture.reshape(-1, picture.shape[2], 3)
        options = {"stains": False} if self.method == "macenko" else {}
        made = self.normalizer.normalize(flat, **options)
        made = made[0] if isinstance(made, tuple) else made
        return slide.with_array(made.reshape(picture.shape))


def picture_of(slide: Volume) -> np.ndarray:
    """RGB of 8 bits ``(k, j, i, 3)``; a gray slide gets three equal components."""
    array = slide.array if slide.array.ndim == 4 else np.repeat(slide.array[..., np.newaxis], 3, axis=-1)
    return np.clip(np.rint(array), 0, 255).astype(np.uint8)
