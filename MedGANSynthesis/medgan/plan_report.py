"""What ``medgan plan --json`` prints, as values to show; read in Slicer's process, so without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError


@dataclass(frozen=True)
class PlannedParameter:
    """One parameter of a recipe and what it is in a plan.

    Args:
        name: of the parameter. value: planned. default: of the recipe.
        reason: why it is so: of the data, the machine or the user; "" for the preset's own value.
        label, help, unit, minimum, maximum, choices: see :func:`medgan.parameters.parameter`.
    """

    name: str
    value: Any
    default: Any
    reason: str
    label: str
    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple = ()


@dataclass(frozen=True)
class PlanReport:
    """A plan with what it takes on a machine.

    Args:
        task, preset: of the recipe. device: where it was measured.
        parameters: all of the recipe's.
        notes: ``{"parameter", "value", "reason"}`` of what the engine decides that is no parameter (device, where the
            images are held).
        fingerprint: of the dataset, see :func:`medgan.fingerprint.fingerprint`.
        seconds_per_epoch: steps and validation, measured; of the slower phase, with the discriminator.
        total_s: of the whole training.
        memory_bytes: most that the steps took on the device (of the machine, for the CPU).
        free_bytes: what may be used there.
        plan: as ``plan.json`` holds it; write it to a file to train with exactly this.
    """

    task: str
    preset: str
    device: str
    parameters: tuple[PlannedParameter, ...]
    notes: tuple[Mapping[str, Any], ...]
    fingerprint: Mapping[str, Any] = field(hash=False)
    seconds_per_epoch: float = 0.0
    total_s: float = 0.0
    memory_bytes: int = 0
    free_bytes: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def value(self, name: str) -> Any:
        """The planned value of a parameter."""
        return next(one.value for one in self.parameters if one.name == name)

    @classmethod
    def parse(cls, text: str) -> PlanReport:
        """Read the output of ``medgan plan --json``.

        Raises:
            InputError: it is something else.
        """
        try:
            content = json.loads(text)
            planned = [PlannedParameter(**{**one, "choices": tuple(one["choices"])}) for one in content["parameters"]]
            return cls(**{**content, "parameters": tuple(planned), "notes": tuple(content["notes"])})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"The engine's plan cannot be read ({error}); plan again.") from error
