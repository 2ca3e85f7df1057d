"""Recipes: everything needed to train one kind of generator, in a faithful and in a recommended preset."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import InputError
from .base import Recipe

_RECIPES = {
    "contrast-ct": ("contrast_ct", "ContrastCT"),
    "denoise-ct": ("denoise_ct", "DenoiseCT"),
    "mr-to-ct": ("mr_to_ct", "MRToCT"),
    "mr-to-ct-unpaired": ("mr_to_ct_unpaired", "MRToCTUnpaired"),
    "stain": ("stain", "Stain"),
    "superres-mr": ("superres_mr", "SuperResolutionMR"),
}


def names() -> list[str]:
    """The tasks there is a recipe for."""
    return sorted(_RECIPES)


def recipe_class(task: str) -> type[Recipe]:
    """The recipe class of a task, to look at its parameters.

    Raises:
        InputError: there is no such task.
    """
    if task not in _RECIPES:
        raise InputError(f"There is no task '{task}'; the tasks are {', '.join(names())}.")
    module, name = _RECIPES[task]
    return getattr(importlib.import_module(f".{module}", __name__), name)


def get(task: str, preset: str = "recommended", **overrides: Any) -> Recipe:
    """The recipe of a task.

    Args:
        task: one of :func:`names`.
        preset: "published" (as the source system does it) or "recommended" (what we would use).
        overrides: values for single parameters, see the fields of the recipe.

    Raises:
        InputError: unknown task, preset or parameter, or a value out of range.

    Example:
        >>> get("denoise-ct", preset="published").base_width
        64
    """
    return recipe_class(task).from_preset(preset, **overrides)
