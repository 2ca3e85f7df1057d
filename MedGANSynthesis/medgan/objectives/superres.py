"""Objective of super-resolution: mean squared error and gradient difference beside L1, inside the head if asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .. import losses
from .base import Losses
from .paired import PairedObjective

if TYPE_CHECKING:
    from ..sampling import Batch

REAL_LABELS = (0.7, 1.2)
FAKE_LABELS = (0.0, 0.3)


class SuperresObjective(PairedObjective):
    """Voxel terms on the fine grid, and a discriminator of fine images.

    Source: Sánchez & Vilaplana, arXiv 1812.11440. There the terms are sums over some three million voxels beside a
    mean adversarial term, which so counts for nothing and ties the step size to the patch size; here all are means.
    """

    def regression(self, output: Tensor, batch: Batch) -> tuple[Losses, dict[str, Tensor]]:
        recipe, truth = self.recipe, batch.target
        mask = batch.mask if recipe.mask_loss else None
        report = {"l1": losses.masked_l1(output, truth, mask), "mse": losses.masked_mse(output, truth, mask)}
        if recipe.weight_gradient:
            inside = (output, truth) if mask is None else (output * mask, truth * mask)
            report["gradient"] = losses.gradient_difference(*inside)
        weights = {"l1": recipe.weight_l1, "mse": recipe.weight_mse, "gradient": recipe.weight_gradient}
        return {name: weight * report[name] for name, weight in weights.items() if weight}, report

    def generator_terms(
        self, output: Tensor, discriminator: nn.Module | None, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        if discriminator is None or not self.recipe.noisy_labels:
            return super().generator_terms(output, discriminator, batch)
        terms, report = super().generator_terms(output, None, batch)
        deceit = self._distance(discriminator(self.fake(output), self.condition(batch)), REAL_LABELS)
        return terms | {"adversarial": self.recipe.weight_adversarial * deceit}, report | {
            "generator_adversarial": deceit
        }

    def discriminator_terms(
        self, output: Tensor, discriminator: nn.Module, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        if not self.recipe.noisy_labels:
            return super().discriminator_terms(output, discriminator, batch)
        condition = self.condition(batch)
        real = discriminator(self.real(batch), condition)
        fake = discriminator(self.fake(output).detach(), condition)
        terms = {"real": self._distance(real, REAL_LABELS), "fake": self._distance(fake, FAKE_LABELS)}
        report = {
            "discriminator": (terms["real"] + terms["fake"]).detach(),
            "real_score": real.detach().float().mean(),
            "fake_score": fake.detach().float().mean(),
        }
        return terms, report

    def _distance(self, logits: Tensor, labels: tuple[float, float]) -> Tensor:
        """Of the logits from labels drawn anew at every call."""
        logits = logits.float()
        wanted = losses.noisy_labels(logits, *labels)
        return losses.adversarial(self.recipe.adversarial_loss, logits, real=True, target=wanted)
