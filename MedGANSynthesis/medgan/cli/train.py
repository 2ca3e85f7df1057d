"""``medgan train``: train a generator from a dataset folder."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, sentence
from ..processes import leads
from .console import note
from .settings import add_settings, minutes, model_name
from .training_plan import Wanted, check, settle

if TYPE_CHECKING:
    from ..recipes.base import Recipe
    from ..run_watch import RunRecorder

_EXAMPLES = """\
examples:
  medgan train denoise-ct my_dataset my_model
  medgan train denoise-ct my_dataset my_model --preset published --device cuda
  medgan train denoise-ct my_dataset my_model --set base_width=32 --set epochs=20
  medgan train denoise-ct my_dataset my_model --minutes 30 --tensorboard
  medgan train denoise-ct --parameters
  medgan train denoise-ct my_dataset my_model --start-from denoise-ct-chest
  medgan train --package package.zip my_model
  torchrun --nproc-per-node 4 -m medgan train denoise-ct my_dataset my_model

OUT receives plan.json (every setting and its reason), curves.png and samples.png (drawn anew after every epoch),
history.json, steps.jsonl, status.json, sample/, checkpoints, and at the end the model as bundle/.
A run that was stopped goes on where it was when the same command is given again; --no-resume starts over.
medgan runs lists the trainings on this computer, pauses and stops them.
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
    places = [
        parser.add_argument("task", metavar="TASK", help="what to train, such as denoise-ct"),
        parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder with the training images"),
        parser.add_argument("out", metavar="OUT", type=Path, help="folder for checkpoints, curves and the model"),
    ]
    add_settings(parser)
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="go on with a stopped run (default: yes)"
    )
    parser.add_argument("--plan", metavar="FILE", type=Path, help="take the settings of a plan.json as they are")
    parser.add_argument(
        "--package",
        metavar=("ZIP", "OUT"),
        nargs=2,
        type=Path,
        action=_TakePackage,
        places=places,
        help="train what a package holds (see medgan package), in place of TASK DATASET OUT",
    )
    parser.add_argument("--minutes", type=minutes, help="shorten the schedule so that the training takes so long here")
    parser.add_argument("--name", type=model_name, help="name of the model (default: task and preset)")
    parser.add_argument("--tensorboard", action="store_true", help="write a log for TensorBoard to OUT/tensorboard")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(run=run)


class _TakePackage(argparse.Action):
    """``--package ZIP OUT``, which says by itself what is to be trained on what and where."""

    def __init__(self, *arguments: Any, places: list[argparse.Action], **options: Any):
        super().__init__(*arguments, **options)
        self._places = places

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        if getattr(namespace, "task", None) is not None:
            parser.error("--package ZIP OUT takes the place of TASK DATASET OUT")
        namespace.package, namespace.out = values
        for place in self._places:
            place.required = False


def run(arguments: argparse.Namespace) -> None:
    """Train; the recipe itself checks its parameters."""
    quiet = arguments.quiet or not leads()
    wanted = _wanted(arguments, quiet)
    from ..trainer import train

    try:
        with _interruptible() as stops, _recorder(arguments, wanted) as recorder:
            recipe = settle(arguments, wanted, None if recorder is None else recorder.say, quiet)
            with _watchers(arguments, recipe, quiet) as watchers:
                bundle = train(
                    recipe,
                    wanted.dataset,
                    arguments.out,
                    resume=arguments.resume,
                    device=arguments.device,
                    progress=None if recorder is None else recorder.progress,
                    name=arguments.name,
                    watchers=[*watchers, stops, *([] if recorder is None else [recorder])],
                    start_from=arguments.start_from,
                )
    except (KeyboardInterrupt, Cancelled) as stop:
        raise Cancelled(_how_to_go_on(arguments.out)) from stop
    note(f"the model is in {bundle.path}; try it with: medgan apply {bundle.path} INPUT OUTPUT", quiet)


def _wanted(arguments: argparse.Namespace, quiet: bool) -> Wanted:
    """What is asked for; what cannot be is refused, and a run that was to go on with it says so in its status."""
    from ..device import require_torch

    try:
        if arguments.package is not None:
            _unpack(arguments, quiet)
        wanted = check(arguments)
        require_torch()
        return wanted
    except Exception as error:
        if leads():
            from ..run_watch import note_refusal

            note_refusal(arguments.out, sentence(error))
        raise


def _unpack(arguments: argparse.Namespace, quiet: bool) -> None:
    """Fill in task, dataset and plan from a package, which is unpacked once."""
    from ..package import import_package

    note(f"unpacking {arguments.package}", quiet)
    package = import_package(arguments.package, arguments.out / "package")
    arguments.task, arguments.dataset = package.task, package.dataset
    arguments.plan = arguments.plan or package.plan


@contextlib.contextmanager
def _recorder(arguments: argparse.Namespace, wanted: Wanted) -> Iterator[RunRecorder | None]:
    """Who keeps the folder of the run up to date; in the first process only."""
    if not leads():
        yield None
        return
    from ..run_request import Request
    from ..run_watch import RunRecorder

    request = Request(
        arguments.task,
        str(arguments.dataset.resolve()),
        arguments.preset or "",
        arguments.device,
        wanted.overrides,
        "" if arguments.plan is None else str(arguments.plan.resolve()),
        arguments.start_from or "",
        arguments.name or "",
        arguments.minutes or 0.0,
    )
    with RunRecorder(arguments.out, request) as recorder:
        yield recorder


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

    asking = [number for number in (signal.SIGINT, signal.SIGTERM) if _interrupts(number)]
    for number in asking:
        signal.signal(number, remember)
    try:
        yield watch
    finally:
        for number in asking:
            signal.signal(number, signal.default_int_handler)


def _interrupts(number: int) -> bool:
    """Whether a signal comes as KeyboardInterrupt, and this thread may change that."""
    usual = signal.getsignal(number) is signal.default_int_handler
    return usual and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _watchers(arguments: argparse.Namespace, recipe: Recipe, quiet: bool) -> Iterator[list[Any]]:
    """Who watches: the terminal, the pictures, the TensorBoard log; only in the first process."""
    if not leads():
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


def _how_to_go_on(out: Path) -> str:
    if (out / "checkpoint.pt").exists():
        return "Cancelled; the same command goes on from the last checkpoint."
    return "Cancelled before the first checkpoint; the same command starts again."
