"""Objective of content-noise complementary learning (Geng et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import losses
from .base import Losses
from .paired import PairedObjective

if TYPE_CHECKING:
    from ..sampling import Batch


class CNCLObjective(PairedObjective):
    """The generator gives content and noise; the discriminator judges both together."""

    def regression(self, output: Tensor, batch: Batch) -> tuple[Losses, dict[str, Tensor]]:
        recipe = self.recipe
        truth = self.real(batch)
        balance = losses.balancing_weights(truth[:, 1:], recipe.balance_limit) if recipe.balance_noise else None
        distance = losses.channel_weighted_l1(output, truth, (1.0, recipe.weight_noise_channel), balance)
        return {"l1": recipe.weight_l1 * distance}, {"l1": distance}

    def real(self, batch: Batch) -> Tensor:
        centre = batch.source[:, self.recipe.context_slices : self.recipe.context_slices + 1]
        return torch.cat([batch.target, centre - batch.target], dim=1)
