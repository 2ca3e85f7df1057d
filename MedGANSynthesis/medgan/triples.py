"""Parameters of several numbers, written as people write them: factors as "1x1x4", windows as "2000:0, 500:50"."""

from __future__ import annotations

from .errors import InputError
from .tile_plan import Triple


def triple(text: str, name: str) -> Triple:
    """Three whole numbers along i, j, k ("1x1x4"), returned in array order (k, j, i).

    Raises:
        InputError: it is not three positive whole numbers; ``name`` says of which parameter.
    """
    parts = text.lower().replace(" ", "").split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"The parameter {name} is '{text}', but must be three whole numbers such as 1x1x4.")
    i, j, k = map(int, parts)
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
