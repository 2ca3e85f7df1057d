"""The networks that CNCL can use for its two branches: U-Net, DnCNN, SRDenseNet and RED-CNN.

Sources: Zhang et al., DnCNN, IEEE TIP 2017, arXiv 1608.03981; Tong et al., SRDenseNet, ICCV 2017; Chen et al., RED-CNN,
IEEE TMI 2017, arXiv 1702.00288. Own code from descriptions of the networks. All are linear at the end, as a branch has
to predict values of either sign, and end in ``head``, whose last layer can be set to zero to start with no prediction.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .layers import normalisation as normalisation_layer
from .unet import UNet

NAMES = ("unet", "dncnn", "srdensenet", "redcnn")


def build_predictor(
    name: str,
    in_channels: int,
    out_channels: int,
    width: int = 64,
    depth: int = 4,
    normalisation: str = "batch",
    upsampling: str = "bilinear-corners",
    published_head: bool = True,
) -> nn.Module:
    """A network from images to images of the same size.

    Args:
        name: "unet": ``depth`` poolings. "dncnn": ``4 * depth + 1`` convolutions. "srdensenet": ``2 * depth`` dense
            blocks that grow by ``width / 4``. "redcnn": ``depth + 1`` convolutions of 5x5 and as many transposed ones.
            With the default depth, all four have their published size; their published widths are 64, 64, 64 and 96.
        in_channels, out_channels: channels of input and output.
        width: channels (of the first level).
        normalisation: "batch", "instance" or "none"; of U-Net and DnCNN, the others have none.
        upsampling, published_head: of the U-Net, see :class:`~medgan.generators.unet.UNet`.

    Shape:
        ``(batch, in_channels, rows, columns)`` to ``(batch, out_channels, rows, columns)``, sizes multiples of
        :func:`multiple`.
    """
    if name == "unet":
        return UNet(in_channels, out_channels, width, depth, normalisation, upsampling, published_head)
    if name == "dncnn":
        return DnCNN(in_channels, out_channels, width, 4 * depth + 1, normalisation)
    if name == "srdensenet":
        return SRDenseNet(in_channels, out_channels, width // 4, 2 * depth)
    if name == "redcnn":
        return REDCNN(in_channels, out_channels, width, depth + 1)
    raise ValueError(f"There is no predictor '{name}'.")


def multiple(name: str, depth: int) -> int:
    """What rows and columns have to be multiples of."""
    return 2**depth if name == "unet" else 1


class DnCNN(nn.Module):
    """A chain of 3x3 convolutions at full resolution, normalised but for the first and the last."""

    def __init__(self, in_channels: int, out_channels: int, width: int, convolutions: int, normalisation: str):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(convolutions - 2):
            layers += [
                nn.Conv2d(width, width, 3, padding=1),
                normalisation_layer(normalisation, width, affine=True),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Conv2d(width, out_channels, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image))


class SRDenseNet(nn.Module):
    """Dense blocks that all feed one bottleneck ("SRDenseNet_All"), without the upsampling of its super-resolution."""

    LAYERS = 8  # of each dense block

    def __init__(self, in_channels: int, out_channels: int, growth: int, blocks: int):
        super().__init__()
        width = growth * self.LAYERS
        self.first = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(inplace=True))
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(growth * layer if layer else width, growth, 3, padding=1), nn.ReLU(inplace=True)
                )
                for layer in range(self.LAYERS)
            )
            for _ in range(blocks)
        )
        bottleneck = nn.Sequential(nn.Conv2d(width * (blocks + 1), 2 * width, 1), nn.ReLU(inplace=True))
        self.head = nn.Sequential(bottleneck, nn.Conv2d(2 * width, out_channels, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        outputs = [self.first(image)]
        for block in self.blocks:
            grown = [block[0](outputs[-1])]
            for layer in block[1:]:
                grown.append(layer(torch.cat(grown, dim=1)))
            outputs.append(torch.cat(grown, dim=1))
        return self.head(torch.cat(outputs, dim=1))


class REDCNN(nn.Module):
    """Convolutions of 5x5 and as many transposed ones, every other pair joined by addition.

    Unlike the original it pads to keep the size, and leaves to CNCL what is to be added to the image.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, convolutions: int):
        super().__init__()
        channels = [in_channels] + [width] * convolutions
        self.encoder = nn.ModuleList(nn.Conv2d(*pair, 5, padding=2) for pair in pairwise(channels))
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(width, width, 5, padding=2) for _ in range(convolutions - 1))
        self.head = nn.Sequential(nn.ConvTranspose2d(width, out_channels, 5, padding=2))

    def forward(self, image: Tensor) -> Tensor:
        skips = {}
        features = image
        for index, layer in enumerate(self.encoder, start=1):
            features = layer(features).relu()
            if index % 2 == 0:
                skips[index] = features
        for index, layer in zip(range(len(self.decoder), 0, -1), self.decoder, strict=True):
            features = layer(features)
            if index in skips:
                features = features + skips[index]
            features = features.relu()
        return self.head(features)
