"""A plain residual U-Net without normalisation, in two and three dimensions.

The network of the ``recommended`` presets: it looks the same at every position and at nothing but its receptive field,
so tiles equal the whole image exactly. Without normalisation layers, residual branches start at zero (Zhang et al.,
Fixup initialization, ICLR 2019, arXiv 1901.09321), which keeps the signal at its size through any depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..losses import initialise
from .layers import CONVOLUTIONS, resize

SLOPE = 0.1


class ResidualUNet(nn.Module):
    """U-Net of residual blocks with strided convolutions down and resizing up.

    Args:
        dimensions: 2 or 3.
        in_channels, out_channels: channels of input and (linear) output.
        width: channels of the first level; doubled at every level up to ``largest_width``.
        depth: number of poolings.
        blocks: residual blocks in each level of the encoder (the decoder has one).
        pooling: factor of each pooling along each axis (k first in three dimensions), such as ((1, 2, 2), (2, 2, 2))
            for thick slices; None halves all axes ``depth`` times.
        upsampling: "nearest" or "linear", both the same at every position.
        zero_head: start with an output of zero, for residual targets.
        largest_width: no level has more channels.

    Shape:
        ``(batch, in_channels, *sizes)`` to ``(batch, out_channels, *sizes)``; sizes are multiples of ``multiple``,
        which is given for (k, j, i) in two dimensions too.
    """

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        width: int = 32,
        depth: int = 3,
        blocks: int = 1,
        pooling: Sequence[Sequence[int]] | None = None,
        upsampling: str = "nearest",
        zero_head: bool = False,
        largest_width: int = 320,
    ):
        super().__init__()
        convolution = CONVOLUTIONS[dimensions]
        steps = [tuple(step) for step in pooling] if pooling else [(2,) * dimensions] * depth
        if len(steps) != depth or any(len(step) != dimensions for step in steps):
            raise ValueError(f"{depth} poolings along {dimensions} axes are needed, not {pooling}.")
        self.steps, self.upsampling, self.zero_head = steps, upsampling, zero_head
        self.multiple = multiple(steps)
        widths = [min(width * 2**level, largest_width) for level in range(depth + 1)]
        self.encoder = nn.ModuleList()
        for level, channels in enumerate(widths):
            if level:
                entry = convolution(widths[level - 1], channels, steps[level - 1], stride=steps[level - 1])
            else:
                entry = convolution(in_channels, channels, 3, padding=1)
            inner = [ResidualBlock(dimensions, channels) for _ in range(blocks)]
            self.encoder.append(nn.Sequential(entry, nn.LeakyReLU(SLOPE), *inner))
        self.decoder = nn.ModuleList()
        for level in range(depth - 1, -1, -1):
            entry = convolution(widths[level + 1] + widths[level], widths[level], 3, padding=1)
            inner = ResidualBlock(dimensions, widths[level])
            self.decoder.append(nn.Sequential(entry, nn.LeakyReLU(SLOPE), inner))
        self.head = convolution(widths[0], out_channels, 1)
        initialise(self, None)

    def start(self) -> None:
        """Begin with an output of zero, if so built."""
        if self.zero_head:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, image: Tensor) -> Tensor:
        skips = []
        features = image
        for block in self.encoder:
            features = block(features)
            skips.append(features)
        skips.pop()
        for block, step in zip(self.decoder, reversed(self.steps), strict=True):
            features = block(torch.cat([resize(features, step, self.upsampling), skips.pop()], dim=1))
        return self.head(features)


def multiple(pooling: Sequence[Sequence[int]]) -> tuple[int, int, int]:
    """What sizes along (k, j, i) have to be multiples of, for poolings along two or three axes.

    Example:
        >>> multiple([(1, 2, 2), (2, 2, 2)])
        (2, 4, 4)
    """
    product = [1, 1, 1]
    for step in pooling:
        for axis, factor in enumerate(step, start=3 - len(step)):
            product[axis] *= factor
    return tuple(product)


class ResidualBlock(nn.Module):
    """Activation, convolution, activation, convolution, added to the input; starts as the identity."""

    def __init__(self, dimensions: int, channels: int):
        super().__init__()
        convolution = CONVOLUTIONS[dimensions]
        self.first = convolution(channels, channels, 3, padding=1)
        self.second = convolution(channels, channels, 3, padding=1)

    def start(self) -> None:
        """Begin as the identity."""
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.first(nn.functional.leaky_relu(features, SLOPE))
        return features + self.second(nn.functional.leaky_relu(inner, SLOPE))
