"""Parameters: dataclass fields that carry their own range, unit, label and help.

The command line, the option frames and the documentation are made from these fields, so each parameter is defined once.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

from .errors import InputError


def parameter(
    default: Any,
    *,
    label: str,
    help: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple = (),
) -> Any:
    """A dataclass field described for people.

    Args:
        default: value used when none is given.
        label: short name as a form shows it.
        help: one or two sentences: what it does and where the value comes from.
        unit: unit of the value ("HU", "mm", "voxels"), empty for pure numbers.
        minimum: smallest value allowed.
        maximum: largest value allowed.
        choices: the only values allowed, if it is a choice.
    """
    metadata = {"label": label, "help": help, "unit": unit, "minimum": minimum, "maximum": maximum, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def validate(instance: Any) -> None:
    """Check every described field of a dataclass instance against its type, range and choices.

    Only single values are looked at: what is a tuple, or may be None, its class checks itself.

    Raises:
        InputError: naming the parameter, the value and what is allowed.
    """
    kinds = typing.get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        if "label" not in field.metadata or not isinstance(kinds[field.name], type):
            continue
        value = getattr(instance, field.name)
        _check_type(field.name, value, kinds[field.name])
        _check_range(field.name, value, field.metadata)


def from_text(cls: type, texts: dict[str, str]) -> dict[str, Any]:
    """Convert ``name -> text`` (as typed on a command line) to values of the types of the fields of ``cls``.

    Raises:
        InputError: unknown name, or text that is no value of the field's type.
    """
    kinds = typing.get_type_hints(cls)
    described = [field.name for field in dataclasses.fields(cls) if "label" in field.metadata]
    values = {}
    for name, text in texts.items():
        if name not in described:
            raise InputError(f"There is no parameter '{name}'; the parameters are {', '.join(sorted(described))}.")
        kind = kinds[name]
        try:
            if kind is bool:
                values[name] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                    text.lower()
                ]
            else:
                values[name] = kind(text)
        except (KeyError, ValueError):
            raise InputError(f"'{text}' is not a valid value for the parameter {name} ({kind.__name__}).") from None
    return values


def _check_type(name: str, value: Any, kind: type) -> None:
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"The parameter {name} must be of type {kind.__name__}, not {value!r}.")


def _check_range(name: str, value: Any, metadata: Any) -> None:
    choices, minimum, maximum = metadata["choices"], metadata["minimum"], metadata["maximum"]
    if choices and value not in choices:
        raise InputError(f"The parameter {name} must be one of {', '.join(map(str, choices))}, not {value!r}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"The parameter {name} must be a finite number, not {value:g}.")
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        low = "any" if minimum is None else f"{minimum:g}"
        high = "any" if maximum is None else f"{maximum:g}"
        unit = f" {metadata['unit']}" if metadata["unit"] else ""
        raise InputError(f"The parameter {name} must lie between {low} and {high}{unit}, not {value:g}.")
