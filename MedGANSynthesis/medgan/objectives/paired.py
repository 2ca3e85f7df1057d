"""Objective of paired translation: regression terms and a discriminator that sees the source beside the image."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import losses
from .base import Losses, Objective

if TYPE_CHECKING:
    from ..recipes.base import Recipe
    from ..sampling import Batch


class PairedObjective(Objective):
    """pix2pix (Isola et al. 2017) and its relatives.

    Args:
        recipe: weights, adversarial loss, smoothing, penalty, and whether the discriminator is conditional.

    Subclasses replace :meth:`regression` and, where the discriminator judges other images, :meth:`real` and
    :meth:`fake`.
    """

    def __init__(self, recipe: Recipe):
        self.recipe = recipe

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        return generator(batch.source).float()

    def regression(self, output: Tensor, batch: Batch) -> tuple[Losses, dict[str, Tensor]]:
        """Terms that need no discriminator: L1, inside the body if that is all the result will show."""
        distance = losses.masked_l1(output, batch.target, self.counted(batch))
        return {"l1": self.recipe.weight_l1 * distance}, {"l1": distance}

    def counted(self, batch: Batch) -> Tensor | None:
        """Where an error counts: everywhere, unless what lies outside the body is set to a value afterwards."""
        return None if self.recipe.target().outside is None else batch.mask

    def real(self, batch: Batch) -> Tensor:
        """What the discriminator is to take for real."""
        return batch.target

    def fake(self, output: Tensor) -> Tensor:
        """What the discriminator is to take for generated."""
        return output

    def condition(self, batch: Batch) -> Tensor | None:
        """What the discriminator sees beside the image it judges."""
        return batch.source if self.recipe.conditional else None

    def generator_terms(
        self, output: Tensor, discriminator: nn.Module | None, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        recipe = self.recipe
        terms, report = self.regression(output, batch)
        if discriminator is None:
            return terms, report
        condition = self.condition(batch)
        if recipe.weight_feature_matching:
            made = discriminator.features(self.fake(output), condition)
            with torch.no_grad():
                true = discriminator.features(self.real(batch), condition)
            report["feature_matching"] = losses.feature_matching(true[:-1], made[:-1])
            terms["feature_matching"] = recipe.weight_feature_matching * report["feature_matching"]
            logits = made[-1]
        else:
            logits = discriminator(self.fake(output), condition)
        deceit = losses.adversarial(recipe.adversarial_loss, logits.float(), real=True, for_generator=True)
        report["generator_adversarial"] = deceit
        terms["adversarial"] = recipe.weight_adversarial * deceit
        return terms, report

    def discriminator_terms(
        self, output: Tensor, discriminator: nn.Module, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        real, fake = self.real(batch), self.fake(output).detach()
        return judge(self.recipe, discriminator, real, fake, self.condition(batch))


def judge(
    recipe: Recipe, discriminator: nn.Module, real: Tensor, fake: Tensor, condition: Any
) -> tuple[Losses, dict[str, Tensor]]:
    """Terms of one discriminator on a real and a generated image, gradient penalty included."""
    mode, smoothing = recipe.adversarial_loss, recipe.label_smoothing
    judged_real = discriminator(real, condition).float()
    judged_fake = discriminator(fake, condition).float()
    terms = {
        "real": 0.5 * losses.adversarial(mode, judged_real, real=True, smoothing=smoothing),
        "fake": 0.5 * losses.adversarial(mode, judged_fake, real=False),
    }
    report = {
        "discriminator": (terms["real"] + terms["fake"]).detach(),
        "real_score": judged_real.detach().mean(),
        "fake_score": judged_fake.detach().mean(),
    }
    kind = recipe.gradient_penalty
    if kind != "none":
        planned = real.device.type == "meta"  # where memory is estimated without computing
        plain = contextlib.nullcontext() if planned else torch.autocast(real.device.type, enabled=False)
        with plain:  # second derivatives need float32
            if kind == "r1":
                penalty = losses.r1_penalty(discriminator, real.float(), condition)
            else:
                sigmoid = kind == "wgan-gp-sigmoid"
                penalty = losses.gradient_penalty(discriminator, real.float(), fake.float(), condition, sigmoid=sigmoid)
        report["gradient_penalty"] = penalty.detach()
        terms["gradient_penalty"] = recipe.weight_gradient_penalty * penalty
    return terms, report
