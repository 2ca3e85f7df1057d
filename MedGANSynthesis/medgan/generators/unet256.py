"""The U-Net of pix2pix for images of 256 x 256 pixels, in three builds.

Sources: Isola et al., CVPR 2017, arXiv 1611.07004 (and the layer list of its PyTorch version); Salehi & Chalechale,
Pix2Pix-based stain-to-stain translation (STST), MVIP 2020; "Medical-Image-Generation" (stain transfer). Own code from
descriptions of the networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import normalisation as normalisation_layer


@dataclass(frozen=True)
class _Build:
    """Where the three differ."""

    bias: bool  # of convolutions that are followed by batch normalisation
    first_dropped: int  # of the three decoder blocks, counted from the bottleneck, that have dropout
    relu: bool  # after the skips have been attached
    outermost_skip: bool  # the first level's features are attached too
    channel_dropout: bool  # drops whole channels instead of single values


BUILDS = {
    "pix2pix": _Build(False, 1, relu=True, outermost_skip=True, channel_dropout=False),
    "stst": _Build(True, 0, relu=True, outermost_skip=True, channel_dropout=False),
    # the decoder of this system is linear but for its normalisation, and its last skip is missing
    "stain": _Build(True, 0, relu=False, outermost_skip=False, channel_dropout=True),
}


class UNet256(nn.Module):
    """U-Net down to (by default) one pixel.

    Args:
        in_channels, out_channels: 1 for grey, 3 for colour images.
        width: channels of the first level; doubled three times.
        levels: halvings of the image: 8 for 256 pixels, 7 for 128; fewer see less far and need smaller tiles.
        build: "pix2pix" (canonical), "stst" or "stain" (system 5 as published, with its quirks).
        normalisation: "batch" (published), "instance" or "none".
        dropout: probability in three decoder blocks of full width near the bottleneck (0.5 as published).
        dropout_always: drop at inference too, which makes every result a random sample, as pix2pix does.
        activation: "tanh" (published) or "linear".

    Shape:
        ``(batch, in_channels, rows, columns)`` to ``(batch, out_channels, rows, columns)``, sizes multiples of
        ``2 ** levels``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        levels: int = 8,
        build: str = "pix2pix",
        normalisation: str = "batch",
        dropout: float = 0.5,
        dropout_always: bool = False,
        activation: str = "tanh",
    ):
        super().__init__()
        self.multiple = (1, 2**levels, 2**levels)
        self.build, self.linear = BUILDS[build], activation == "linear"
        bias = self.build.bias or normalisation != "batch"
        widths = [width * 2 ** min(level, 3) for level in range(levels)]
        self.encoder = nn.ModuleList()
        previous = in_channels
        for level, channels in enumerate(widths):
            convolution = nn.Conv2d(previous, channels, 4, stride=2, padding=1, bias=bias)
            # nothing to normalise in the single pixel of the bottleneck
            kind = normalisation if 0 < level < levels - 1 else "none"
            activated = nn.ReLU() if level == levels - 1 and self.build.relu else nn.LeakyReLU(0.2)
            self.encoder.append(nn.Sequential(convolution, normalisation_layer(kind, channels, affine=True), activated))
            previous = channels
        self.decoder = nn.ModuleList()
        for block, channels in enumerate(reversed(widths[:-1])):
            layers = [
                nn.ConvTranspose2d(previous, channels, 4, stride=2, padding=1, bias=bias),
                normalisation_layer(normalisation, channels, affine=True),
            ]
            if 0 <= block - self.build.first_dropped < 3 and channels == widths[-1]:
                layers.append(Dropout(dropout, self.build.channel_dropout, dropout_always))
            self.decoder.append(nn.Sequential(*layers))
            previous = 2 * channels
        previous = previous if self.build.outermost_skip else width
        self.head = nn.ConvTranspose2d(previous, out_channels, 4, stride=2, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        skips = []
        features = image
        for block in self.encoder:
            features = block(features)
            skips.append(features)
        skips.pop()
        for block in self.decoder:
            features, skip = block(features), skips.pop()
            if skips or self.build.outermost_skip:
                features = torch.cat([features, skip], dim=1)
            if self.build.relu:
                features = features.relu()
        features = self.head(features)
        return features if self.linear else features.tanh()


class Dropout(nn.Module):
    """Dropout of single values or of whole channels, in training only or always."""

    def __init__(self, probability: float, channels: bool = False, always: bool = False):
        super().__init__()
        self.probability, self.channels, self.always = probability, channels, always

    def forward(self, features: Tensor) -> Tensor:
        drop = functional.dropout2d if self.channels else functional.dropout
        return drop(features, self.probability, self.training or self.always)
