"""Errors, PSNR and SSIM over a whole image or inside a mask.

All functions take arrays of equal shape, ``(k, j, i)`` or ``(k, j, i, components)``; a mask is ``(k, j, i)``, true
where voxels count, and None counts them all. An empty mask gives NaN. CT uses the range [-1024, 3071] HU of
SynthRAD2025.
"""

from __future__ import annotations

import numpy as np

CT_RANGE_HU = (-1024.0, 3071.0)
WINDOW = 7
"""Side of the uniform window of every SSIM here, in voxels; scikit-image's default."""


def mae(reference: np.ndarray, image: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean absolute difference, in the unit of the images; nothing is clipped."""
    return _mean(np.abs(_difference(reference, image, mask)))


def rmse(reference: np.ndarray, image: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Root mean squared difference, in the unit of the images; nothing is clipped."""
    return float(np.sqrt(_mean(_difference(reference, image, mask) ** 2)))


def bias(reference: np.ndarray, image: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean of image minus reference, in the unit of the images: positive where the image is too bright."""
    return _mean(_difference(reference, image, mask))


def psnr_db(
    reference: np.ndarray,
    image: np.ndarray,
    value_range: tuple[float, float] = CT_RANGE_HU,
    mask: np.ndarray | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB after clipping both images to ``value_range``; infinite for equal images."""
    low, high = value_range
    error = rmse(np.clip(reference, low, high), np.clip(image, low, high), mask)
    return float("inf") if error == 0 else float(20 * np.log10((high - low) / error))


def ssim(
    reference: np.ndarray,
    image: np.ndarray,
    value_range: tuple[float, float] = CT_RANGE_HU,
    mask: np.ndarray | None = None,
) -> float:
    """Structural similarity (Wang et al. 2004; 7x7 uniform window, K 0.01 and 0.03) of the slices along k.

    Both images are clipped to ``value_range``, components are averaged, and 3 pixels at the border of each slice do not
    count. Mean over the slices, or over the voxels of the mask. NaN where a slice is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    if min(reference.shape[1:3]) < WINDOW:
        return float("nan")
    low, high = value_range
    axis, edge = (-1 if reference.ndim == 4 else None), WINDOW // 2
    values = []
    for k in range(len(reference)):
        if mask is not None and not mask[k].any():
            continue
        a, b = (np.clip(array[k].astype(np.float64), low, high) for array in (reference, image))
        mean, similarity = structural_similarity(a, b, data_range=high - low, channel_axis=axis, full=True)
        inside = None if mask is None else mask[k, edge:-edge, edge:-edge]
        values.append([mean] if inside is None else similarity[edge:-edge, edge:-edge][inside].ravel())
    return _mean(np.concatenate(values)) if values else float("nan")


def summary(
    reference: np.ndarray, image: np.ndarray, value_range: tuple[float, float] = CT_RANGE_HU
) -> dict[str, float]:
    """PSNR (dB), SSIM and RMSE (unit of the images) of one whole volume against its reference."""
    return {
        "psnr_db": psnr_db(reference, image, value_range),
        "ssim": ssim(reference, image, value_range),
        "rmse": rmse(reference, image),
    }


def _difference(reference: np.ndarray, image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is not None:
        reference, image = reference[mask], image[mask]
    return image.astype(np.float64) - reference.astype(np.float64)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
