"""Structural losses: 1 - SSIM and 1 - MS-SSIM, on MONAI's implementation, with gradients that are always finite."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .errors import InputError, MedGANError, missing_package

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003
FLOOR = 1e-4  # of a similarity: its power has no finite gradient at 0


def ssim_loss(output: Tensor, target: Tensor, data_range: float, window: int = 11) -> Tensor:
    """1 - SSIM (Wang et al. 2004) with a Gaussian window, mean over the batch.

    Args:
        output, target: shape ``(batch, channels, rows, columns)``, or ``(batch, channels, slices, rows, columns)``.
        data_range: largest minus smallest possible value.
        window: voxels on each side of it (sigma 1.5); along an axis shorter than that, the largest odd size that fits.
    """
    similarity, _ = _similarities(output, target, data_range, _windows(output, window))
    return 1.0 - similarity.mean()


def ms_ssim_loss(
    output: Tensor, target: Tensor, data_range: float, window: int = 11, slicewise: bool = False
) -> Tensor:
    """1 - MS-SSIM (Wang et al. 2003), mean over the batch.

    Small patches get as many of the five scales as fit, their weights scaled to the same sum.

    Args:
        output, target, data_range: as :func:`ssim_loss`.
        window: voxels on each side of the Gaussian window, at every scale.
        slicewise: take the slices of a volume as images of their own, for slabs that are too thin for a window.

    Raises:
        InputError: the patch is smaller than the window.
    """
    if slicewise and output.ndim == 5:
        output, target = (_slices(image) for image in (output, target))
    scales = scale_count(output.shape[2:], window)
    weights = SCALE_WEIGHTS[:scales]
    total = torch.ones(output.shape[0], device=output.device)
    for scale, weight in enumerate(weights):
        similarity, contrast = _similarities(output, target, data_range, (window,) * (output.ndim - 2))
        value = similarity if scale == scales - 1 else contrast  # luminance counts at the coarsest scale only
        value = value.flatten(1).mean(dim=1).clamp_min(FLOOR)
        total = total * value ** (weight * sum(SCALE_WEIGHTS) / sum(weights))
        output, target = _halved(output), _halved(target)
    return 1.0 - total.mean()


def ms_ssim_l1_loss(
    output: Tensor, target: Tensor, data_range: float, share: float = 0.85, slicewise: bool = False
) -> Tensor:
    """``share`` * (1 - MS-SSIM) + (1 - ``share``) * mean absolute error (Zhao et al. 2017; arguments as above)."""
    structure = ms_ssim_loss(output, target, data_range, slicewise=slicewise)
    return share * structure + (1.0 - share) * functional.l1_loss(output.float(), target.float())


def scale_count(sizes: Sequence[int], window: int = 11) -> int:
    """How many scales (up to 5) of MS-SSIM fit into an image.

    Raises:
        InputError: not even one.
    """
    smallest, scales = min(sizes), 0
    while scales < len(SCALE_WEIGHTS) and smallest >= window:
        smallest //= 2
        scales += 1
    if not scales:
        shape = "x".join(map(str, sizes))
        raise InputError(
            f"MS-SSIM needs patches of at least {window} voxels along every axis, not {shape}; choose larger patches "
            "or switch it off."
        )
    return scales


def _similarities(output: Tensor, target: Tensor, data_range: float, window: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    try:
        from monai.metrics.regression import compute_ssim_and_cs
    except ImportError as error:
        raise MedGANError(missing_package(error)) from error
    with torch.autocast(output.device.type, enabled=False):  # differences of squares need float32
        return compute_ssim_and_cs(
            output.float(), target.float(), len(window), window, (1.5,) * len(window), data_range=data_range
        )


def _windows(image: Tensor, window: int) -> tuple[int, ...]:
    return tuple(min(window, size - 1 + size % 2) for size in image.shape[2:])


def _halved(image: Tensor) -> Tensor:
    pool = functional.avg_pool2d if image.ndim == 4 else functional.avg_pool3d
    return pool(image, 2) if min(image.shape[2:]) > 1 else image


def _slices(volume: Tensor) -> Tensor:
    return volume.transpose(1, 2).flatten(0, 1)
