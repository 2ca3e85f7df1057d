"""Losses of the adversarial game."""

from __future__ import annotations

import torch
from torch.nn import functional


def least_squares(logits: torch.Tensor, real: bool) -> torch.Tensor:
    """LSGAN term (Mao et al. 2017): mean squared distance of the logits from 1 (real) or 0 (fake)."""
    return functional.mse_loss(logits, torch.full_like(logits, 1.0 if real else 0.0))


def channel_weighted_l1(output: torch.Tensor, target: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Mean absolute error, averaged over channels with ``weights`` (one per channel, shape
    ``(batch, channels, ...)``).
    """
    errors = [weight * functional.l1_loss(output[:, c], target[:, c]) for c, weight in enumerate(weights)]
    return torch.stack(errors).sum() / sum(weights)


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
