"""Parameters of a recipe on the command line: ``--set``, ``--preset`` and the list of what can be set."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..run_request import NAME

if TYPE_CHECKING:
    from ..recipes.base import Recipe


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options by which a recipe is chosen and changed, and the device it is for."""
    parser.add_argument("--preset", help="recommended (default), or published as in the paper")
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
        "--start-from", metavar="MODEL", help="go on from a trained model (fine-tuning): its folder, or its name"
    )
    parser.add_argument(
        "--parameters",
        metavar="TASK",
        nargs="?",
        action=_ShowParameters,
        help="print the parameters of a task for --set, and exit",
    )


def minutes(text: str) -> float:
    """Type of ``--minutes``."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no length of time in minutes")
    return value


def model_name(text: str) -> str:
    """Type of ``--name``."""
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(f"'{text}' is no name for a model; use letters, digits, blanks and . + - _")
    return text


def overrides_of(recipe_class: type[Recipe], settings: list[str], preset: str | None) -> dict[str, Any]:
    """The values of ``--set``, checked by the recipe itself before anything is read.

    Raises:
        InputError: a name, value or preset is unknown or out of range.
    """
    from ..parameters import from_text

    overrides = from_text(recipe_class, dict(split_parameter(text) for text in settings))
    recipe_class.from_preset(preset or "recommended", **overrides)
    return overrides


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
