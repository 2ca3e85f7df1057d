"""Losses of the adversarial game and voxel-wise regression losses, and how networks are initialised.

Identity and cycle losses are plain L1. Structural losses are in :mod:`medgan.losses_similarity`, feature losses in
:mod:`medgan.perceptual`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import InputError


def least_squares(logits: Tensor, real: bool) -> Tensor:
    """LSGAN term (Mao et al. 2017): mean squared distance of the logits from 1 (real) or 0 (fake)."""
    return functional.mse_loss(logits, torch.full_like(logits, 1.0 if real else 0.0))


def adversarial(
    mode: str,
    logits: Tensor,
    real: bool,
    for_generator: bool = False,
    smoothing: float = 0.0,
    target: Tensor | float | None = None,
) -> Tensor:
    """What the adversarial game makes of the logits of one batch.

    Args:
        mode: "bce" (binary cross entropy on logits), "lsgan" (mean squared distance from the label), "hinge" or "wgan".
        logits: of the discriminator, any shape.
        real: what the images are to be taken for; the generator asks for True.
        for_generator: the generator's side of "hinge" and "wgan", minus the mean; the others are alike for both.
        smoothing: labels of real images are drawn from 1 - ``smoothing`` to 1, anew at every call.
        target: label or labels (as :func:`noisy_labels` draws them) in place of 1 or 0.

    Raises:
        InputError: labels are smoothed that "hinge" and "wgan" do not have.
    """
    if mode in ("bce", "lsgan"):
        labels = _labels(logits, real, smoothing, target)
        loss = functional.mse_loss if mode == "lsgan" else functional.binary_cross_entropy_with_logits
        return loss(logits, labels)
    if smoothing or target is not None:
        raise InputError(f"The adversarial loss '{mode}' has no labels to smooth; set label smoothing to 0.")
    if mode not in ("hinge", "wgan"):
        raise InputError(f"There is no adversarial loss '{mode}'; there are bce, lsgan, hinge and wgan.")
    signed = logits if real else -logits
    return (1 - signed).relu().mean() if mode == "hinge" and not for_generator else -signed.mean()


def noisy_labels(logits: Tensor, low: float, high: float) -> Tensor:
    """Labels of the shape of the logits, uniform between two values (published SRGAN: 0.7 to 1.2 for real)."""
    return torch.empty_like(logits).uniform_(low, high)


def _labels(logits: Tensor, real: bool, smoothing: float, target: Tensor | float | None) -> Tensor:
    if isinstance(target, Tensor):
        return target.to(logits).expand_as(logits)
    if target is None and smoothing and real:
        return noisy_labels(logits, 1.0 - smoothing, 1.0)
    return torch.full_like(logits, (1.0 if real else 0.0) if target is None else target)


def gradient_penalty(
    discriminator: nn.Module, real: Tensor, fake: Tensor, condition: Tensor | None = None, sigmoid: bool = False
) -> Tensor:
    """WGAN-GP (Gulrajani et al. 2017): mean of (|gradient| - 1) squared, at random mixes of real and fake.

    The gradient is that of the sum of all logits of a sample by its voxels. Batch normalisation couples the samples and
    invalidates it; give the discriminator another one. Needs float32.

    Args:
        discriminator: called with (candidate, condition).
        real, fake: shape ``(batch, channels, ...)``.
        condition: not mixed.
        sigmoid: of the probabilities instead of the logits, as published for MR to CT.
    """
    share = torch.rand((real.shape[0],) + (1,) * (real.ndim - 1), device=real.device, dtype=real.dtype)
    mixed = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_(True)
    return (_input_gradient(discriminator, mixed, condition, sigmoid).norm(dim=1) - 1).square().mean()


def r1_penalty(discriminator: nn.Module, real: Tensor, condition: Tensor | None = None) -> Tensor:
    """R1 (Mescheder et al. 2018): half the mean squared norm of the discriminator's gradient at real images.

    Args:
        discriminator: called with (candidate, condition).
        real: shape ``(batch, channels, ...)``, float32.
    """
    image = real.detach().requires_grad_(True)
    return 0.5 * _input_gradient(discriminator, image, condition, False).square().sum(dim=1).mean()


def _input_gradient(discriminator: nn.Module, image: Tensor, condition: Tensor | None, sigmoid: bool) -> Tensor:
    """Gradient by the image of the summed judgement, shape ``(batch, voxels)``, differentiable itself."""
    logits = discriminator(image, condition)
    judgement = logits.sigmoid() if sigmoid else logits
    return torch.autograd.grad(judgement.sum(), image, create_graph=True)[0].flatten(1)


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Distance of the discriminator's activations on real and on generated images (pix2pixHD, Wang et al. 2018).

    L1 averaged over the activations, times 4 as published; no gradient flows to the real side.

    Args:
        real, fake: activations without the logits, as ``discriminator.features(...)[:-1]`` gives them.
    """
    distances = [functional.l1_loss(made.float(), true.detach().float()) for true, made in zip(real, fake, strict=True)]
    return 4.0 * torch.stack(distances).mean()


def masked_l1(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute error, inside ``mask`` if there is one.

    Args:
        output, target: shape ``(batch, channels, ...)``.
        mask: boolean or weights, shape ``(batch, 1 or channels, ...)``; where it is empty, the error is 0.
    """
    return _masked_mean((output - target).abs(), mask)


def masked_mse(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error, inside ``mask`` if there is one; arguments as :func:`masked_l1`."""
    return _masked_mean((output - target).square(), mask)


def _masked_mean(errors: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return errors.mean()
    weights = mask.to(errors.dtype).expand_as(errors)
    return (errors * weights).sum() / weights.sum().clamp_min(1.0)


def gradient_difference(output: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Image gradient difference (Mathieu et al. 2016): squared difference of the absolute steps between neighbours.

    Args:
        output, target: shape ``(batch, channels, *sizes)``.
        reduction: "mean" over the voxels of each axis, then summed over the axes, or "sum" over everything (published
            for super-resolution). An axis of one voxel has no steps and counts as 0.
    """
    total = output.new_zeros(())
    for axis in range(2, output.ndim):
        if output.shape[axis] < 2:
            continue
        difference = (target.diff(dim=axis).abs() - output.diff(dim=axis).abs()).square()
        total = total + (difference.sum() if reduction == "sum" else difference.mean())
    return total


def channel_weighted_l1(
    output: Tensor,
    target: Tensor,
    channel_weights: tuple[float, ...],
    sample_weights: Tensor | None = None,
) -> Tensor:
    """Mean absolute error, averaged over channels and samples with weights.

    Args:
        output, target: shape ``(batch, channels, ...)``.
        channel_weights: one per channel.
        sample_weights: shape ``(batch,)``; equal if None.
    """
    errors = (output - target).abs().flatten(2).mean(dim=2)
    channels = torch.tensor(channel_weights, device=errors.device, dtype=errors.dtype)
    samples = (errors @ channels) / channels.sum()
    return samples.mean() if sample_weights is None else (samples * sample_weights).mean()


def balancing_weights(noise: Tensor, limit: float = 4.0) -> Tensor:
    """Weights ``(batch,)`` that make samples of little noise count as much as those of much, as decibels do.

    An absolute error is in proportion to the noise of a sample, so quiet samples would hardly be learnt from.

    Args:
        noise: what was added to each sample, shape ``(batch, ...)``.
        limit: weights stay between 1 / ``limit`` and ``limit``.
    """
    level = noise.abs().flatten(1).mean(dim=1)
    return (level.mean() / level.clamp_min(1e-6)).clamp(1 / limit, limit)


def initialise(module: nn.Module, deviation: float | None = 0.02, norm_deviation: float | None = None) -> None:
    """Draw convolution weights from N(0, ``deviation``) and norm scales from N(1, ``deviation``), biases 0 (pix2pix).

    Layers with a method ``start()`` then set what has to start in a particular way (checkerboard-free upsampling,
    residuals of zero).

    Args:
        module: changed in place.
        deviation: None draws He-normal weights instead, which keeps the signal through networks without normalisation.
        norm_deviation: of norm scales, where it differs.
    """
    norm_deviation = (deviation or 0.0) if norm_deviation is None else norm_deviation
    for layer in module.modules():
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
            if deviation is None:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.modules.batchnorm._NormBase) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, norm_deviation)
    for layer in module.modules():
        if hasattr(layer, "start"):
            layer.start()
