"""One step of the adversarial game: both players updated on a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .trainer import Trainer


class TrainingStep:
    """A step of a :class:`~medgan.trainer.Trainer`.

    Args:
        trainer: the state that is changed.
        step: number of the step since the start of the training.
    """

    def __init__(self, trainer: Trainer, step: int):
        self.trainer, self.step = trainer, step
        self.fabric, self.recipe, self.objective = trainer.fabric, trainer.recipe, trainer.objective
        joined = step - self.recipe.adversarial_start * self.recipe.steps_per_epoch
        self.discriminates = self.recipe.weight_adversarial > 0 and joined >= 0
        self.deceives = self.discriminates and joined >= self.recipe.discriminator_warmup
        self.report: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Update both players; returns what to report, scalar tensors on the device."""
        batch = self.trainer.sampler.batch(self.step)
        output = self._generate(batch)
        if self.discriminates and self.recipe.discriminator_first:
            self._train_discriminator(batch, output)
        for repeat in range(self.recipe.generator_steps):
            if repeat:
                output = self._generate(batch)
            self._train_generator(batch, output)
        if self.discriminates and not self.recipe.discriminator_first:
            self._train_discriminator(batch, output)
        self.trainer.update_average(self.step)
        return self.report

    def _generate(self, batch: Any) -> Any:
        with self.fabric.autocast():
            return self.objective.generate(self.trainer.generator, batch)

    def _train_generator(self, batch: Any, output: Any) -> None:
        trainer = self.trainer
        trainer.discriminator.requires_grad_(False)
        with self.fabric.autocast():
            judge = trainer.discriminator if self.deceives else None
            terms, report = self.objective.generator_terms(output, judge, batch)
        self._update(trainer.generator, trainer.generator_optimiser, sum(terms.values()), self.recipe.gradient_clip)
        trainer.discriminator.requires_grad_(True)
        self.report |= {key: value.detach() for key, value in report.items()}

    def _train_discriminator(self, batch: Any, output: Any) -> None:
        trainer = self.trainer

        def terms() -> dict[str, Any]:
            with self.fabric.autocast():
                found, report = self.objective.discriminator_terms(output, trainer.discriminator, batch)
            self.report |= {key: value.detach() for key, value in report.items()}
            return found

        first = terms()
        if not self.recipe.separate_updates:
            self._update(trainer.discriminator, trainer.discriminator_optimiser, sum(first.values()), 0.0)
            return
        for number, name in enumerate(first):
            loss = (terms() if number else first)[name]  # computed anew: the update before has changed the weights
            self._update(trainer.discriminator, trainer.discriminator_optimiser, loss, 0.0)

    def _update(self, network: Any, optimiser: Any, loss: Any, clip: float) -> None:
        from .processes import average_gradients

        optimiser.zero_grad()
        self.fabric.backward(loss)
        average_gradients(self.fabric, network)
        if clip:
            # a gradient that is no number shows in the next loss, which is explained to the user
            self.fabric.clip_gradients(network, optimiser, max_norm=clip, error_if_nonfinite=False)
        optimiser.step()
