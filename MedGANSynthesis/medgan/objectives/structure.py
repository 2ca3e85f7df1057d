"""Objective of synthetic contrast enhancement: L1 that heeds what is enhanced, with a structural term beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from .. import losses
from ..losses_similarity import ms_ssim_l1_loss
from ..metrics.enhancement import ENHANCED_BY_HU
from .base import Losses
from .paired import PairedObjective

if TYPE_CHECKING:
    from ..recipes.contrast_ct import ContrastCT
    from ..sampling import Batch

NETWORK_RANGE = 2.0  # -1 to 1


class StructureObjective(PairedObjective):
    """L1 in which enhanced voxels count more, and the source's structural loss.

    Most of a body takes up no contrast medium, and no change at all is an optimum of the plain L1 that a training
    hardly leaves; ``weight_enhanced`` lifts it out. ``weight_ms_ssim`` weighs 0.15 MAE + 0.85 (1 - MS-SSIM), slice by
    slice, since slabs are thin.
    """

    recipe: ContrastCT

    def regression(self, output: Tensor, batch: Batch) -> tuple[Losses, dict[str, Tensor]]:
        terms, report = super().regression(output, batch)
        recipe = self.recipe
        if recipe.residual and recipe.weight_enhanced != 1.0:
            enhanced = batch.target > ENHANCED_BY_HU / recipe.residual_hu
            weights = 1.0 + (recipe.weight_enhanced - 1.0) * enhanced
            weights = weights if batch.mask is None else weights * batch.mask
            terms["l1"] = recipe.weight_l1 * losses.masked_l1(output, batch.target, weights)
        if recipe.weight_ms_ssim:
            report["ms_ssim_l1"] = ms_ssim_l1_loss(output, batch.target.float(), NETWORK_RANGE, slicewise=True)
            terms["ms_ssim_l1"] = recipe.weight_ms_ssim * report["ms_ssim_l1"]
        return terms, report
