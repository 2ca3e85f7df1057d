"""A network that takes images of one size only, applied to smaller ones; larger ones come in tiles of its size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class FixedSize(nn.Module):
    """Repeats the edge voxels at the end of images that are too small for a network, and crops the result.

    Args:
        network: takes ``(batch, channels, *tile)``, gives ``(batch, channels', *tile * scale)``.
        tile: sizes along the last axes that it takes, None where it takes any.
        scale: output voxels per input voxel along the same axes.

    Input ``(batch, channels, *sizes)``, nowhere larger than the tile; output ``(batch, channels', *sizes * scale)``.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], tile: tuple[int | None, ...], scale: tuple[int, ...]):
        super().__init__()
        self.network = network
        self.tile = tile
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        sizes = image.shape[2:]
        for axis, (size, tile) in enumerate(zip(sizes, self.tile, strict=True), start=2):
            if tile is not None and size < tile:
                image = image.index_select(axis, torch.arange(tile, device=image.device).clamp_(max=size - 1))
        result = self.network(image)
        return result[(..., *(slice(size * scale) for size, scale in zip(sizes, self.scale, strict=True)))]
