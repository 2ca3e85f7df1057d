"""Objective: the losses of both players on a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..sampling import Batch

Losses = dict[str, "Tensor"]


class Objective:
    """What both players are trained for; the trainer adds up the terms and steps the optimizers.

    A term is a scalar tensor with its weight already in it. ``report`` holds the unweighted numbers people look at.
    Objectives that draw random numbers draw them from torch's generator, which the trainer seeds at every step.
    """

    def generate(self, generator: nn.Module, batch: Batch) -> Any:
        """The generator's forward pass on a batch: whatever the two methods below need, float32."""
        raise NotImplementedError

    def generator_terms(
        self, output: Any, discriminator: nn.Module | None, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        """Terms that the generator minimises, and what to report; without discriminator only the regression."""
        raise NotImplementedError

    def discriminator_terms(
        self, output: Any, discriminator: nn.Module, batch: Batch
    ) -> tuple[Losses, dict[str, Tensor]]:
        """Terms that the discriminator minimises ("real", "fake", ...); ``output`` may still carry gradients."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to keep, for example an image pool."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state again."""

    def to(self, device: Any) -> Objective:
        """Move networks that only judge (feature losses) to a device."""
        return self
