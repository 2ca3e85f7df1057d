"""The members of the classes of ``qt``: slots, properties and signals as PythonQt shows them."""

import enum
import inspect

from . import qt_signals
from .native_qt import MODULES
from .qt_calls import Mismatch, convert, invoke, invokeNative, toPython

# Classes of ctk and qMRML widgets, by name, that the stand-in implements.
hostClasses: dict[str, type] = {}


def findNative(name):
    """The native class of this name, or None."""
    if name in hostClasses:
        return hostClasses[name]
    return next((getattr(m, name) for m in MODULES if isinstance(getattr(m, name, None), type)), None)


class BoundSlot:
    """``obj.setText``: a callable that compares equal for the same object and name."""

    def __init__(self, wrapper, member):
        self._wrapper, self._member = wrapper, member

    def __call__(self, *args, **kwargs):
        return self._member.call(self._wrapper, args, kwargs)

    def __eq__(self, other):
        return isinstance(other, BoundSlot) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self):
        return id(self._wrapper), self._member.name

    def __repr__(self):
        return f"<qt slot {self._member.name} of {type(self._wrapper).__name__} instance at {hex(id(self._wrapper))}>"


class Slot:
    """Descriptor of a method of a Qt class."""

    def __init__(self, native, name, target=None):
        self.native, self.name = native, name
        self.target = target or name
        self.isStatic = isinstance(inspect.getattr_static(native, self.target), (staticmethod, classmethod))

    def __get__(self, wrapper, cls):
        return self._unbound if wrapper is None else BoundSlot(wrapper, self)

    def _unbound(self, *args, **kwargs):
        if not self.isStatic and args and hasattr(type(args[0]), "nativeClass"):
            return self.call(args[0], args[1:], kwargs)
        return invoke(getattr(self.native, self.target), args, kwargs, self.name)

    def call(self, wrapper, args, kwargs):
        native = wrapper._nativeFor("call", self.name)
        function = getattr(self.native, self.target)
        if self.isStatic:  # maybe also a member function, which PySide6 reaches through the object only (QFile.exists)
            return toPython(invokeNative(function, args, kwargs, self.name, call=getattr(native, self.target)))
        return invoke(function, args, kwargs, self.name, (native,))


class PropertySetter(Slot):
    """``setX`` of a property that has no such method in PySide6 (the stand-in widgets)."""

    def __init__(self, native, name, propertyName):
        self.native, self.name, self.propertyName, self.isStatic = native, name, propertyName, False

    def call(self, wrapper, args, kwargs):
        if len(args) != 1 or kwargs:
            raise ValueError(f"Called {self.name} with wrong number of arguments: {args}")
        try:
            setattr(wrapper, self.propertyName, args[0])
        except AttributeError:
            raise ValueError(f"Called {self.name} with wrong arguments: {args}") from None


class Signal:
    """Descriptor of a signal."""

    def __init__(self, name):
        self.name = name

    def __get__(self, wrapper, cls):
        return self if wrapper is None else qt_signals.BoundSignal(wrapper, self.name)


class Property:
    """Descriptor of a Qt property: a value without parentheses."""

    def __init__(self, name, metaProperty):
        self.name = name
        self.typeName = metaProperty.typeName()
        self.isEnum = metaProperty.isEnumType() or metaProperty.isFlagType()
        self.isWritable = metaProperty.isWritable()

    def __get__(self, wrapper, cls):
        if wrapper is None:
            return self
        value = wrapper._nativeFor("read property", self.name).property(self.name)
        return value.value if self.isEnum and isinstance(value, enum.Enum) else toPython(value)

    def __set__(self, wrapper, value):
        native = wrapper._nativeFor("set property", self.name)
        if not self.isWritable:
            raise AttributeError(f"Property '{self.name}' of {wrapper.className()} object is not writable")
        if not native.setProperty(self.name, self._toNative(value)):
            self._refuse(value)

    def _toNative(self, value):
        if self.isEnum:
            return int(value) if isinstance(value, int) else self._refuse(value)
        if self.typeName == "QStringList":
            return convert(value, list[str])
        try:
            native = qt_signals.convertTo(self.typeName, value)
        except Mismatch:
            self._refuse(value)
        if self.typeName.startswith("Q") and self.typeName not in ("QString", "QVariant", "QUrl", "QLocale"):
            expected = findNative(self.typeName.rstrip("*"))
            if native is not None and expected and not isinstance(native, expected):
                self._refuse(value)
        return native

    def _refuse(self, value):
        raise AttributeError(
            f"Property '{self.name}' of type '{self.typeName}' does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        )
