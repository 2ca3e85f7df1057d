"""Discriminators: PatchGAN, which judges overlapping patches instead of whole images."""

from __future__ import annotations

import torch
from torch import nn


class CNCLDiscriminator(nn.Module):
    """Conditional PatchGAN of CNCL, receptive field 94 pixels.

    Judges the pair (content, noise) given the noisy image: ``width`` to ``8 * width`` channels by four 4x4
    convolutions of stride 2, instance norm without parameters on all but the first, LeakyReLU 0.2, and a 4x4
    convolution to one channel. The number of input channels follows from the generator's output and the condition.
    Source: see :mod:`medgan.generators.cncl`.

    Shape:
        candidate ``(batch, 2, rows, columns)`` and condition ``(batch, channels, rows, columns)`` to logits
        ``(batch, 1, rows / 16, columns / 16)``.
    """

    def __init__(self, condition_channels: int = 1, width: int = 64):
        super().__init__()
        channels = [2 + condition_channels, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for level in range(4):
            layers.append(nn.Conv2d(channels[level], channels[level + 1], 4, stride=2, padding=1))
            if level > 0:
                layers.append(nn.InstanceNorm2d(channels[level + 1]))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        # One more row and column on the near side keeps rows / 16 outputs for a kernel of even size.
        layers += [nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(channels[4], 1, 4, padding=1, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(self, candidate: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([candidate, condition], dim=1))
