"""Parameters of several numbers, written as people write them: factors as "1x1x4", windows as "2000:0, 500:50"."""

from __future__ import annotations

import re

from .errors import InputError
from .tile_plan import Triple


def triple(text: str) -> Triple | None:
    """Three positive whole numbers along i, j, k ("1x1x4") in array order (k, j, i); None if it is anything else.

    One number has one spelling: up to nine ASCII digits, no spaces, no leading zero ("X" for "x" is the only freedom).
    """
    if not re.fullmatch("[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){2}", text.lower()):
        return None
    i, j, k = map(int, text.lower().split("x"))
    return (k, j, i)


def windows(text: str, name: str) -> tuple[tuple[float, float], ...]:
    """CT windows ("2000:0, 500:50") as (width, level) in HU.

    Raises:
        InputError: it is not a list of width:level with positive widths.
    """
    try:
        pairs = [tuple(float(number) for number in part.split(":")) for part in text.split(",")]
        found = tuple((width, level) for width, level in pairs)
    except ValueError:
        found = ()
    if not found or not all(width > 0 for width, _level in found):
        raise InputError(f"The parameter {name} is '{text}', but must be width:level in HU, such as 2000:0, 500:50.")
    return found
