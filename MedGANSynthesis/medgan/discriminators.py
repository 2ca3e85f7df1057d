"""Discriminators. Most are PatchGANs, which judge overlapping patches instead of whole images.

All are called ``discriminator(candidate, condition)`` and return logits (no sigmoid);
``discriminator.features(candidate, condition)`` returns the activations of every block, the logits last. A
discriminator built with ``condition_channels=0`` is unconditional and ignores a condition.
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import InputError
from .generators.layers import CONVOLUTIONS, PadSame, normalisation

Shape = tuple[int, ...]


class Discriminator(nn.Module):
    """A chain of blocks on the candidate and, attached to its channels, the condition.

    A condition on a coarser grid (super-resolution) is enlarged linearly to that of the candidate.

    Args:
        blocks: layers of each block; the activations between blocks are the features.
        condition_channels: 0 for an unconditional discriminator.

    Shape:
        candidate ``(batch, channels, *sizes)`` and condition ``(batch, condition_channels, *sizes)`` to logits
        ``(batch, 1, *fewer)``.
    """

    def __init__(self, blocks: list[list[nn.Module]], condition_channels: int):
        super().__init__()
        self.condition_channels = condition_channels
        self.layers = nn.Sequential(*(layer for block in blocks for layer in block))
        self._ends = {end - 1 for end in accumulate(len(block) for block in blocks)}

    def forward(self, candidate: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(self._joined(candidate, condition))

    def features(self, candidate: Tensor, condition: Tensor | None = None) -> list[Tensor]:
        """Activations after every block; the last entry is the logits."""
        activations = []
        value = self._joined(candidate, condition)
        for index, layer in enumerate(self.layers):
            value = layer(value)
            if index in self._ends:
                activations.append(value)
        return activations

    def _joined(self, candidate: Tensor, condition: Tensor | None) -> Tensor:
        if not self.condition_channels:
            return candidate
        if condition is None:
            raise ValueError("A conditional discriminator needs the condition.")
        if condition.shape[2:] != candidate.shape[2:]:
            mode = "bilinear" if candidate.ndim == 4 else "trilinear"
            condition = functional.interpolate(condition, candidate.shape[2:], mode=mode, align_corners=False)
        return torch.cat([candidate, condition.to(candidate.dtype)], dim=1)


class CNCLDiscriminator(Discriminator):
    """Conditional PatchGAN of CNCL, receptive field 94 pixels.

    Judges the pair (content, noise) given the noisy image: ``width`` to ``8 * width`` channels by four 4x4
    convolutions of stride 2, instance norm without parameters on all but the first, LeakyReLU 0.2, and a 4x4
    convolution to one channel. Source: see :mod:`medgan.generators.cncl`.

    Shape:
        candidate ``(batch, 2, rows, columns)`` and condition ``(batch, channels, rows, columns)`` to logits
        ``(batch, 1, rows / 16, columns / 16)``.
    """

    def __init__(self, condition_channels: int = 1, width: int = 64):
        blocks = _halvings(2 + condition_channels, width, 4, "instance")
        # One more row and column on the near side keeps rows / 16 outputs for a kernel of even size.
        blocks.append([nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(8 * width, 1, 4, padding=1, bias=False)])
        super().__init__(blocks, condition_channels)


class Pix2Pix3DDiscriminator(Discriminator):
    """3-D PatchGAN on slabs, receptive field 70 x 70 pixels and, for 16 slices, 8 slices.

    Three 4x4 convolutions of stride 2 and two of stride 1, "same" padding, normalisation after the LeakyReLU and on the
    first block too. Slices are halved while there are more than two. Source: see :mod:`medgan.generators.pix2pix3d`.

    Args:
        channels: of the candidate. condition_channels: of the plain scan (and coordinates, if any).
        depth: slices of the slabs judged. width: channels of the first block.
        normalisation: "scalar" (published), "instance" or "none".

    Shape:
        ``(batch, ..., slices, rows, columns)`` to logits ``(batch, 1, 2, rows / 8, columns / 8)`` from 4 slices on.
    """

    def __init__(
        self,
        channels: int = 3,
        condition_channels: int = 3,
        depth: int = 16,
        width: int = 64,
        normalisation: str = "scalar",
    ):
        blocks, previous, slices = [], channels + condition_channels, depth
        for level, in_plane in enumerate((2, 2, 2, 1)):
            step = 2 if slices > 2 else 1
            slices = -(-slices // step)
            convolution = _same(previous, width * 2**level, (step, 4, 4), (step, in_plane, in_plane))
            previous = width * 2**level
            blocks.append([*convolution, nn.LeakyReLU(0.2), _norm(normalisation, previous, 3)])
        blocks.append(_same(previous, 1, (1, 4, 4), (1, 1, 1)))
        super().__init__(blocks, condition_channels)


class SRGAN3DDiscriminator(Discriminator):
    """Eight 3x3x3 convolutions, every other one of stride 2, and two dense layers: one logit for a whole patch.

    Args:
        channels, condition_channels: of the candidate and, 0 as published, of the coarse image.
        patch_shape: (k, j, i) of the patches judged; (92, 128, 128) as published. The first dense layer then holds
            nearly all weights. None averages over the patch before the dense layers, for patches of any size.
        width: channels of the first block. hidden: of the dense layer.
        normalisation: "batch" (published), "instance" or "none".

    Shape:
        ``(batch, channels, k, j, i)`` to logits ``(batch, 1)``.

    Raises:
        InputError: a patch of another size than ``patch_shape`` is judged.

    Source: see :mod:`medgan.generators.srgan3d`.
    """

    def __init__(
        self,
        channels: int = 1,
        condition_channels: int = 0,
        patch_shape: tuple[int, int, int] | None = (92, 128, 128),
        width: int = 32,
        hidden: int = 1024,
        normalisation: str = "batch",
    ):
        blocks, previous, cells = [], channels + condition_channels, 1
        for level in range(8):
            step, last = 1 + level % 2, width * 2 ** (level // 2)
            kind = normalisation if level else "none"
            block = [*_same(previous, last, (3, 3, 3), (step,) * 3), _norm(kind, last, 3), nn.LeakyReLU(0.3)]
            blocks.append(block)
            previous = last
        if patch_shape is None:
            blocks.append([nn.AdaptiveAvgPool3d(1), nn.Flatten()])
        else:
            for size in patch_shape:
                cells *= -(-size // 16)
            blocks.append([nn.Flatten()])
        blocks[-1] += [nn.Linear(previous * cells, hidden), nn.LeakyReLU(0.3)]
        blocks.append([nn.Linear(hidden, 1)])
        super().__init__(blocks, condition_channels)
        self.patch_shape = patch_shape

    def _joined(self, candidate: Tensor, condition: Tensor | None) -> Tensor:
        if self.patch_shape is not None and tuple(candidate.shape[2:]) != tuple(self.patch_shape):
            wanted, given = ("x".join(map(str, shape)) for shape in (self.patch_shape, candidate.shape[2:]))
            raise InputError(
                f"The dense discriminator was built for patches of {wanted} voxels (k, j, i) and got {given}; "
                "train with patches of that size or choose another discriminator."
            )
        return super()._joined(candidate, condition)


class MRCTDiscriminator(Discriminator):
    """PatchGAN of MR to CT, receptive field 94 pixels: four halvings with dropout, then one 4x4 convolution.

    Args:
        channels, condition_channels: of CT and MR; 0 (published) is unconditional.
        width: channels of the first block. dropout: after every block.
        normalisation: "batch" (published), "instance" or "none"; a gradient penalty asks for one that is not "batch".

    Shape:
        ``(batch, channels, rows, columns)`` to logits ``(batch, 1, rows / 16 - 1, columns / 16 - 1)``.

    Source: see :mod:`medgan.generators.unet_mrct`.
    """

    def __init__(
        self,
        channels: int = 1,
        condition_channels: int = 0,
        width: int = 64,
        dropout: float = 0.1,
        normalisation: str = "batch",
    ):
        blocks = _halvings(channels + condition_channels, width, 4, normalisation, dropout)
        blocks.append([nn.Conv2d(8 * width, 1, 4, padding=1)])
        super().__init__(blocks, condition_channels)


class StainDiscriminator(Discriminator):
    """PatchGAN of the stain-transfer system, receptive field 46 pixels: four halvings, then a 1x1 convolution.

    Args and shape as :class:`PatchGAN`, logits ``(batch, 1, rows / 16, columns / 16)``.
    Source: system "Medical-Image-Generation", see :mod:`medgan.generators.unet256`.
    """

    def __init__(self, channels: int = 3, condition_channels: int = 3, width: int = 64, normalisation: str = "batch"):
        blocks = _halvings(channels + condition_channels, width, 4, normalisation)
        blocks.append([nn.Conv2d(8 * width, 1, 1)])
        super().__init__(blocks, condition_channels)


class STSTDiscriminator(Discriminator):
    """PatchGAN of STST, receptive field 142 pixels: four halvings and two convolutions of stride 1, "same" padding.

    Args and shape as :class:`PatchGAN`, logits ``(batch, 1, rows / 16, columns / 16)``.
    Source: Salehi & Chalechale 2020, see :mod:`medgan.generators.unet256`.
    """

    def __init__(self, channels: int = 3, condition_channels: int = 3, width: int = 64, normalisation: str = "batch"):
        blocks = _halvings(channels + condition_channels, width, 4, normalisation)
        last = 8 * width
        blocks.append([*_same(last, last, (4, 4), (1, 1)), _norm(normalisation, last, 2), nn.LeakyReLU(0.2)])
        blocks.append(_same(last, 1, (4, 4), (1, 1)))
        super().__init__(blocks, condition_channels)


class PatchGAN(Discriminator):
    """The discriminator of pix2pix and CycleGAN in two and three dimensions; 3 layers see 70 pixels.

    Args:
        channels, condition_channels: of the candidate and the condition; condition 0 is unconditional (CycleGAN).
        width: channels of the first block; doubled three times.
        layers: halvings: 1 sees 16 pixels, 2 34, 3 70, 4 142, 5 286.
        normalisation: "batch" (pix2pix), "instance" (CycleGAN) or "none" (for gradient penalties).
        dimensions: 2 or 3.
        slice_layers: in three dimensions, how many of the halvings halve slices too (all if None); the other
            convolutions keep the number of slices.

    Shape:
        ``(batch, channels, rows, columns)`` to logits ``(batch, 1, rows / 2**layers - 2, columns / 2**layers - 2)``; in
        three dimensions slices come before rows, and ``2 ** slice_layers`` of them make one.

    Source: Isola et al., CVPR 2017, arXiv 1611.07004.
    """

    def __init__(
        self,
        channels: int = 3,
        condition_channels: int = 3,
        width: int = 64,
        layers: int = 3,
        normalisation: str = "batch",
        dimensions: int = 2,
        slice_layers: int | None = None,
    ):
        slice_layers = layers if slice_layers is None else slice_layers

        def convolution(first: int, last: int, step: int, halves_slices: bool, bias: bool = True) -> nn.Module:
            if dimensions == 2:
                return nn.Conv2d(first, last, 4, step, padding=1, bias=bias)
            kernel, slices = (4, 2) if halves_slices else (3, 1)
            return nn.Conv3d(first, last, (kernel, 4, 4), (slices, step, step), padding=1, bias=bias)

        blocks, previous = [], channels + condition_channels
        for level in range(layers + 1):
            last = width * 2 ** min(level, 3)
            step = 2 if level < layers else 1
            bias = level == 0 or normalisation != "batch"
            kind = normalisation if level else "none"
            layer = convolution(previous, last, step, level < slice_layers, bias)
            blocks.append([layer, _norm(kind, last, dimensions), nn.LeakyReLU(0.2)])
            previous = last
        blocks.append([convolution(previous, 1, 1, False)])
        super().__init__(blocks, condition_channels)


class PixelGAN(Discriminator):
    """Judges every pixel by itself: three 1x1 convolutions (Isola et al. 2017). Args as :class:`PatchGAN`."""

    def __init__(
        self,
        channels: int = 3,
        condition_channels: int = 3,
        width: int = 64,
        normalisation: str = "batch",
        dimensions: int = 2,
    ):
        convolution = CONVOLUTIONS[dimensions]
        bias = normalisation != "batch"
        blocks = [
            [convolution(channels + condition_channels, width, 1), nn.LeakyReLU(0.2)],
            [
                convolution(width, 2 * width, 1, bias=bias),
                _norm(normalisation, 2 * width, dimensions),
                nn.LeakyReLU(0.2),
            ],
            [convolution(2 * width, 1, 1, bias=bias)],
        ]
        super().__init__(blocks, condition_channels)


_norm = normalisation  # constructors have an argument of this name


def _halvings(in_channels: int, width: int, count: int, kind: str, dropout: float = 0.0) -> list[list[nn.Module]]:
    """4x4 convolutions of stride 2, channels doubled at each, normalised but for the first, LeakyReLU 0.2."""
    blocks, previous = [], in_channels
    for level in range(count):
        last = width * 2**level
        block: list[nn.Module] = [nn.Conv2d(previous, last, 4, stride=2, padding=1)]
        if level and kind != "none":
            block.append(_norm(kind, last))
        block.append(nn.LeakyReLU(0.2))
        if dropout:
            block.append(nn.Dropout(dropout))
        blocks.append(block)
        previous = last
    return blocks


def _same(in_channels: int, out_channels: int, kernel: Shape, stride: Shape) -> list[nn.Module]:
    return [PadSame(kernel, stride), CONVOLUTIONS[len(kernel)](in_channels, out_channels, kernel, stride)]
