"""How each type of parameter is kept in a vtkMRMLScriptedModuleNode."""

import enum
import pathlib
import typing

import slicer

from .parameter_types import FloatRange, IsInstance, NotNone, Validator, optionalInner


class Serializer:
    """Base: reads and writes one value under a name; ``validators`` are asked before writing."""

    def __init__(self, validators=()):
        self.validators = list(validators)

    def default(self):
        return None

    def validate(self, value):
        for validator in self.validators:
            validator.validate(value)

    def isIn(self, node, name):
        return bool(node.HasParameter(name))

    def write(self, node, name, value):
        self.validate(value)
        node.SetParameter(name, self.toText(value))
        self.read(node, name)

    def read(self, node, name):
        return self.fromText(node.GetParameter(name))


class ScalarSerializer(Serializer):
    """int, float, str, bool."""

    def __init__(self, kind, validators=()):
        accepted = (float, int) if kind is float else kind
        super().__init__([NotNone(), IsInstance(accepted), *validators])
        self.kind = kind

    def default(self):
        return self.kind()

    def toText(self, value):
        return str(float(value)) if self.kind is float else str(value)

    def fromText(self, text):
        return text == "True" if self.kind is bool else self.kind(text)


class EnumSerializer(Serializer):
    """A member of an Enum, by its name."""

    def __init__(self, kind, validators=()):
        super().__init__([NotNone(), IsInstance(kind), *validators])
        self.kind = kind

    def default(self):
        return next(iter(self.kind))

    def toText(self, value):
        return value.name

    def fromText(self, text):
        return self.kind[text]


class PathSerializer(Serializer):
    """A pathlib path."""

    def __init__(self, kind, validators=()):
        super().__init__([NotNone(), IsInstance(pathlib.PurePath), *validators])
        self.kind = kind

    def default(self):
        return self.kind()

    def toText(self, value):
        return str(value)

    def fromText(self, text):
        return self.kind(text)


class NodeSerializer(Serializer):
    """A node of the scene, kept as a node reference whose role is the parameter's name."""

    def __init__(self, kind, validators=()):
        super().__init__([IsInstance(kind), *validators])

    def isIn(self, node, name):
        return node.GetNodeReferenceID(name) is not None

    def write(self, node, name, value):
        self.validate(value)
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        return node.GetNodeReference(name)


class FloatRangeSerializer(Serializer):
    """A FloatRange, in two values."""

    def __init__(self, validators=()):
        super().__init__([NotNone(), IsInstance(FloatRange), *validators])

    def default(self):
        return FloatRange()

    def isIn(self, node, name):
        return bool(node.HasParameter(f"{name}._minimum"))

    def write(self, node, name, value):
        self.validate(value)
        node.SetParameter(f"{name}._minimum", str(float(value.minimum)))
        node.SetParameter(f"{name}._maximum", str(float(value.maximum)))

    def read(self, node, name):
        return FloatRange(*[float(node.GetParameter(f"{name}.{part}")) for part in ("_minimum", "_maximum")])


class OptionalSerializer(Serializer):
    """A value or None."""

    def __init__(self, inner, validators=()):
        super().__init__(validators)
        self.inner = inner

    def isIn(self, node, name):
        return bool(node.HasParameter(f"{name}.hasValue"))

    def write(self, node, name, value):
        if value is not None:
            self.validate(value)
            self.inner.write(node, name, value)
        node.SetParameter(f"{name}.hasValue", str(value is not None))

    def read(self, node, name):
        return self.inner.read(node, name) if node.GetParameter(f"{name}.hasValue") == "True" else None


class ObservedList(list):
    """A list that writes itself back whenever it changes."""

    _writeBack = None

    def _changing(name):
        def method(self, *args, **kwargs):
            before = list(self)
            result = getattr(list, name)(self, *args, **kwargs)
            try:
                if self._writeBack is not None:
                    self._writeBack(self)
            except Exception:
                list.__setitem__(self, slice(None), before)
                raise
            return result

        return method

    for _name in (
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "sort",
        "reverse",
        "__setitem__",
        "__delitem__",
    ):
        locals()[_name] = _changing(_name)
    del _name


class ListSerializer(Serializer):
    """A list of values of one type, as ``name.0``, ``name.1``, ... and ``name.len``."""

    def __init__(self, element, validators=()):
        super().__init__([NotNone(), IsInstance(list), *validators])
        self.element = element

    def default(self):
        return []

    def isIn(self, node, name):
        return bool(node.HasParameter(f"{name}.len"))

    def write(self, node, name, value):
        self.validate(value)
        for item in value:
            self.element.validate(item)
        with slicer.util.NodeModify(node):
            for index, item in enumerate(value):
                self.element.write(node, f"{name}.{index}", item)
            node.SetParameter(f"{name}.len", str(len(value)))

    def read(self, node, name):
        count = int(node.GetParameter(f"{name}.len"))
        values = ObservedList(self.element.read(node, f"{name}.{index}") for index in range(count))
        values._writeBack = lambda changed: self.write(node, name, changed)
        return values


def createSerializer(datatype, annotations=()):
    """The serializer for a type; TypeError when the stand-in (or Slicer) has none."""
    validators = [a for a in annotations if isinstance(a, Validator)]
    inner = optionalInner(datatype)
    if inner is not None:
        serializer = createSerializer(inner, annotations)
        return serializer if isinstance(serializer, NodeSerializer) else OptionalSerializer(serializer)
    if typing.get_origin(datatype) is list or datatype is list:
        return ListSerializer(createSerializer(*typing.get_args(datatype)), validators)
    if not isinstance(datatype, type):
        raise TypeError(f"No serializer for {datatype}")
    if datatype in (int, float, str, bool):
        return ScalarSerializer(datatype, validators)
    if datatype is FloatRange:
        return FloatRangeSerializer(validators)
    kinds = {enum.Enum: EnumSerializer, pathlib.PurePath: PathSerializer, slicer.vtkMRMLNode: NodeSerializer}
    for kind, serializer in kinds.items():
        if issubclass(datatype, kind):
            return serializer(datatype, validators)
    if getattr(datatype, "_isParameterPack", False):
        from .parameter_pack import PackSerializer

        return PackSerializer(datatype, validators)
    raise TypeError(f"No serializer for {datatype}")
