"""Objective of stain transfer: pix2pix, and for RGB input a picture in the target's own colors has to stay as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import losses
from .base import Losses
from .paired import PairedObjective

if TYPE_CHECKING:
    from ..sampling import Batch


class StainObjective(PairedObjective):
    """L1, the adversarial term, and the identity loss of CycleGAN (Zhu et al. 2017) on ``batch.extra["identity"]``."""

    def generate(self, generator: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The generated picture, and what becomes of the picture in the target's colors."""
        if "identity" not in batch.extra:
            return generator(batch.source).float(), None
        both = generator(torch.cat([batch.source, batch.extra["identity"]])).float()
        count = len(batch.source)
        return both[:count], both[count:]

    def regression(self, output: Any, batch: Batch) -> tuple[Losses, dict[str, Tensor]]:
        image, same = output
        terms, report = super().regression(image, batch)
        if same is not None:
            report["identity"] = losses.masked_l1(same, batch.target, batch.mask)
            terms["identity"] = self.recipe.weight_identity * report["identity"]
        return terms, report

    def fake(self, output: Any) -> Tensor:
        return output[0]
