"""Losses of the adversarial game."""

from __future__ import annotations

import torch
from torch.nn import functional


def least_squares(logits: torch.Tensor, real: bool) -> torch.Tensor:
    """LSGAN term (Mao et al. 2017): mean squared distance of the logits from 1 (real) or 0 (fake)."""
    return functional.mse_loss(logits, torch.full_like(logits, 1.0 if real else 0.0))


def channel_weighted_l1(
    output: torch.Tensor,
    target: torch.Tensor,
    channel_weights: tuple[float, ...],
    sample_weights: torch.Tensor | None = None,
) -> torch.Tensor:
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


def balancing_weights(noise: torch.Tensor) -> torch.Tensor:
    """Weights ``(batch,)`` that make samples of little noise count as much as those of much, as decibels do.

    An absolute error is in proportion to the noise of a sample, so quiet samples would hardly be learnt from.

    Args:
        noise: what was added to each sample, shape ``(batch, ...)``.
    """
    level = noise.abs().flatten(1).mean(dim=1)
    return (level.mean() / level.clamp_min(1e-6)).clamp(0.25, 4.0)


def initialise(module: torch.nn.Module, deviation: float | None = 0.02) -> None:
    """Draw convolution weights from N(0, ``deviation``) and norm scales from N(1, ``deviation``), biases 0 (pix2pix).

    ``deviation=None`` draws He-normal weights instead, which keeps the signal through networks without normalisation.
    """
    for layer in module.modules():
        if isinstance(layer, torch.nn.modules.conv._ConvNd):
            if deviation is None:
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                torch.nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
        elif isinstance(layer, torch.nn.modules.batchnorm._NormBase) and layer.affine:
            torch.nn.init.normal_(layer.weight, 1.0, deviation or 0.0)
            torch.nn.init.zeros_(layer.bias)
