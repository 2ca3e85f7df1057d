"""Validation of a training: the averaged generator on cases it does not learn from, and the best epoch so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from . import checkpoint

if TYPE_CHECKING:
    from .dataset import Case
    from .trainer import Trainer


def validate(trainer: Trainer) -> dict[str, float]:
    """Metrics of the averaged generator on the validation split, beside those of the baseline; saves the best."""
    cases = trainer.dataset.split("validation")
    if not cases:
        return {}
    means: dict[str, float] = {}
    if trainer.leads:
        rows = evaluate(trainer, trainer.averaged_generator(), cases)
        keys = [key for key, value in rows[0].items() if isinstance(value, float)] if rows else []  # all unpaired
        for key in keys:
            known = [row[key] for row in rows if math.isfinite(row.get(key, math.nan))]
            means[f"validation_{key}"] = sum(known) / len(known) if known else math.nan
    means = trainer.fabric.broadcast(means)  # all processes have to agree on schedule and end
    score = means.get(f"validation_{trainer.recipe.SCORE}")
    if score is not None and score > trainer.best.get("score", -math.inf):
        trainer.best = {"epoch": trainer.epoch + 1, "score": score}
        if trainer.leads:
            checkpoint.save_best(trainer)
    return means


def evaluate(trainer: Trainer, generator: Any, cases: list[Case]) -> list[dict[str, Any]]:
    """A row per case, see :func:`medgan.evaluation.evaluate_generator`."""
    from .evaluation import evaluate_generator

    recipe, rows = trainer.recipe, []
    scale, target, device = recipe.source_scale(), recipe.target(), str(trainer.device)
    for number, case in enumerate(cases):
        trainer.audience.say(f"Validating case {number + 1} of {len(cases)}")
        rows += evaluate_generator(generator, trainer.spec, scale, target, trainer.dataset, [case], device)
    return rows
