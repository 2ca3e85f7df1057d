"""``medgan train``: train a generator from a dataset folder."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, InputError
from .console import note

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..plan import Plan
    from ..recipes.base import Recipe

_EXAMPLES = """\
examples:
  medgan train denoise-ct my_dataset my_model
  medgan train denoise-ct my_dataset my_model --preset published --device cuda
  medgan train denoise-ct my_dataset my_model --set base_width=32 --set epochs=20
  medgan train denoise-ct my_dataset my_model --minutes 30 --tensorboard
  medgan train denoise-ct --parameters
  torchrun --nproc-per-node 4 -m medgan train denoise-ct my_dataset my_model

OUT receives plan.json (every setting and its reason), curves.png and samples.png (drawn anew after every epoch),
history.json, checkpoints, and at the end the model as bundle/.
A run that was stopped goes on where it was when the same command is given again; --no-resume starts over.
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "train",
        help="train a model from a dataset folder",
        description="Train a generator for TASK on the images in DATASET and write it as a model folder to OUT. Patch "
        "size, batch and length are fitted to the images and the machine; what --set says stands.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", metavar="TASK", help="what to train, such as denoise-ct")
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder with the training images")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for checkpoints, curves and the finished model")
    parser.add_argument("--preset", help="recommended (default), or published as in the paper")
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="go on with a stopped run (default: yes)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        dest="settings",
        action="append",
        default=[],
        help="change a parameter of the recipe; may be repeated",
    )
    parser.add_argument("--plan", metavar="FILE", type=Path, help="take the settings of a plan.json as they are")
    parser.add_argument("--minutes", type=_minutes, help="shorten the schedule so that the training takes so long here")
    parser.add_argument("--name", type=_name, help="name of the model (default: task and preset)")
    parser.add_argument("--tensorboard", action="store_true", help="write a log for TensorBoard to OUT/tensorboard")
    parser.add_argument(
        "--parameters",
        metavar="TASK",
        nargs="?",
        action=_ShowParameters,
        help="print the parameters of a task for --set, and exit",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(run=run)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no length of time in minutes")
    return minutes


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w .+-]*", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no name for a model; use letters, digits, blanks and . + - _")
    return text


class _ShowParameters(argparse.Action):
    """Print the parameters of a task, as its recipe describes them, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        from .. import recipes

        task = values or getattr(namespace, "task", None)
        if task is None:
            parser.error("--parameters needs a task, such as denoise-ct")
        for field in dataclasses.fields(recipes.recipe_class(task)):
            facts = field.metadata
            if "label" in facts:
                unit = f" {facts['unit']}" if facts["unit"] else ""
                print(f"{field.name}={field.default}{unit}  {_allowed(facts)}\n    {facts['label']}: {facts['help']}")
        parser.exit()


def _allowed(facts: Mapping[str, Any]) -> str:
    if facts["choices"]:
        return f"[{', '.join(map(str, facts['choices']))}]"
    limits = [
        f"{word} {facts[end]:g}" for word, end in (("from", "minimum"), ("to", "maximum")) if facts[end] is not None
    ]
    return f"[{' '.join(limits)}]" if limits else ""


def run(arguments: argparse.Namespace) -> None:
    """Train; the recipe itself checks its parameters."""
    from .. import recipes
    from ..parameters import from_text

    texts = dict(split_parameter(text) for text in arguments.settings)
    recipe_class = recipes.recipe_class(arguments.task)
    overrides = from_text(recipe_class, texts)
    recipe_class.from_preset(arguments.preset or "recommended", **overrides)  # before anything is read
    if not arguments.dataset.is_dir():
        raise InputError(f"There is no dataset folder {arguments.dataset}.")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise InputError(f"{arguments.out} is a file; give a folder to train in.")
    if arguments.tensorboard:
        from ..tensorboard_log import require_tensorboard

        require_tensorboard()
    from ..dataset import Dataset
    from ..trainer import train

    dataset = Dataset.load(arguments.dataset)
    if dataset.task != recipe_class.TASK:
        raise InputError(f"The dataset was made for the task {dataset.task}, not {recipe_class.TASK}; choose one.")
    quiet = arguments.quiet or not _leads()
    try:
        recipe = _settle(arguments, recipe_class, dataset, overrides, quiet)
        with _interruptible() as stops, _watchers(arguments, recipe, quiet) as watchers:
            bundle = train(
                recipe,
                dataset,
                arguments.out,
                resume=arguments.resume,
                device=arguments.device,
                name=arguments.name,
                watchers=[*watchers, stops],
            )
    except KeyboardInterrupt as stop:
        raise Cancelled(_how_to_go_on(arguments.out)) from stop
    note(f"the model is in {bundle.path}; try it with: medgan apply {bundle.path} INPUT OUTPUT", quiet)


def _settle(
    arguments: argparse.Namespace, recipe_class: type[Recipe], dataset: Dataset, overrides: dict[str, Any], quiet: bool
) -> Recipe:
    """The recipe to train: of the run that goes on, of a given plan, or of a new one; written to ``plan.json``."""
    from ..plan import BY_USER, Plan

    path, preset = arguments.out / "plan.json", arguments.preset
    given = None if arguments.plan is None else Plan.load(arguments.plan).changed(overrides)
    if given is not None and arguments.task != given.recipe.TASK:
        raise InputError(f"The plan {arguments.plan} is for {given.recipe.TASK}, not {arguments.task}; choose one.")
    if arguments.resume and (arguments.out / "checkpoint.pt").exists():
        if not path.exists():  # begun from Python, without a plan
            return recipe_class.from_preset(preset or "recommended", **overrides)
        wanted = overrides if given is None else given.recipe.to_dict()
        plan = Plan.load(path).resumed(dataset, preset, wanted)
    else:
        plan = given or _new_plan(arguments, recipe_class, dataset, overrides, quiet)
        for decision in plan.decisions:
            if decision["reason"] != BY_USER:
                note("plan: {parameter} = {value} ({reason})".format(**decision), quiet)
    if _leads():
        plan.save(path)
    return plan.recipe


def _new_plan(
    arguments: argparse.Namespace, recipe_class: type[Recipe], dataset: Dataset, overrides: dict[str, Any], quiet: bool
) -> Plan:
    from ..device import choose_device, require_torch
    from ..plan import make_plan

    require_torch()
    if arguments.minutes is not None and _processes() > 1:
        raise InputError("--minutes measures one process; under torchrun set epochs and steps_per_epoch instead.")
    note("reading the training images and planning", quiet)
    return make_plan(
        recipe_class,
        dataset,
        arguments.preset or "recommended",
        overrides,
        choose_device(arguments.device),
        _processes(),
        arguments.minutes,
    )


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[Any], None]]:
    """A watcher that stops the training after a Ctrl-C that came where Python drops exceptions, as in a finalizer."""
    asked = []

    def remember(number: int, frame: Any) -> None:
        asked.append(number)
        signal.default_int_handler(number, frame)

    def watch(event: Any) -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    usual = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if usual:
        signal.signal(signal.SIGINT, remember)
    try:
        yield watch
    finally:
        if usual:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _watchers(arguments: argparse.Namespace, recipe: Recipe, quiet: bool) -> Iterator[list[Any]]:
    """Who watches: the terminal, the pictures, the TensorBoard log; only in the first process."""
    if not _leads():
        yield []
        return
    from ..training_console import TrainingConsole
    from ..training_figures import TrainingPictures

    with contextlib.ExitStack() as stack:
        watchers: list[Any] = [
            TrainingPictures(arguments.out, f"{recipe.TASK}, {recipe.preset}"),
            stack.enter_context(TrainingConsole(quiet)),
        ]
        if arguments.tensorboard:
            from ..tensorboard_log import TensorBoardLog

            watchers.append(stack.enter_context(contextlib.closing(TensorBoardLog(arguments.out / "tensorboard"))))
        yield watchers


def _leads() -> bool:
    """Whether this is the first process of those that ``torchrun`` started, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _how_to_go_on(out: Path) -> str:
    if (out / "checkpoint.pt").exists():
        return "Cancelled; the same command goes on from the last checkpoint."
    return "Cancelled before the first checkpoint; the same command starts again."


def split_parameter(text: str) -> tuple[str, str]:
    """Name and value of ``name=value``; ``base-width`` is understood as ``base_width``.

    >>> split_parameter("base-width=32")
    ('base_width', '32')
    """
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name.isidentifier():
        raise InputError(f"--set {text} is not understood; write it as --set name=value.")
    return name, value.strip()
