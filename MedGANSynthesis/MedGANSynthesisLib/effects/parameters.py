"""The values of an effect's parameters on the module's parameter node, where a saved scene keeps them."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any

import slicer


def readParameters(effect, parameterNode) -> Any:
    """The values of all parameters of an effect, an instance of ``effect.Parameters``.

    What the node does not hold, or holds in a form that does not fit (a scene of another version), has its default.

    Args:
        parameterNode: the module's vtkMRMLScriptedModuleNode (``parameterNode`` of a SynthesisParameterNode).
    """
    kinds = typing.get_type_hints(effect.Parameters)
    values = {}
    for field in dataclasses.fields(effect.Parameters):
        role = f"{effect.key}.{field.name}"
        if nodeClass(kinds[field.name]) is not None:
            values[field.name] = parameterNode.GetNodeReference(role)
        else:
            values[field.name] = _fromText(parameterNode.GetParameter(role), kinds[field.name], field)
    return effect.Parameters(**values)


def writeParameter(effect, parameterNode, name: str, value: Any) -> None:
    """Store one value: a node as a node reference, everything else as JSON text.

    Raises:
        KeyError: the effect has no such parameter.
    """
    kind = typing.get_type_hints(effect.Parameters)[name]
    role = f"{effect.key}.{name}"
    if nodeClass(kind) is not None:
        parameterNode.SetNodeReferenceID(role, value.GetID() if value is not None else None)
    else:
        parameterNode.SetParameter(role, json.dumps(value))


def nodeClass(kind: Any) -> str | None:
    """The MRML class of a node-valued parameter from its type ``vtkMRML...Node | None``; None for other types."""
    for part in _alternatives(kind):
        if isinstance(part, type) and issubclass(part, slicer.vtkMRMLNode):
            return part.__name__
    return None


def isTriple(kind: Any) -> bool:
    """Whether a parameter is three numbers, or three numbers or None."""
    return any(typing.get_origin(part) is tuple for part in _alternatives(kind))


def _alternatives(kind: Any) -> tuple:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def _fromText(text: str, kind: Any, field: dataclasses.Field) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return field.default
    if isTriple(kind):
        value = tuple(value) if isinstance(value, list) else value
    elif kind is float and isinstance(value, int):
        value = float(value)
    return value if _fits(value, kind, field.metadata) else field.default


def _fits(value: Any, kind: Any, metadata: Any) -> bool:
    if isTriple(kind):
        return value is None or (isinstance(value, tuple) and len(value) == 3 and all(map(_isPositive, value)))
    if type(value) is not kind:
        return False
    if metadata.get("choices"):
        return value in metadata["choices"]
    low, high = metadata.get("minimum"), metadata.get("maximum")
    if kind in (int, float):
        return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    return True


def _isPositive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
