"""Classical denoisers, the least a generator of the task denoise-ct has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import metrics
from .volume import Volume

GAUSSIAN_WIDTHS = (0.4, 0.5, 0.6, 0.7, 0.9, 1.2)
NLM_NOISES_HU = (10.0, 15.0, 20.0, 30.0, 40.0, 55.0, 80.0, 110.0)


def gaussian(volume: Volume, width: float) -> Volume:
    """Every slice smoothed with a Gaussian of ``width`` pixels (standard deviation)."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(volume.array.astype(np.float32), (0.0, width, width))
    return volume.with_array(smooth)


def non_local_means(volume: Volume, noise: float) -> Volume:
    """Every slice by non-local means (Buades et al. 2005; scikit-image, 5x5 patches within 13x13 pixels,
    h = 0.8 noise).

    Args:
        volume: scalar image.
        noise: standard deviation of the noise to remove, in the unit of the image.
    """
    from skimage.restoration import denoise_nl_means

    clean = [
        denoise_nl_means(image, patch_size=5, patch_distance=6, h=0.8 * noise, sigma=noise, fast_mode=True)
        for image in volume.array.astype(np.float32)
    ]
    return volume.with_array(np.stack(clean))


def best(
    method: Callable[[Volume, float], Volume], settings: tuple[float, ...], noisy: Volume, truth: Volume
) -> tuple[Volume, float]:
    """The result of ``method`` tuned in its favor on the truth it is judged by, and the setting of :func:`tuned`."""
    setting = tuned(method, settings, [(noisy, truth)])
    return method(noisy, setting), setting


def tuned(
    method: Callable[[Volume, float], Volume], settings: tuple[float, ...], pairs: Sequence[tuple[Volume, Volume]]
) -> float:
    """The setting of ``method`` with the highest mean PSNR over (noisy, truth) pairs.

    Only the middle slice of each pair is looked at, which keeps non-local means affordable.
    """
    samples = []
    for noisy, truth in pairs:
        middle = slice(len(noisy.array) // 2, len(noisy.array) // 2 + 1)
        samples.append((noisy.with_array(noisy.array[middle]), truth.array[middle]))

    def score(setting: float) -> float:
        return float(np.mean([metrics.psnr_db(truth, method(noisy, setting).array) for noisy, truth in samples]))

    return max(settings, key=score)
