"""``medgan train``: train a generator from a dataset folder."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Cancelled, InputError
from .console import Progress, note

_EXAMPLES = """\
examples:
  medgan train denoise-ct my_dataset my_model
  medgan train denoise-ct my_dataset my_model --preset published --device cuda
  medgan train --parameters denoise-ct
  medgan train denoise-ct my_dataset my_model --set base_width=32 --set epochs=20

A run that was stopped goes on where it was when the same command is given again; --no-resume starts over.
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "train",
        help="train a model from a dataset folder",
        description="Train a generator for TASK on the images in DATASET and write it as a model folder to OUT.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", metavar="TASK", help="what to train, such as denoise-ct")
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder with the training images")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for checkpoints, curves and the finished model")
    parser.add_argument("--preset", default="recommended", help="recommended (default), or published as in the paper")
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
    parser.add_argument(
        "--parameters",
        metavar="TASK",
        action=_ShowParameters,
        help="print the parameters of a task for --set, and exit",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(run=run)


class _ShowParameters(argparse.Action):
    """Print the parameters of a task, as its recipe describes them, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        from .. import recipes

        for field in dataclasses.fields(recipes.recipe_class(values)):
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
    texts = dict(split_parameter(text) for text in arguments.settings)
    from .. import recipes
    from ..parameters import from_text
    from ..trainer import train

    overrides = from_text(recipes.recipe_class(arguments.task), texts)
    recipe = recipes.get(arguments.task, preset=arguments.preset, **overrides)
    if not arguments.dataset.is_dir():
        raise InputError(f"There is no dataset folder {arguments.dataset}.")
    try:
        with Progress(arguments.quiet) as progress:
            bundle = train(
                recipe,
                arguments.dataset,
                arguments.out,
                resume=arguments.resume,
                device=arguments.device,
                progress=progress,
            )
    except KeyboardInterrupt as stop:
        raise Cancelled("Cancelled; the same command goes on from the last checkpoint.") from stop
    note(f"the model is in {bundle.path}; try it with: medgan apply {bundle.path} INPUT OUTPUT", arguments.quiet)


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
