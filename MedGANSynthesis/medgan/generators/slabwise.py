"""The slab network on volumes of any length: overlapping slabs, blended."""

from __future__ import annotations

import torch
from torch import Tensor

from .pix2pix3d import Pix2Pix3DGenerator


class SlabwisePix2Pix3D(Pix2Pix3DGenerator):
    """:class:`~medgan.generators.pix2pix3d.Pix2Pix3DGenerator` that never sees more than a slab at once.

    Its normalisation is over the slab, so the slabs it works on have to be as thick as those it learnt from. Slabs
    begin at every half slab (published: at every slice, sixteen times the work) and are blended with weights that fall
    off linearly. A slab of ``depth`` slices, as in training, goes straight through.
    """

    def forward(self, slab: Tensor) -> Tensor:
        depth, slices = self.multiple[0], slab.shape[2]
        if slices <= depth:
            return super().forward(slab)
        step = max(depth // 2, 1)
        rising = torch.arange(1, depth + 1, device=slab.device, dtype=torch.float32)
        weight = torch.minimum(rising, rising.flip(0)).view(1, 1, -1, 1, 1)
        total = slab.new_zeros((1, 1, slices, 1, 1), dtype=torch.float32)
        blended = None
        for start in range(0, slices - depth + 1, step):
            here = slice(start, start + depth)
            made = super().forward(slab[:, :, here]).float()
            if blended is None:
                blended = made.new_zeros((*made.shape[:2], slices, *made.shape[3:]))
            blended[:, :, here] += weight * made
            total[:, :, here] += weight
        return (blended / total).to(made.dtype)
