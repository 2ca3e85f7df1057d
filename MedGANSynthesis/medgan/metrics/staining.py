"""Colors of stained slides: against the true picture of the same tissue, or against the look of a target slide.

Pictures are RGB, 0 to 255, ``(k, j, i, 3)`` or ``(j, i, 3)``. Lab is CIE 1976 under D65, from sRGB; dE2000 is
CIEDE2000. Masks are those of :func:`medgan.body_mask.body_mask`: tissue, not glass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .basic import psnr_db, ssim

RGB_RANGE = (0.0, 255.0)
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # BT.601
CLASSES = 20
_CHUNK = 1 << 20


def luma(rgb: np.ndarray) -> np.ndarray:
    """Luminance of BT.601, 0 to 255, without the component axis."""
    return rgb.astype(np.float64) @ np.array(LUMA_WEIGHTS)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab of RGB 0 to 255, same shape; fractions and values beyond the range are clipped, not wrapped."""
    from skimage.color import rgb2lab

    return rgb2lab(np.clip(rgb.astype(np.float64), *RGB_RANGE) / 255.0)


def color_difference(reference: np.ndarray, image: np.ndarray) -> np.ndarray:
    """dE2000 of every pixel, float32, without the component axis."""
    from skimage.color import deltaE_ciede2000

    a, b = reference.reshape(-1, 3), image.reshape(-1, 3)
    parts = [slice(start, start + _CHUNK) for start in range(0, len(a), _CHUNK)]
    values = [deltaE_ciede2000(lab(a[part]), lab(b[part])).astype(np.float32) for part in parts]
    return np.concatenate(values).reshape(reference.shape[:-1])


def against_truth(reference: np.ndarray, image: np.ndarray, tissue: np.ndarray) -> dict[str, float]:
    """Metrics against the true picture of the same tissue, ``(k, j, i, 3)``.

    ``de2000`` is the mean over the whole picture, ``de2000_tissue`` that over the tissue of the reference; PSNR (dB)
    and SSIM are on RGB (components averaged) and on luma, whole picture, range 0 to 255.
    """
    difference = color_difference(reference, image)
    gray_reference, gray = luma(reference), luma(image)
    return {
        "de2000": float(difference.mean()),
        "de2000_tissue": float(difference[tissue].mean()) if tissue.any() else float("nan"),
        "psnr_db": psnr_db(reference, image, RGB_RANGE),
        "ssim": ssim(reference, image, RGB_RANGE),
        "psnr_db_luma": psnr_db(gray_reference, gray, RGB_RANGE),
        "ssim_luma": ssim(gray_reference, gray, RGB_RANGE),
    }


@dataclass(frozen=True)
class Look:
    """Colors of the tissue of one or several slides in Lab: mean ``(3,)``, covariance ``(3, 3)``, and the mean colors
    of 20 classes from the darkest (nuclei) to the lightest twentieth of the pixels, ``(20, 3)``.
    """

    mean: np.ndarray
    covariance: np.ndarray
    ramp: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray) -> Look:
        """The look of RGB pixels ``(n, 3)``; NaN for fewer than 20."""
        if len(pixels) < CLASSES:
            return cls(np.full(3, np.nan), np.full((3, 3), np.nan), np.full((CLASSES, 3), np.nan))
        colors = lab(pixels)
        sorted_colors = colors[np.argsort(colors[:, 0], kind="stable")]
        ramp = np.stack([part.mean(axis=0) for part in np.array_split(sorted_colors, CLASSES)])
        return cls(colors.mean(axis=0), np.cov(colors.T), ramp)


def against_look(target: Look, look: Look) -> dict[str, float]:
    """How far the colors of a slide are from those of a target slide that may show other tissue.

    ``de2000_mean_color``: dE2000 of the mean colors of the tissue. ``de2000_classes``: mean dE2000 of the colors of its
    20 classes of lightness, which, unlike the mean color, says whether nuclei and stroma each look right.
    ``lab_mean``: Euclidean distance of the mean Lab colors. ``lab_covariance``: Frobenius norm of the difference of the
    covariances in Lab.
    """
    from skimage.color import deltaE_ciede2000

    return {
        "de2000_mean_color": float(deltaE_ciede2000(target.mean, look.mean)),
        "de2000_classes": float(deltaE_ciede2000(target.ramp, look.ramp).mean()),
        "lab_mean": float(np.linalg.norm(target.mean - look.mean)),
        "lab_covariance": float(np.linalg.norm(target.covariance - look.covariance)),
    }
