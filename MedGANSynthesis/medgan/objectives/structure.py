"""Objective of synthetic contrast enhancement: L1 with a structural term beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..losses_similarity import ms_ssim_l1_loss
from .base import Losses
from .paired import PairedObjective

if TYPE_CHECKING:
    from ..sampling import Batch

NETWORK_RANGE = 2.0  # -1 to 1


class StructureObjective(PairedObjective):
    """Adds ``weight_ms_ssim`` times 0.15 MAE + 0.85 (1 - MS-SSIM), slice by slice, since slabs are thin."""

    def regression(self, output: Tensor, batch: Batch) -> tuple[Losses, dict[str, Tensor]]:
        terms, report = super().regression(output, batch)
        if self.recipe.weight_ms_ssim:
            report["ms_ssim_l1"] = ms_ssim_l1_loss(output, batch.target.float(), NETWORK_RANGE, slicewise=True)
            terms["ms_ssim_l1"] = self.recipe.weight_ms_ssim * report["ms_ssim_l1"]
        return terms, report
