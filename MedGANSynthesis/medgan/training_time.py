"""How long a training takes on this machine, measured on its own steps, and a schedule that fits some minutes."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .dataset import Dataset
from .errors import InputError
from .recipes.base import Recipe

if TYPE_CHECKING:
    from .trainer import Trainer

_STEPS = 3
_VALIDATING_S = 10.0  # then the other cases are taken to be alike
_RESERVE = 0.9  # of the time given: other programs run too
_VALIDATION_SHARE = 0.2  # of an epoch; a small validation set stays far below
_SCALED = ("adversarial_start", "schedule_start")


@dataclass(frozen=True)
class Times:
    """Seconds of a step without and with the discriminator, and of a validation."""

    regression_s: float
    adversarial_s: float
    validation_s: float


def measure(recipe: Recipe, dataset: Dataset, device: Any) -> Times:
    """Run a few steps of both phases and validate some cases, and throw them away."""
    from .trainer import Trainer
    from .training_step import TrainingStep

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(recipe, dataset, Path(folder), str(device))
        last = recipe.epochs * recipe.steps_per_epoch - 1

        def seconds(step: int) -> float:
            TrainingStep(trainer, step).run()  # the first one allocates and tries out algorithms
            started = time.monotonic()
            for _ in range(_STEPS):
                report = TrainingStep(trainer, step).run()
            for value in report.values():
                float(value)  # waits for the device
            return (time.monotonic() - started) / _STEPS

        regression, adversarial = seconds(0), seconds(last)
        return Times(regression, adversarial, _validation_s(trainer))


def _validation_s(trainer: Trainer) -> float:
    """Seconds of a validation, as much of it as is done in a short time."""
    from . import training_validation

    cases, generator = trainer.dataset.split("validation"), trainer.averaged_generator()
    started, measured, elapsed_s = time.monotonic(), 0, 0.0
    while measured < len(cases) and elapsed_s < _VALIDATING_S:
        training_validation.evaluate(trainer, generator, [cases[measured]])
        measured, elapsed_s = measured + 1, time.monotonic() - started
    return elapsed_s / max(1, measured) * len(cases)


def planned_s(recipe: Recipe, times: Times) -> float:
    """Seconds that the whole training takes, a last evaluation included."""
    alone = min(recipe.adversarial_start, recipe.epochs) if recipe.weight_adversarial > 0 else recipe.epochs
    epoch = alone * times.regression_s + (recipe.epochs - alone) * times.adversarial_s
    return recipe.steps_per_epoch * epoch + (recipe.epochs + 1) * times.validation_s


def fit(recipe: Recipe, times: Times, budget_s: float, overrides: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Parameters to replace so that a training fits, and why; nothing where it fits anyway.

    The phases of the schedule keep their proportions. Where validations would eat up the time, epochs become longer
    and fewer.

    Raises:
        InputError: not even one epoch of one step fits, or ``overrides`` fix the length.
    """
    wanted = planned_s(recipe, times)
    room = _RESERVE * budget_s
    if wanted <= room:
        return {}, ""
    if "epochs" in overrides or "steps_per_epoch" in overrides:
        raise InputError(
            f"The training would take about {wanted / 60:.0f} minutes with the epochs and steps that were set; leave "
            "those out, or allow more time."
        )
    steps, epochs = recipe.steps_per_epoch, recipe.epochs
    pace = (wanted - (epochs + 1) * times.validation_s) / (epochs * steps)
    steps = max(steps, math.ceil(times.validation_s * (1 / _VALIDATION_SHARE - 1) / pace))
    fitting = max(1, int((room - times.validation_s) / (steps * pace + times.validation_s)))

    def changed() -> dict[str, Any]:
        scaled = {name: getattr(recipe, name) for name in _SCALED if name not in overrides and getattr(recipe, name)}
        phases = {name: round(value * fitting / epochs) for name, value in scaled.items()}
        return {"epochs": fitting, "steps_per_epoch": steps, **phases}

    def seconds() -> float:
        return planned_s(dataclasses.replace(recipe, **changed()), times)

    while fitting > 1 and seconds() > room:  # the phases are whole epochs, which may favor the slower one
        fitting -= 1
    if fitting == 1 and seconds() > room:
        pace = (seconds() - 2 * times.validation_s) / steps
        steps = int((room - 2 * times.validation_s) / pace)
    if steps < 1:
        raise InputError(
            f"A step takes {pace:.2g} s and a validation {times.validation_s:.2g} s here, so nothing can be trained in "
            f"{budget_s / 60:g} minutes; allow more time, or lower batch_size."
        )
    changes = changed()
    reason = (
        f"fits {budget_s / 60:g} minutes: a step takes {pace:.2g} s, a validation {times.validation_s:.2g} s, and all "
        f"{epochs} epochs would take {wanted / 60:.0f} minutes"
    )
    return changes, reason
