"""What the user set of a plan: JSON text on the parameter node, checked against the recipe it is for."""

from __future__ import annotations

import json
from typing import Any

from medgan import parameters, recipes
from medgan.errors import MedGANError

from .groups import described


def readOverrides(task: str, text: str) -> dict[str, Any]:
    """The parameters that the text sets; what the recipe of the task does not know or allow is left out.

    A scene may come from another version, and another task has other parameters.
    """
    try:
        values = json.loads(text) if text else {}
        recipeClass = recipes.recipe_class(task)
    except (ValueError, MedGANError):
        return {}
    if not isinstance(values, dict):
        return {}
    names = {field.name for field in described(recipeClass)}
    return {name: value for name, value in values.items() if name in names and _fits(recipeClass, name, value)}


def writeOverrides(overrides: dict[str, Any]) -> str:
    """The text for the parameter node; '' for nothing."""
    return json.dumps(overrides, sort_keys=True) if overrides else ""


def presetValues(task: str, preset: str) -> dict[str, Any]:
    """Every parameter of a preset. Raises InputError: there is no such task or preset."""
    recipe = recipes.get(task, preset)
    return {field.name: getattr(recipe, field.name) for field in described(type(recipe))}


def contradiction(task: str, preset: str, overrides: dict[str, Any]) -> str:
    """Why these parameters cannot be used together, in one sentence; '' if they can."""
    try:
        recipes.get(task, preset, **overrides)
    except MedGANError as error:
        return str(error)
    return ""


def settings(overrides: dict[str, Any]) -> list[str]:
    """The arguments of ``medgan plan`` and ``medgan train`` that set parameters."""
    return [word for name, value in sorted(overrides.items()) for word in ("--set", f"{name}={value}")]


def _fits(recipeClass, name: str, value: Any) -> bool:
    try:
        parameters.validate(recipeClass(**{name: value}))
    except (MedGANError, TypeError):
        return False
    return True
