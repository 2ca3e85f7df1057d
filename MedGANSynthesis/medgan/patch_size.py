"""The parameters of a recipe that set the size of its patches, and what they may be where images are small."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

from .errors import InputError
from .recipes.base import Recipe


def size_parameters(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """Parameters that set the size of a patch, whole numbers or texts such as "24x24x24" (i x j x k), and the axes
    (of k, j, i) that each sets.
    """
    shape, found = recipe.patch_shape(), {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if "label" not in field.metadata or field.metadata["choices"] or not _is_size(value):
            continue
        larger = 2 * value + 1 if isinstance(value, int) else "x".join(str(2 * int(n) + 1) for n in value.split("x"))
        other = dataclasses.replace(recipe, **{field.name: larger}).patch_shape()
        axes = tuple(axis for axis in range(3) if other[axis] != shape[axis])
        if axes:
            found[field.name] = axes
    return found


def _is_size(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and re.fullmatch(r"\d+x\d+x\d+", value) is not None)


def limited(recipe: Recipe, name: str, axes: tuple[int, ...], most: Sequence[int]) -> int | str | None:
    """A size parameter at ``most`` (k, j, i) voxels, in the network's steps; None where that is no size for it."""
    value, multiple = getattr(recipe, name), recipe.network_spec().multiple
    if isinstance(value, int):
        step, room = math.lcm(*(multiple[axis] for axis in axes)), min(most[axis] for axis in axes)
        fits = value if value <= room else room // step * step
    else:
        sizes = [int(size) for size in value.split("x")][::-1]
        sizes = [n if n <= room else room // step * step for n, room, step in zip(sizes, most, multiple, strict=True)]
        fits = "x".join(str(size) for size in sizes[::-1])
    try:
        shape = type(recipe).from_dict(recipe.to_dict() | {name: fits}).patch_shape()
    except InputError:
        return None
    return fits if min(shape) > 0 else None


def common_extent(axis: int, smallest: list[int], spec: Any) -> int:
    """Voxels that every image has along a patch's axis, for 2-D networks across every plane they are trained on."""
    if spec.dimensions == 3 or axis == 0:
        return smallest[axis]
    ends = [[other for other in range(3) if other != plane][axis - 1] for plane in spec.planes]
    return min(smallest[end] for end in ends)
