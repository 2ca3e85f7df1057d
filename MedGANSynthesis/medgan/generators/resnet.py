"""The ResNet generator of CycleGAN.

Source: Zhu et al., ICCV 2017, arXiv 1703.10593 (after Johnson et al. 2016), and the layer list of its PyTorch version.
Own code from a description of the network.
"""

from __future__ import annotations

from torch import Tensor, nn

from .layers import normalisation as normalisation_layer


class ResNetGenerator(nn.Module):
    """Two strided convolutions, residual blocks, two transposed convolutions.

    Args:
        in_channels, out_channels: channels of input and output.
        width: channels of the first layer; doubled twice.
        blocks: residual blocks, 6 for 128 pixels and 9 for 256 as published.
        normalisation: "instance" (published; tiles have to be blended), "batch" or "none".
        dropout: probability within the blocks.
        activation: "tanh" (published) or "linear".

    Shape:
        ``(batch, in_channels, rows, columns)`` to ``(batch, out_channels, rows, columns)``, sizes multiples of 8 (the
        two halvings need 4, the reflection at the border of a quarter-sized image two pixels).
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 64,
        blocks: int = 9,
        normalisation: str = "instance",
        dropout: float = 0.0,
        activation: str = "tanh",
    ):
        super().__init__()
        self.multiple = (1, 8, 8)
        self.linear = activation == "linear"

        def layers(convolution: nn.Module) -> list[nn.Module]:
            return [convolution, normalisation_layer(normalisation, convolution.out_channels), nn.ReLU()]

        bias = normalisation != "batch"
        self.encoder = nn.ModuleList(
            [
                nn.Sequential(nn.ReflectionPad2d(3), *layers(nn.Conv2d(in_channels, width, 7, bias=bias))),
                nn.Sequential(*layers(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=bias))),
                nn.Sequential(*layers(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=bias))),
            ]
        )
        self.blocks = nn.ModuleList(_Block(4 * width, normalisation, dropout, bias) for _ in range(blocks))

        def up(channels: int) -> list[nn.Module]:
            return layers(
                nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
            )

        self.decoder = nn.Sequential(*up(4 * width), *up(2 * width))
        self.head = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7))

    def forward(self, image: Tensor) -> Tensor:
        features = image
        for layer in self.encoder:
            features = layer(features)
        for block in self.blocks:
            features = features + block(features)
        features = self.head(self.decoder(features))
        return features if self.linear else features.tanh()


class _Block(nn.Sequential):
    """What is added to the features."""

    def __init__(self, channels: int, kind: str, dropout: float, bias: bool):
        super().__init__(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            normalisation_layer(kind, channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            normalisation_layer(kind, channels),
        )
