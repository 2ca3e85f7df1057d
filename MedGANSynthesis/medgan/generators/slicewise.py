"""A two-dimensional network applied to a volume, slice by slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SliceBySlice(nn.Module):
    """Runs a 2-D network on every slice of a volume.

    network  takes (batch, C * (2 * context + 1), rows, columns), gives (batch, C', rows', columns').
    context  neighbor slices on each side that the network sees as further channels ("2.5-D"); beyond the first and
             the last slice these are repeated. Channels are ordered by slice first: all C of slice k - context, ...
    planes   axes across which slices are taken: 0 for (j, i) planes, 1 for (k, i), 2 for (k, j). Several are averaged.

    Input (1, C, k, j, i), output (1, C', k, j', i'). Each output slice depends on ``context`` slices on each side.
    """

    def __init__(self, network: nn.Module, context: int = 0, planes: tuple[int, ...] = (0,)):
        super().__init__()
        self.network = network
        self.context = context
        self.planes = planes

    def forward(self, volume: Tensor) -> Tensor:
        results = [self._across(volume[0], axis) for axis in self.planes]
        return (results[0] if len(results) == 1 else torch.stack(results).mean(dim=0)).unsqueeze(0)

    def _across(self, volume: Tensor, axis: int) -> Tensor:
        slices = volume.movedim(1 + axis, 0)  # (slices, C, rows, columns)
        if self.context:
            count = slices.shape[0]
            neighbors = [
                slices[torch.arange(offset, offset + count, device=volume.device).clamp_(0, count - 1)]
                for offset in range(-self.context, self.context + 1)
            ]
            slices = torch.cat(neighbors, dim=1)
        return self.network(slices).movedim(0, 1 + axis)
