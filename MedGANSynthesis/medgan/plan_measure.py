"""A plan with what it takes on this machine: seconds and memory, measured on a few of its own steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .dataset import Dataset
from .plan_report import PlannedParameter, PlanReport

if TYPE_CHECKING:
    from .plan import Plan

Progress = Callable[[float, str], None]


def plan_report(
    plan: Plan, dataset: Dataset, device: Any, progress: Progress = lambda fraction, text: None
) -> PlanReport:
    """Take a few steps of a plan, throw them away, and report.

    Args:
        plan: of the dataset. device: torch device. progress: called with (fraction, message).

    Raises:
        OutOfMemory: not even the planned step fits.
    """
    from . import training_memory, training_time
    from .memory import free_bytes

    recipe = plan.recipe
    available = free_bytes(device)
    progress(0.4, "Measuring a few steps")
    training_memory.forget_peak(device)
    times = training_time.measure(recipe, dataset, device)
    adversarial = recipe.weight_adversarial > 0 and recipe.adversarial_start < recipe.epochs
    step_s = times.adversarial_s if adversarial else times.regression_s
    progress(1.0, "Done")
    return PlanReport(
        task=recipe.TASK,
        preset=recipe.preset,
        device=str(device),
        parameters=planned_parameters(plan),
        notes=tuple(one for one in plan.decisions if one["parameter"] not in recipe.to_dict()),
        fingerprint=plan.fingerprint,
        seconds_per_epoch=recipe.steps_per_epoch * step_s + times.validation_s,
        total_s=training_time.planned_s(recipe, times),
        memory_bytes=training_memory.peak_bytes(device),
        free_bytes=available,
        plan=plan.to_dict(),
    )


def planned_parameters(plan: Plan) -> tuple[PlannedParameter, ...]:
    """Every parameter of a plan's recipe with its value and the reason of it."""
    recipe, reasons = plan.recipe, {one["parameter"]: one["reason"] for one in plan.decisions}
    preset = type(recipe).from_preset(recipe.preset)
    return tuple(
        PlannedParameter(
            field.name,
            getattr(recipe, field.name),
            getattr(preset, field.name),
            reasons.get(field.name, ""),
            **{name: field.metadata[name] for name in ("label", "help", "unit", "minimum", "maximum", "choices")},
        )
        for field in dataclasses.fields(recipe)
        if "label" in field.metadata
    )
