"""3-D super-resolution generator: residual blocks on the coarse grid, then one of three kinds of upsampling.

Source: Sánchez & Vilaplana, Brain MRI super-resolution using 3D GANs, MIDL 2018, arXiv 1812.11440. Sub-pixel start:
Aitken et al. 2017, arXiv 1707.02937. Own code from descriptions of the methods.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..errors import InputError
from .layers import normalisation, resize

Factor = tuple[int, int, int]
SLOPE = 0.25


class SRGAN3DGenerator(nn.Module):
    """SRResNet in three dimensions, with a factor of 1, 2 or 4 for each axis.

    Args:
        channels: channels of input and output.
        width: channels of the residual blocks ("feature size").
        blocks: number of residual blocks.
        factor: enlargement along (k, j, i), each 1, 2 or 4.
        upsampling: "subpixel" (convolution and pixel shuffle), "nn" (nearest neighbour, then convolution) or
            "subpixel-nn" (transposed convolution that starts as convolution and nearest neighbour).
        upsampling_width: channels of the convolutions that enlarge.
        icnr: start "subpixel" as a convolution followed by nearest neighbour, free of checkerboards.
        normalisation: "batch" (published) or "none".
        linear_head: no tanh after "nn" (the other kinds have none anyway).
        residual: add the trilinearly enlarged input; the network then starts as that and learns what is missing.

    Shape:
        ``(batch, channels, k, j, i)`` to ``(batch, channels, k * factor[0], j * factor[1], i * factor[2])``.

    Raises:
        InputError: a factor is not 1, 2 or 4.
    """

    def __init__(
        self,
        channels: int = 1,
        width: int = 32,
        blocks: int = 6,
        factor: Factor = (4, 4, 4),
        upsampling: str = "subpixel",
        upsampling_width: int = 64,
        icnr: bool = False,
        normalisation: str = "batch",
        linear_head: bool = False,
        residual: bool = False,
    ):
        super().__init__()
        if len(factor) != 3 or any(step not in (1, 2, 4) for step in factor):
            raise InputError(f"The factor of each axis must be 1, 2 or 4, not {'x'.join(map(str, factor))}.")
        self.multiple, self.factor, self.residual = (1, 1, 1), tuple(factor), residual
        self.tanh = upsampling == "nn" and not linear_head
        self.first = nn.Sequential(*_convolution(channels, width, normalisation), nn.LeakyReLU(SLOPE))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *_convolution(width, width, normalisation),
                nn.LeakyReLU(SLOPE),
                *_convolution(width, width, normalisation),
            )
            for _ in range(blocks)
        )
        self.last = nn.Sequential(*_convolution(width, width, normalisation))
        self.upsampling = nn.Sequential()
        for step in stages(self.factor):
            stage = _stage(upsampling, width, upsampling_width, step, icnr)
            self.upsampling.append(stage)
            width = stage.out_channels
        self.head = nn.Conv3d(width, channels, 3, padding=1)
        self.start()

    def start(self) -> None:
        """Begin as the enlarged input if the output is a residual."""
        if self.residual:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, volume: Tensor) -> Tensor:
        first = self.first(volume)
        features = first
        for block in self.blocks:
            features = features + block(features)
        output = self.head(self.upsampling(first + self.last(features)))
        if self.residual:
            output = output + resize(volume, self.factor, "linear")
        return output.tanh() if self.tanh else output


def stages(factor: Factor) -> list[Factor]:
    """The steps by at most 2 along each axis that make up ``factor``.

    Example:
        >>> stages((4, 2, 1))
        [(2, 2, 1), (2, 1, 1)]
    """
    count = max(step.bit_length() - 1 for step in factor)
    return [tuple(2 if step >= 2 ** (stage + 1) else 1 for step in factor) for stage in range(count)]


def shuffle(features: Tensor, step: Factor) -> Tensor:
    """Pixel shuffle in three dimensions with a factor for each axis.

    Shape:
        ``(batch, channels * prod(step), k, j, i)`` to ``(batch, channels, k * step[0], j * step[1], i * step[2])``.
    """
    batch, channels, k, j, i = features.shape
    channels //= math.prod(step)
    split = features.reshape(batch, channels, *step, k, j, i).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return split.reshape(batch, channels, k * step[0], j * step[1], i * step[2])


class SubPixel(nn.Module):
    """Convolution and pixel shuffle; :meth:`start` draws it so that it begins as nearest neighbour (ICNR)."""

    def __init__(self, in_channels: int, width: int, step: Factor, icnr: bool):
        super().__init__()
        parts = math.prod(step)
        self.step, self.icnr = step, icnr
        self.out_channels = width // parts
        self.convolution = nn.Conv3d(in_channels, self.out_channels * parts, 3, padding=1)
        self.start()

    def start(self) -> None:
        """Give all the fine voxels of a coarse one the same kernel."""
        if self.icnr:
            parts = math.prod(self.step)
            with torch.no_grad():
                self.convolution.weight.copy_(self.convolution.weight[::parts].repeat_interleave(parts, dim=0))
                self.convolution.bias.copy_(self.convolution.bias[::parts].repeat_interleave(parts))

    def forward(self, features: Tensor) -> Tensor:
        # activation and shuffle commute
        return shuffle(nn.functional.leaky_relu(self.convolution(features), SLOPE), self.step)


class ResizeConvolution(nn.Module):
    """Convolution, nearest neighbour, convolution."""

    def __init__(self, in_channels: int, width: int, step: Factor):
        super().__init__()
        self.step, self.out_channels = step, width
        self.coarse = nn.Sequential(nn.Conv3d(in_channels, width, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.fine = nn.Sequential(nn.Conv3d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE))

    def forward(self, features: Tensor) -> Tensor:
        return self.fine(resize(self.coarse(features), self.step, "nearest"))


class SubPixelNearest(nn.Module):
    """Transposed convolution of kernel 6 and stride 2; :meth:`start` enlarges its kernel from one of 3.

    Neighbouring fine voxels then begin with the same weights, as "convolve, then nearest neighbour" would have them.
    """

    def __init__(self, in_channels: int, width: int, step: Factor):
        super().__init__()
        self.step, self.out_channels = step, width
        kernel = tuple(3 * each for each in step)
        self.convolution = nn.ConvTranspose3d(in_channels, width, kernel, step, padding=tuple(step))
        self.start()

    def start(self) -> None:
        """Repeat every other weight along the axes that are enlarged."""
        with torch.no_grad():
            k, j, i = self.step
            self.convolution.weight.copy_(resize(self.convolution.weight[..., ::k, ::j, ::i], self.step, "nearest"))

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.convolution(features), SLOPE)


def _stage(kind: str, in_channels: int, width: int, step: Factor, icnr: bool) -> nn.Module:
    if kind == "subpixel":
        return SubPixel(in_channels, width, step, icnr)
    if kind == "nn":
        return ResizeConvolution(in_channels, width, step)
    if kind == "subpixel-nn":
        return SubPixelNearest(in_channels, width, step)
    raise ValueError(f"There is no upsampling '{kind}'.")


def _convolution(in_channels: int, out_channels: int, kind: str) -> list[nn.Module]:
    return [nn.Conv3d(in_channels, out_channels, 3, padding=1), normalisation(kind, out_channels, 3)]
