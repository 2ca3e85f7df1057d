"""What ``medgan train`` is asked for, checked before anything is written, and the plan it comes to."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..processes import leads, processes
from .console import note
from .settings import overrides_of

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..plan import Plan
    from ..recipes.base import Recipe


@dataclass(frozen=True)
class Wanted:
    """A training that can be done.

    Args:
        recipe_class: of the task. dataset: to train on. overrides: parameters that stand.
        plan: of the run that goes on, or the one that was given; None where one is to be made.
    """

    recipe_class: type[Recipe]
    dataset: Dataset
    overrides: dict[str, Any]
    plan: Plan | None


def check(arguments: argparse.Namespace) -> Wanted:
    """Refuse what cannot be done.

    Raises:
        InputError: parameters, dataset, folder or plan cannot be used, or not to go on with the run in the folder.
    """
    from .. import recipes
    from ..dataset import Dataset

    recipe_class = recipes.recipe_class(arguments.task)
    overrides = overrides_of(recipe_class, arguments.settings, arguments.preset)
    if not arguments.dataset.is_dir():
        raise InputError(f"There is no dataset folder {arguments.dataset}; was it moved?")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise InputError(f"{arguments.out} is a file; give a folder to train in.")
    if arguments.tensorboard:
        from ..tensorboard_log import require_tensorboard

        require_tensorboard()
    dataset = Dataset.load(arguments.dataset)
    if dataset.task != recipe_class.TASK:
        raise InputError(f"The dataset was made for the task {dataset.task}, not {recipe_class.TASK}; choose one.")
    return Wanted(recipe_class, dataset, overrides, _known_plan(arguments, recipe_class, dataset, overrides))


def settle(arguments: argparse.Namespace, wanted: Wanted, say: Callable[[str], None] | None, quiet: bool) -> Recipe:
    """The recipe to train: of the plan there is, or of a new one; written to ``plan.json``.

    Args:
        say: called with what is done, in the first process only.
    """
    from ..dataset_check import check_content
    from ..plan import BY_USER

    if _goes_on(arguments) and say is not None:
        check_content(wanted.dataset, lambda share, message: say(message))
    plan = wanted.plan or _new_plan(arguments, wanted, say, quiet)
    if not _goes_on(arguments):
        for decision in plan.decisions:
            if decision["reason"] != BY_USER:
                note("plan: {parameter} = {value} ({reason})".format(**decision), quiet)
    if leads() and plan.fingerprint:
        plan.save(arguments.out / "plan.json")
    return plan.recipe


def _known_plan(
    arguments: argparse.Namespace, recipe_class: type[Recipe], dataset: Dataset, overrides: dict[str, Any]
) -> Plan | None:
    """The plan of the run that goes on, or the one that is given."""
    from ..plan import Plan

    given = None if arguments.plan is None else Plan.load(arguments.plan).changed(overrides)
    if given is not None and arguments.task != given.recipe.TASK:
        raise InputError(f"The plan {arguments.plan} is for {given.recipe.TASK}, not {arguments.task}; choose one.")
    path = arguments.out / "plan.json"
    if not _goes_on(arguments):
        return given
    if not path.exists():  # begun from Python, without a plan
        return given or Plan(recipe_class.from_preset(arguments.preset or "recommended", **overrides), {}, [])
    return Plan.load(path).resumed(dataset, arguments.preset, overrides if given is None else given.recipe.to_dict())


def _new_plan(arguments: argparse.Namespace, wanted: Wanted, say: Callable[[str], None] | None, quiet: bool) -> Plan:
    from ..device import choose_device, require_torch
    from ..fine_tuning import inherited
    from ..plan import make_plan

    require_torch()
    if arguments.minutes is not None and processes() > 1:
        raise InputError("--minutes measures one process; under torchrun set epochs and steps_per_epoch instead.")
    note("reading the training images and planning", quiet)
    if say is not None:
        say("Reading the training images and planning")
    start = arguments.start_from
    return make_plan(
        wanted.recipe_class,
        wanted.dataset,
        arguments.preset or "recommended",
        wanted.overrides,
        choose_device(arguments.device),
        processes(),
        arguments.minutes,
        {} if start is None else inherited(start, wanted.recipe_class.TASK),
    )


def _goes_on(arguments: argparse.Namespace) -> bool:
    """Whether there is a run in the folder that is to be continued."""
    return arguments.resume and (arguments.out / "checkpoint.pt").exists()
