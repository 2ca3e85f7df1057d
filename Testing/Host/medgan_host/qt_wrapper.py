"""The classes of ``qt``: thin objects around PySide6 ones that behave as PythonQt's wrappers do.

Properties are plain attributes, everything else is called; no C++ inheritance is visible in Python; unknown attributes
cannot be set; a destroyed object says so. One wrapper per C++ object, so that ``label.parent() is widget``.
"""

import enum
import functools
import inspect
import weakref

from . import qt_signals
from .native_qt import QtCore, shiboken6
from .qt5 import tooNew
from .qt_calls import Conversions, invokeNative, toNative, toPython
from .qt_enums import enumClass
from .qt_members import Property, PropertySetter, Signal, Slot

_classes: dict[type, type] = {}
_wrappers: "weakref.WeakValueDictionary[int, PythonQtInstanceWrapper]" = weakref.WeakValueDictionary()
# Per class name, and for its subclasses: members that PythonQt shows otherwise than Qt's metadata says.
specialMembers: dict[str, dict] = {}


class PythonQtInstanceWrapper:
    """Base of every class of ``qt`` and ``ctk``."""

    nativeClass: type = None

    def __init__(self, *args, **kwargs):
        nativeClass = type(self).nativeClass
        if "nativeClass" in type(self).__dict__:
            _adopt(invokeNative(nativeClass, args, kwargs, nativeClass.__name__), self)
            return
        from .qt_subclass import shellClass  # it needs this module

        shell = shellClass(type(self))
        native = shell.__new__(shell)
        native._outer = self
        object.__setattr__(self, "_native", native)
        construct = functools.partial(shell.__init__, native)
        invokeNative(nativeClass, args, kwargs, nativeClass.__name__, call=construct)
        _adopt(native, self)

    def _nativeFor(self, action, name):
        native = self.__dict__.get("_native")
        if native is None or not shiboken6.isValid(native):
            error = AttributeError if action == "set property" else ValueError
            preposition = "from" if action == "read property" else "on"
            raise error(f"Trying to {action} '{name}' {preposition} a destroyed {_qtClassName(type(self))} object")
        return native

    def __getattr__(self, name):
        native = self.__dict__.get("_native")
        if name == "name" and isinstance(native, QtCore.QObject):
            return self.objectName
        if isinstance(native, QtCore.QObject) and shiboken6.isValid(native):
            if name.encode() in [bytes(key) for key in native.dynamicPropertyNames()]:
                return toPython(native.property(name))
        elif (native is None or not shiboken6.isValid(native)) and not name.startswith("_"):
            raise ValueError(f"Trying to read property '{name}' from a destroyed {_qtClassName(type(self))} object")
        raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")

    def __setattr__(self, name, value):
        member = inspect.getattr_static(type(self), name, None)
        native = self.__dict__.get("_native")
        if native is None or not shiboken6.isValid(native):
            raise AttributeError(f"Trying to set property '{name}' on a destroyed {_qtClassName(type(self))} object")
        if isinstance(member, Property):
            return member.__set__(self, value)
        if isinstance(member, (Slot, Signal)):
            raise AttributeError(f"Slot '{name}' can not be overwritten on {type(self).__name__} object")
        if "nativeClass" not in type(self).__dict__:
            return object.__setattr__(self, name, value)
        if isinstance(native, QtCore.QObject):
            if name == "name":
                return native.setObjectName(str(value))
            if name.encode() in [bytes(key) for key in native.dynamicPropertyNames()]:
                return native.setProperty(name, toNative(value))
        raise AttributeError(
            f"'{name}' does not exist on {type(self).__name__} "
            "and creating new attributes on C++ objects is not allowed"
        )

    def __bool__(self):
        native = self.__dict__.get("_native")
        return native is not None and shiboken6.isValid(native)

    def __eq__(self, other):
        if other is None:
            return not self
        if isinstance(other, PythonQtInstanceWrapper):
            if self is other:
                return True
            mine, theirs = self.__dict__.get("_native"), other.__dict__.get("_native")
            return not isinstance(mine, QtCore.QObject) and mine == theirs
        return False

    def __hash__(self):
        return id(self)

    def __repr__(self):
        return f"<{_qtClassName(type(self))} at: {hex(id(self))}>"

    def __reduce_ex__(self, protocol):
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")

    def className(self):
        """Name of the Qt class; of a Python subclass its Python name."""
        return type(self).__name__

    def delete(self):
        """Delete the C++ object, and its children, at once."""
        shiboken6.delete(self._nativeFor("call", "delete"))


def _pointer(native):
    return shiboken6.getCppPointer(native)[0]


def _qtClassName(cls):
    return next(c.__name__ for c in cls.__mro__ if "nativeClass" in c.__dict__)


def _adopt(native, wrapper):
    object.__setattr__(wrapper, "_native", native)
    _wrappers[_pointer(native)] = wrapper


def wrap(value):
    """The wrapper of a native Qt object (always the same while it lives); other values as they are."""
    if not isinstance(value, shiboken6.Object):
        return value
    outer = getattr(value, "_outer", None)
    if outer is not None:
        return outer
    if not shiboken6.isValid(value):
        return None
    known = _wrappers.get(_pointer(value))
    if known is not None and known._native is value:
        return known
    cls = wrapperClass(type(value))
    wrapper = cls.__new__(cls)
    _adopt(value, wrapper)
    return wrapper


def unwrap(value):
    """The native object of a wrapper; other values as they are."""
    if isinstance(value, PythonQtInstanceWrapper):
        return value._nativeFor("use", "object")
    return value


def _callback(function):
    return lambda *args: qt_signals.callWithFittingArguments(function, [toPython(argument) for argument in args])


def wrapperClass(native):
    """The Python class that presents the native class ``native``."""
    if native not in _classes:
        namespace = {"nativeClass": native, "__doc__": None}
        for name in dir(native):
            if not name.startswith("_") and not hasattr(PythonQtInstanceWrapper, name):
                _addMember(namespace, native, name)
        _addProperties(namespace, native)
        for name in tooNew(native):
            namespace.pop(name, None)
        for base in reversed(native.__mro__):
            namespace.update(specialMembers.get(base.__name__, {}))
        _classes[native] = type(native.__name__, (PythonQtInstanceWrapper,), namespace)
    return _classes[native]


def _addMember(namespace, native, name):
    member = getattr(native, name)
    if isinstance(member, type) and issubclass(member, enum.Enum):
        namespace[name] = enumClass(member)
        if name != "Modifier":
            for short in member.__members__:
                namespace.setdefault(short, getattr(namespace[name], short))
    elif isinstance(member, type):
        namespace[name] = wrapperClass(member)
    elif isinstance(member, QtCore.Signal):
        namespace[name] = Signal(name)
    elif callable(member) and name != "exec_":
        namespace[name] = Slot(native, name)
        if name == "exec":
            namespace["exec_"] = Slot(native, name)


def _addProperties(namespace, native):
    if not issubclass(native, QtCore.QObject):
        return
    meta = native.staticMetaObject
    for index in range(meta.propertyCount()):
        metaProperty = meta.property(index)
        name = metaProperty.name()
        if name == "singleShot":  # QTimer's static function of that name hides the property
            continue
        namespace[name] = Property(name, metaProperty)
        setter = f"set{name[0].upper()}{name[1:]}"
        if metaProperty.isWritable():
            namespace.setdefault(setter, PropertySetter(native, setter, name))


Conversions.wrap, Conversions.native, Conversions.callback = wrap, unwrap, _callback
