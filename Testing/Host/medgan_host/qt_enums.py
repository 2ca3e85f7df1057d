"""Qt enumerations as PythonQt shows them: subclasses of int without names."""


class QtEnum(int):
    """Base of every enumeration of ``qt``; prints as its number, ``|`` and ``&`` give a plain int."""

    nativeEnum: type

    __repr__ = int.__repr__
    __str__ = int.__repr__


_classes: dict[type, type] = {}


def enumClass(nativeEnum):
    """The ``qt`` class for a PySide6 enum class, with the members as attributes."""
    if nativeEnum not in _classes:
        cls = type(nativeEnum.__name__, (QtEnum,), {"nativeEnum": nativeEnum})
        for name, member in nativeEnum.__members__.items():
            setattr(cls, name, cls(member.value))
        _classes[nativeEnum] = cls
    return _classes[nativeEnum]


def wrapEnum(member):
    """A PySide6 enum member as ``qt`` shows it; combinations of flags are plain ints."""
    cls = enumClass(type(member))
    return cls(member.value)
