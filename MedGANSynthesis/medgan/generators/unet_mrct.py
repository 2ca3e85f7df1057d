"""U-Net of five levels that turns an MR slice into a CT slice.

Source: the MK6 notebooks of "MRI to CT synthesis" (pix2pix on SynthRAD2023). Own code from a description of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import normalisation as normalisation_layer


class UNetMRCT(nn.Module):
    """Strided convolutions down, transposed convolutions up, a normalisation at every level.

    Args:
        in_channels: channels of the input; ``2 * context + 1`` for neighbouring slices (2.5-D).
        out_channels: channels of the output.
        width: channels of the first level; doubled at every level.
        levels: halvings of the image.
        slope: of the leaky ReLUs.
        dropout: probability after every block.
        normalisation: "batch" (published), "instance" (tiles have to be blended) or "none".
        activation: "tanh" (published) or "linear".

    Shape:
        ``(batch, in_channels, rows, columns)`` to ``(batch, out_channels, rows, columns)``, sizes multiples of
        ``2 ** levels``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 64,
        levels: int = 5,
        slope: float = 0.14,
        dropout: float = 0.05,
        normalisation: str = "batch",
        activation: str = "tanh",
    ):
        super().__init__()
        self.multiple = (1, 2**levels, 2**levels)
        self.linear = activation == "linear"
        widths = [width * 2**level for level in range(levels)]

        def block(convolution: nn.Module) -> nn.Sequential:
            norm = normalisation_layer(normalisation, convolution.out_channels, affine=True)
            return nn.Sequential(convolution, norm, nn.LeakyReLU(slope), nn.Dropout(dropout))

        self.encoder = nn.ModuleList()
        previous = in_channels
        for channels in widths:
            self.encoder.append(block(nn.Conv2d(previous, channels, 4, stride=2, padding=1)))
            previous = channels
        self.decoder = nn.ModuleList()
        for channels in reversed(widths[:-1]):
            self.decoder.append(block(nn.ConvTranspose2d(previous, channels, 4, stride=2, padding=1)))
            previous = 2 * channels
        self.head = nn.ConvTranspose2d(previous, out_channels, 4, stride=2, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        skips = []
        features = image
        for block in self.encoder:
            features = block(features)
            skips.append(features)
        skips.pop()
        for block in self.decoder:
            features = torch.cat([block(features), skips.pop()], dim=1)
        features = self.head(features)
        return features if self.linear else features.tanh()
