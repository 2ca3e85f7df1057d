"""Plan: the settings of a training, made from a fingerprint of the data and the machine, and the reason of each.

After nnU-Net (Isensee et al. 2021): what the data and the memory decide is decided by rules, what does not depend on
them is the preset's, and what the user sets stands. ``plan.json`` says all of it, and is what a resumed run uses.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import recipes
from .checkpoint import MAY_CHANGE
from .dataset import Dataset
from .errors import InputError, MedGANError
from .files import write_json
from .fingerprint import case_list, fingerprint
from .patch_size import common_extent, limited, size_parameters
from .recipes.base import Recipe

SCHEMA = 1
BY_USER = "set by the user"
OF_START = "as in the model it starts from"
_SHORTEST, _LONGEST = 0.5, 4.0  # times the preset's steps per epoch: a tuned schedule is stretched, not replaced
_SMALLEST_PATCH = 16


@dataclass(frozen=True)
class Plan:
    """What a training is going to do.

    Args:
        recipe: with every parameter settled.
        fingerprint: of the dataset it was made for, see :func:`medgan.fingerprint.fingerprint`.
        decisions: ``{"parameter": ..., "value": ..., "reason": ...}`` of what is not simply the preset's.
    """

    recipe: Recipe
    fingerprint: dict[str, Any]
    decisions: list[dict[str, Any]]

    def save(self, path: str | Path) -> None:
        """Write it as readable JSON, all or nothing."""
        write_json(Path(path), self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """What ``plan.json`` holds."""
        return {
            "schema": SCHEMA,
            "task": self.recipe.TASK,
            "decisions": self.decisions,
            "dataset": self.fingerprint,
            "recipe": self.recipe.to_dict(),
        }

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read what :meth:`save` wrote; its numbers may have been edited.

        Raises:
            InputError: there is no such file, it is damaged or newer, or a parameter is out of range.
        """
        path = Path(path)
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")), str(path))
        except OSError as error:
            raise InputError(f"The plan {path} cannot be read ({error.strerror}).") from error
        except ValueError as error:
            raise InputError(f"{path} is no plan of a training ({error}); make a new one without it.") from error

    @classmethod
    def from_dict(cls, content: Any, source: str = "This") -> Plan:
        """From :meth:`to_dict`; ``source`` is what an error calls it.

        Raises:
            InputError: see :meth:`load`.
        """
        try:
            if int(content["schema"]) > SCHEMA:
                raise InputError(f"{source} was made by a newer MedGAN; update MedGAN to use it.")
            recipe = recipes.recipe_class(content["task"]).from_dict(content["recipe"])
            return cls(recipe, dict(content["dataset"]), list(content["decisions"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{source} is no plan of a training ({error}); make a new one without it.") from error
        except MedGANError as error:
            raise error if str(error).startswith(source) else InputError(f"{source}: {error}") from error

    def changed(self, overrides: dict[str, Any], reason: str = BY_USER) -> Plan:
        """The plan with some parameters replaced and marked so."""
        if not overrides:
            return self
        values = self.recipe.to_dict() | overrides
        kept = [decision for decision in self.decisions if decision["parameter"] not in overrides]
        added = [_decision(name, value, reason) for name, value in overrides.items()]
        return Plan(type(self.recipe).from_dict(values), self.fingerprint, kept + added)

    def is_for(self, dataset: Dataset) -> bool:
        """Whether it was made for these very cases."""
        return self.fingerprint.get("case_list") == case_list(dataset)

    def resumed(self, dataset: Dataset, preset: str | None, overrides: dict[str, Any]) -> Plan:
        """The plan to go on with; ``epochs`` and ``patience`` may differ from before.

        Raises:
            InputError: the dataset is another, or a setting that cannot change differs, naming it.
        """
        if not self.is_for(dataset):
            raise InputError(
                f"The cases of {dataset.folder} are not those that the training began with; go on with the dataset as "
                "it was, or start anew (--no-resume, or another folder)."
            )
        before = self.recipe.to_dict()
        wanted = {} if preset is None else {"preset": preset}
        for name, value in (wanted | overrides).items():
            if before.get(name) != value and name not in MAY_CHANGE:
                raise InputError(
                    f"The training began with {name}={before.get(name)}, so it cannot go on with {name}={value}; leave "
                    "that out, or start anew (--no-resume, or another folder)."
                )
        return self.changed({name: value for name, value in overrides.items() if before[name] != value})


def make_plan(
    recipe_class: type[Recipe],
    dataset: Dataset,
    preset: str = "recommended",
    overrides: dict[str, Any] | None = None,
    device: Any = "cpu",
    processes: int = 1,
    minutes: float | None = None,
    inherited: dict[str, Any] | None = None,
) -> Plan:
    """Settle the parameters of a training.

    Args:
        recipe_class: see :func:`medgan.recipes.recipe_class`.
        dataset: its training images are read once.
        preset: what the plan starts from.
        overrides: parameters that stand whatever the data says.
        device: torch device, or its name; its free memory limits the batch.
        processes: how many such devices train together.
        minutes: time the whole training may take on this machine; steps are measured for it. None for as long as the
            preset takes.
        inherited: parameters of the generator it starts from, see :func:`medgan.fine_tuning.inherited`; they stand,
            unless ``overrides`` says otherwise.

    Raises:
        InputError: a parameter or an image cannot be used.
    """
    reasons = dict.fromkeys(inherited or {}, OF_START) | dict.fromkeys(overrides or {}, BY_USER)
    overrides = {**(inherited or {}), **(overrides or {})}
    recipe = recipe_class.from_preset(preset, **overrides)
    facts = fingerprint(dataset, recipe)
    plan = Plan(recipe, facts, [_decision(name, value, reasons[name]) for name, value in overrides.items()])
    plan = _fit_patch(plan, overrides)
    plan = _fit_memory(plan, overrides, device)
    plan = _fit_steps(plan, overrides, processes)
    if minutes is not None:
        from . import training_time

        times = training_time.measure(plan.recipe, dataset, device)
        changes, reason = training_time.fit(plan.recipe, times, 60.0 * minutes, overrides)
        plan = plan.changed(changes, reason)
    return Plan(plan.recipe, facts, [*plan.decisions, *_machine(plan, device, processes)])


def _fit_patch(plan: Plan, overrides: dict[str, Any]) -> Plan:
    """No larger than the smallest image, in the network's steps."""
    spec, smallest = plan.recipe.network_spec(), plan.fingerprint["smallest"]
    room = [common_extent(axis, smallest[::-1], spec) for axis in range(3)]
    for name, axes in size_parameters(plan.recipe).items():
        value, fits = getattr(plan.recipe, name), limited(plan.recipe, name, axes, room)
        if name in overrides or fits in (value, None):
            continue  # what does not fit is said by the sampler, with the case's name
        extent = "x".join(map(str, smallest))
        plan = plan.changed({name: fits}, f"the smallest training image is {extent} voxels, the preset has {value}")
    return plan


def _fit_memory(plan: Plan, overrides: dict[str, Any], device: Any) -> Plan:
    """The preset's batch if the device has room for it, else half of it, and so on; then smaller patches."""
    from .memory import MARGIN, free_bytes
    from .training_memory import step_bytes

    room = free_bytes(device) * (1 - MARGIN)
    recipe, reductions = plan.recipe, {}
    try:
        first = need = step_bytes(recipe, recipe.batch_size)
        while need > room and (smaller := _smaller(recipe, overrides)):
            reductions |= smaller
            recipe = dataclasses.replace(recipe, **smaller)
            need = step_bytes(recipe, recipe.batch_size)
    except MedGANError:
        raise
    except Exception as error:  # an objective that needs more than shapes: no estimate, which is no reason to stop
        reason = f"not compared with the memory, which cannot be estimated here ({type(error).__name__})"
        return _noted(plan, "batch_size", recipe.batch_size, reason, overrides)
    if not reductions:
        reason = f"a step takes about {_size(need)} of the {_size(room)} that may be used"
        return _noted(plan, "batch_size", recipe.batch_size, reason, overrides)
    reason = f"a step would take about {_size(first)}, and {_size(room)} may be used; it now takes {_size(need)}"
    return plan.changed(reductions, reason)


def _smaller(recipe: Recipe, overrides: dict[str, Any]) -> dict[str, Any]:
    """The next reduction: half the batch, or at one patch half the longest free side of it; {} if nothing is left."""
    if recipe.batch_size > 1 and "batch_size" not in overrides:
        return {"batch_size": recipe.batch_size // 2}
    shape = recipe.patch_shape()
    half = [max(size // 2, min(size, _SMALLEST_PATCH)) for size in shape]
    free = {name: axes for name, axes in size_parameters(recipe).items() if name not in overrides}
    for name, axes in sorted(free.items(), key=lambda item: -max(shape[axis] for axis in item[1])):
        value = limited(recipe, name, axes, half)
        if value not in (getattr(recipe, name), None):
            return {name: value}
    return {}


def _fit_steps(plan: Plan, overrides: dict[str, Any], processes: int) -> Plan:
    """An epoch goes about once through the data, within what the preset's schedule bears."""
    recipe = plan.recipe
    patches = plan.fingerprint["voxels"] / math.prod(recipe.patch_shape())
    once = patches / (recipe.batch_size * processes)
    steps = round(min(max(once, _SHORTEST * recipe.steps_per_epoch), _LONGEST * recipe.steps_per_epoch))
    if "steps_per_epoch" in overrides or steps == recipe.steps_per_epoch:
        return plan
    reason = (
        f"{patches:.0f} patches fill the training images, {once:.0f} steps go through them once; "
        f"the preset has {recipe.steps_per_epoch}, which is changed {_SHORTEST:g} to {_LONGEST:g} fold at most"
    )
    return plan.changed({"steps_per_epoch": max(1, steps)}, reason)


def _machine(plan: Plan, device: Any, processes: int) -> list[dict[str, Any]]:
    """What the engine itself decides on this machine, for the record."""
    from .device import choose_device
    from .memory import free_bytes
    from .processes import native_precision

    device, size = choose_device(str(device)), plan.fingerprint["bytes"]
    fits = device.type == "cpu" or size < free_bytes(device) // 4
    where = f"on {device}" if fits else "on the host, copied patch by patch"
    decisions = [
        _decision("device", str(device), "one process" if processes == 1 else f"each of {processes} processes"),
        _decision("images", where, f"{_size(size)} of training images, held once per process"),
    ]
    if plan.recipe.precision == "auto":
        decisions.append(_decision("precision", native_precision(device), f"what {device} computes natively"))
    return decisions


def _noted(plan: Plan, name: str, value: Any, reason: str, overrides: dict[str, Any]) -> Plan:
    if name in overrides:
        return plan
    return Plan(plan.recipe, plan.fingerprint, [*plan.decisions, _decision(name, value, reason)])


def _decision(parameter: str, value: Any, reason: str) -> dict[str, Any]:
    return {"parameter": parameter, "value": value, "reason": reason}


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
