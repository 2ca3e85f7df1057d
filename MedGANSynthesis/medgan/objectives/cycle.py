"""Objective of CycleGAN: two generators and two discriminators learn from images that do not belong together.

Source: Zhu et al., ICCV 2017, arXiv 1703.10593.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import losses
from ..image_pool import ImagePool
from .base import Losses, Objective
from .paired import judge

if TYPE_CHECKING:
    from ..recipes.mr_to_ct_unpaired import MRToCTUnpaired
    from ..sampling import Batch

SHIPPED = "to_target."


class TwoNetworks(nn.Module):
    """Two networks trained together: ``to_target`` and ``to_source`` generators, or the judges of both sides."""

    def __init__(self, to_target: nn.Module, to_source: nn.Module):
        super().__init__()
        self.to_target, self.to_source = to_target, to_source


class CycleObjective(Objective):
    """Cycle consistency, identity, and a discriminator for each side that is shown a pool of earlier images.

    The state to be kept in a checkpoint is that of both pools; of several processes only the leader's is kept.
    """

    def __init__(self, recipe: MRToCTUnpaired):
        self.recipe = recipe
        self.pools = {side: ImagePool(recipe.pool_size) for side in ("target", "source")}

    def generate(self, generator: TwoNetworks, batch: Batch) -> dict[str, Tensor]:
        to_target, to_source = generator.to_target, generator.to_source
        made = {"target": to_target(batch.source), "source": to_source(batch.target)}
        made["source_again"], made["target_again"] = to_source(made["target"]), to_target(made["source"])
        if self.recipe.weight_identity:
            made["same_target"], made["same_source"] = to_target(batch.target), to_source(batch.source)
        return {name: image.float() for name, image in made.items()}

    def generator_terms(
        self, output: dict[str, Tensor], discriminator: TwoNetworks | None, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        recipe = self.recipe
        real = {"source": batch.source, "target": batch.target}
        report = {"cycle": sum(_l1(output[f"{side}_again"], image) for side, image in real.items())}
        terms = {"cycle": recipe.weight_cycle * report["cycle"]}
        if recipe.weight_identity:
            report["identity"] = sum(_l1(output[f"same_{side}"], image) for side, image in real.items())
            terms["identity"] = recipe.weight_cycle * recipe.weight_identity * report["identity"]
        if discriminator is not None:
            judged = [discriminator.to_target(output["target"]), discriminator.to_source(output["source"])]
            deceit = sum(
                losses.adversarial(recipe.adversarial_loss, logits.float(), real=True, for_generator=True)
                for logits in judged
            )
            report["generator_adversarial"] = deceit
            terms["adversarial"] = recipe.weight_adversarial * deceit
        return terms, report

    def discriminator_terms(
        self, output: dict[str, Tensor], discriminator: TwoNetworks, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        sides = {
            "target": (discriminator.to_target, batch.target),
            "source": (discriminator.to_source, batch.source),
        }
        terms: Losses = {}
        reports = []
        for side, (network, real) in sides.items():
            fake = self.pools[side].exchange(output[side])
            own, report = judge(self.recipe, network, real, fake, None)
            terms |= {f"{name}_{side}": term for name, term in own.items()}
            reports.append(report)
        report = {name: torch.stack([part[name] for part in reports]).mean() for name in reports[0]}
        kinds = ("real", "fake", "gradient_penalty")  # one update each for both sides, where they are separate
        sums = {kind: [term for name, term in terms.items() if name.startswith(kind)] for kind in kinds}
        terms = {kind: sum(parts) for kind, parts in sums.items() if parts}
        return terms, report

    def state_dict(self) -> dict[str, Any]:
        return {side: pool.state_dict() for side, pool in self.pools.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for side, pool in self.pools.items():
            pool.load_state_dict(state[side])


def _l1(one: Tensor, other: Tensor) -> Tensor:
    return nn.functional.l1_loss(one, other.float())


def shipped(state: dict[str, Any]) -> dict[str, Any]:
    """Of the state of both generators that of the one from source to target."""
    return {key.removeprefix(SHIPPED): value for key, value in state.items() if key.startswith(SHIPPED)}
