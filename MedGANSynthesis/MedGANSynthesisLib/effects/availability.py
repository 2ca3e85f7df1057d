"""Which keyword arguments of ``logic.apply`` mean something for a model."""

from __future__ import annotations

from medgan.options import available

_ARGUMENTS = {  # names of the engine's options that are not merely written in the other way
    "reference": "referenceNode",
}


def meaningful(bundle) -> set[str]:
    """Names of the keyword arguments of ``logic.apply`` that a bundle can make use of."""
    options = available(bundle.manifest)
    names = {_ARGUMENTS.get(name) or _camelCase(name) for name in options}
    if "strength" in options:  # source and result can be compared voxel by voxel
        names.add("secondOutput")
    return names


def _camelCase(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
