"""3-D pix2pix generator on slabs of slices: synthetic contrast enhancement from plain chest CT.

Source: Choi et al., Sci Rep 2021;11:20403, doi 10.1038/s41598-021-00058-3. Own code from a description of the network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import InputError
from .layers import PadSame, normalisation, resize


class Pix2Pix3DGenerator(nn.Module):
    """U-Net whose slices are halved in the first levels only, with resize-convolutions as decoder.

    Args:
        in_channels: channels of the input (CT windows, and coordinates if any).
        out_channels: channels of the output.
        depth: slices after whose log2 halvings the slices are left alone; a power of two. Any number of slices that is
            a multiple of it can be given, 1 works slice by slice.
        width: channels of the first level; doubled three times.
        levels: halvings of rows and columns.
        upsampling: "nearest" (published) or "bilinear-inplane" (slices are repeated).
        dropout: probability in all decoder blocks but the first.
        normalisation: "scalar" (published, see :class:`~medgan.generators.layers.ScalarNorm`), "instance" or "none".
            The first two depend on the whole slab: tiles have to be blended.
        activation: "tanh" (published) or "linear", for residuals.

    Shape:
        ``(batch, in_channels, slices, rows, columns)`` to ``(batch, out_channels, slices, rows, columns)``; sizes are
        multiples of ``multiple``, (16, 128, 128) as published.

    Raises:
        InputError: ``depth`` is no power of two, or too deep for ``levels``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        depth: int = 16,
        width: int = 64,
        levels: int = 7,
        upsampling: str = "nearest",
        dropout: float = 0.0,
        normalisation: str = "scalar",
        activation: str = "tanh",
    ):
        super().__init__()
        slice_levels = depth.bit_length() - 1
        if depth < 1 or depth != 2**slice_levels or slice_levels > levels:
            raise InputError(f"The slab depth must be a power of two between 1 and {2**levels} slices, not {depth}.")
        self.multiple = (depth, 2**levels, 2**levels)
        self.upsampling = upsampling
        self.linear = activation == "linear"
        self.strides = [(2 if level < slice_levels else 1, 2, 2) for level in range(levels)]
        widths = [width * 2 ** min(level, 3) for level in range(levels)]
        self.encoder = nn.ModuleList()
        previous = in_channels
        for level, channels in enumerate(widths):
            kind = normalisation if level else "none"
            self.encoder.append(_down(previous, channels, self.strides[level], kind))
            previous = channels
        self.decoder = nn.ModuleList()
        for level in range(levels - 1, 0, -1):
            channels, probability = widths[level - 1], dropout if level < levels - 1 else 0.0
            self.decoder.append(_up(previous, channels, self.strides[level], probability, normalisation))
            previous = 2 * channels
        self.head = _convolution(previous, out_channels, self.strides[0], stride=(1, 1, 1))

    def forward(self, slab: Tensor) -> Tensor:
        skips = []
        features = slab
        for block in self.encoder:
            features = block(features)
            skips.append(features)
        skips.pop()
        for block, factor in zip(self.decoder, reversed(self.strides[1:]), strict=True):
            features = torch.cat([block(self._enlarge(features, factor)), skips.pop()], dim=1).relu()
        features = self.head(self._enlarge(features, self.strides[0]))
        return features if self.linear else features.tanh()

    def _enlarge(self, features: Tensor, factor: tuple[int, int, int]) -> Tensor:
        if self.upsampling == "nearest":
            return resize(features, factor, "nearest")
        return resize(resize(features, (1, *factor[1:]), "linear"), (factor[0], 1, 1), "nearest")


def _convolution(
    in_channels: int, out_channels: int, step: tuple[int, int, int], stride: tuple[int, int, int]
) -> nn.Sequential:
    """Kernel 4 in the plane, 2 across slices where ``step`` is 2 there, otherwise 1."""
    kernel = (step[0], 4, 4)
    return nn.Sequential(PadSame(kernel, stride), nn.Conv3d(in_channels, out_channels, kernel, stride))


def _down(in_channels: int, out_channels: int, stride: tuple[int, int, int], kind: str) -> nn.Sequential:
    return nn.Sequential(
        _convolution(in_channels, out_channels, stride, stride),
        nn.LeakyReLU(0.2),
        normalisation(kind, out_channels, 3, affine=True),
    )


def _up(in_channels: int, out_channels: int, step: tuple[int, int, int], dropout: float, kind: str) -> nn.Sequential:
    return nn.Sequential(
        _convolution(in_channels, out_channels, step, (1, 1, 1)),
        nn.ReLU(),
        nn.Dropout(dropout),
        normalisation(kind, out_channels, 3, affine=True),
    )
