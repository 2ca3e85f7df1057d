"""Whether the description of a network, which anybody may have written, is one that it can be run by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .network import NetworkSpec
    from .target import Target


def check_network(spec: NetworkSpec) -> None:
    """Look at each field by itself, and at those that do not go together.

    Raises:
        ValueError: with what is wrong, as part of a sentence.
    """
    for name, (is_fine, allowed) in _RULES.items():
        if not is_fine(getattr(spec, name)):
            raise ValueError(f"the network has {name} {getattr(spec, name)!r}, which must be {allowed}")
    slices = spec.dimensions == 2
    if spec.scale != (1, 1, 1) and (spec.canonical or spec.spacing_mm or (slices and spec.planes != (0,))):
        raise ValueError("a network with 'scale' works on the grid of its source; it has no other axes or spacing")
    if slices and spec.scale[0] != 1:
        raise ValueError("a 2-D network cannot make slices between slices, so the first number of 'scale' is 1")


def check_result(spec: NetworkSpec, target: Target, intensity: dict[str, Any]) -> None:
    """Whether the result can be made from what the network gives.

    Raises:
        ValueError: with what is wrong, as part of a sentence.
    """
    if not _whole(target.channels, 0):
        raise ValueError(f"the target has channels {target.channels!r}, which must be a whole number")
    if spec.scale == (1, 1, 1):
        return
    if target.residual or target.only_add or target.outside is not None or target.background_above is not None:
        raise ValueError("a result on a finer grid cannot be compared with its source voxel by voxel")
    if spec.scale[0] != 1 and target.scale is None and str(intensity.get("kind")).startswith("slice-"):
        raise ValueError("an intensity scaling of single slices does not tell that of slices between them")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _positive(value: Any) -> bool:
    return _whole(value, 1)


def _spacing(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _planes(value: Any) -> bool:
    return isinstance(value, tuple) and all(_whole(axis, 0) for axis in value) and value in _PLANES


def _three(is_fine: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, tuple) and len(values) == 3 and all(map(is_fine, values))


def _or_none(is_fine: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_fine(value)


_PLANES = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dimensions": (lambda value: _whole(value, 2) and value <= 3, "2 or 3"),
    "in_channels": (_positive, "a positive whole number"),
    "out_channels": (_positive, "a positive whole number"),
    "context": (lambda value: _whole(value, 0), "a whole number, 0 or more"),
    "multiple": (_three(_positive), "three positive whole numbers along k, j, i"),
    "scale": (_three(_positive), "three positive whole numbers along k, j, i"),
    "halo": (
        _or_none(_three(_or_none(lambda value: _whole(value, 0)))),
        "three whole numbers along k, j, i, or null where it is unbounded",
    ),
    "tile": (_or_none(_three(_or_none(_positive))), "three positive whole numbers along k, j, i, or null where any do"),
    "spacing_mm": (_or_none(_three(_spacing)), "three positive numbers along i, j, k"),
    "planes": (_planes, "axes out of [0, 1, 2] in this order"),
    "coordinates": (_flag, "true or false"),
    "canonical": (_flag, "true or false"),
    "body_only": (_flag, "true or false"),
}
