"""The 2-D U-Net that CNCL uses as predictor."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class UNet(nn.Module):
    """U-Net with two 3x3 convolutions per level, max-pooling and bilinear upsampling.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the (linear) output.
        width: channels of the first level; doubled at every pooling.
        depth: number of poolings; input sizes must be divisible by ``2 ** depth``.
        normalisation: "batch" (running statistics at evaluation: tiles equal the whole image), "instance" (depends
            on the whole image: tiles must be blended) or "none".
        upsampling: "bilinear-corners" aligns the corner pixels, as published, which makes every pixel depend on the
            image size; "bilinear" and "nearest" are the same at every position.
        published_head: the last two convolutions follow each other without normalisation or activation, as published.

    Shape:
        ``(batch, in_channels, rows, columns)`` to ``(batch, out_channels, rows, columns)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        depth: int = 4,
        normalisation: str = "batch",
        upsampling: str = "bilinear-corners",
        published_head: bool = True,
    ):
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.upsampling = upsampling
        self.encoder = nn.ModuleList()
        previous = in_channels
        for channels in widths:
            self.encoder.append(_double(previous, channels, channels, normalisation))
            previous = channels
        self.bottleneck = _double(previous, 2 * previous, previous, normalisation)
        self.decoder = nn.ModuleList()
        for level in range(depth - 1, 0, -1):
            self.decoder.append(_double(2 * widths[level], widths[level], widths[level - 1], normalisation))
        middle = nn.Identity() if published_head else nn.ReLU(inplace=True)
        self.head = nn.Sequential(
            nn.Conv2d(2 * width, width // 2, 3, padding=1), middle, nn.Conv2d(width // 2, out_channels, 3, padding=1)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        skips = []
        features = image
        for block in self.encoder:
            features = block(features)
            skips.append(features)
            features = functional.max_pool2d(features, 2)
        features = self.bottleneck(features)
        for block in self.decoder:
            features = block(torch.cat([self._up(features), skips.pop()], dim=1))
        return self.head(torch.cat([self._up(features), skips.pop()], dim=1))

    def _up(self, features: torch.Tensor) -> torch.Tensor:
        if self.upsampling == "nearest":
            return functional.interpolate(features, scale_factor=2, mode="nearest")
        corners = self.upsampling == "bilinear-corners"
        return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=corners)


def _double(in_channels: int, middle: int, out_channels: int, normalisation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first, last in ((in_channels, middle), (middle, out_channels)):
        layers.append(nn.Conv2d(first, last, 3, padding=1))
        if normalisation == "batch":
            layers.append(nn.BatchNorm2d(last))
        elif normalisation == "instance":
            layers.append(nn.InstanceNorm2d(last, affine=True))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
