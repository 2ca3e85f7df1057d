"""``parameterPack``: a group of typed values that can be one parameter."""

from .parameter_serializers import IsInstance, NotNone, Serializer
from .parameter_wrapper import describe


def _property(name, parameter):
    def read(self):
        return self._values[name]

    def write(self, value):
        parameter.serializer.validate(value)
        self._values[name] = value
        if self._writeBack is not None:
            self._writeBack(self)

    return property(read, write)


def _initialize(self, *args, **kwargs):
    names = list(self.allParameters)
    if len(args) > len(names) or set(kwargs) - set(names):
        raise ValueError(f"{type(self).__name__} has the parameters {', '.join(names)}")
    self._values, self._writeBack = {}, None
    given = dict(zip(names, args, strict=False)) | kwargs
    for name, parameter in self.allParameters.items():
        setattr(self, name, given.get(name, parameter.default()) if name in given else parameter.default())


def parameterPack(cls):
    """Class decorator: typed, validated attributes, a constructor, comparison by value."""
    cls.allParameters = describe(cls)
    for name, parameter in cls.allParameters.items():
        setattr(cls, name, _property(name, parameter))
    cls._isParameterPack = True
    cls.__init__ = _initialize
    cls.__eq__ = lambda self, other: type(self) is type(other) and self._values == other._values
    cls.__hash__ = None
    cls.__repr__ = lambda self: f"{cls.__name__}({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"
    cls.dataType = classmethod(lambda cls, name: cls.allParameters[name].datatype)
    cls.getValue = lambda self, name: getattr(self, name)
    cls.setValue = lambda self, name, value: setattr(self, name, value)
    return cls


class PackSerializer(Serializer):
    """A pack, as ``name.member`` each; the value read writes its changes through."""

    def __init__(self, kind, validators=()):
        super().__init__([NotNone(), IsInstance(kind), *validators])
        self.kind = kind

    def default(self):
        return self.kind()

    def isIn(self, node, name):
        return all(p.serializer.isIn(node, f"{name}.{n}") for n, p in self.kind.allParameters.items())

    def write(self, node, name, value):
        self.validate(value)
        for member, parameter in self.kind.allParameters.items():
            parameter.serializer.write(node, f"{name}.{member}", getattr(value, member))

    def read(self, node, name):
        parameters = self.kind.allParameters
        value = self.kind(**{n: p.serializer.read(node, f"{name}.{n}") for n, p in parameters.items()})
        value._writeBack = lambda changed: self.write(node, name, changed)
        for member in value._values.values():
            if getattr(member, "_isParameterPack", False):
                member._writeBack = lambda changed: value._writeBack(value)
        return value
