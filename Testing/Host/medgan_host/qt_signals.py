"""Connections as PythonQt makes them: signature strings, a bool as answer, fewer arguments welcome, errors printed."""

import inspect
import re
import sys
import traceback
import types

from .native_qt import QtCore, shiboken6
from .qt5 import currentSignature
from .qt_calls import Mismatch, convert, toNative, toPython

# Errors that Python slots raised. In Slicer's testing mode one of them makes the process end with exit code 1.
slotErrors: list[str] = []

_connections: dict[int, list] = {}
# Where Qt 5 declares several signals of one name, the attribute form delivers the first; Qt 6 kept only the others.
_FIRST_OVERLOAD = {("QProcess", "finished"): "finished(int)"}


def callWithFittingArguments(function, args):
    """Call a Python callable with as many of ``args`` as it declares; report what it raises as Slicer does."""
    try:
        return function(*args[: _argumentCount(function, len(args))])
    except Exception:
        reportSlotError()


def reportSlotError():
    """Print the current exception and remember that a slot failed."""
    text = traceback.format_exc()
    slotErrors.append(text)
    print(text, file=sys.stderr)


def _argumentCount(function, available):
    if not isinstance(function, (types.FunctionType, types.MethodType)):
        return available
    count = 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind == parameter.VAR_POSITIONAL:
            return available
        count += parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return min(count, available)


def _nativeSignature(native, signature):
    """Normalized; a VTK object travels as a Python object (``currentNodeChanged(vtkMRMLNode*)``)."""
    if "(" not in signature:
        return signature
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()
    return currentSignature(native, re.sub(r"\bvtk\w+\*", "PyObject", normalized))


def connect(native, className, signature, target):
    """Connect a Python callable; True when the signal exists, otherwise False and a printed line."""

    def slot(*args):
        callWithFittingArguments(target, [toPython(argument) for argument in args])

    sig = connectNative(native, className, signature, slot)
    if sig is None:
        return False
    pointer = shiboken6.getCppPointer(native)[0]
    if pointer not in _connections:
        _connections[pointer] = []
        native.destroyed.connect(lambda *_: _connections.pop(pointer, None))
    _connections[pointer].append((sig, target, slot))
    return True


def connectNative(native, className, signature, slot):
    """Connect a function that takes what PySide6 delivers; the signature used, None when there is no such signal."""
    sig = _nativeSignature(native, signature)
    if native.metaObject().indexOfSignal(sig) < 0:
        print(f"PythonQt: QObject::connect() signal '{signature}' does not exist on {className}", file=sys.stderr)
        return None
    QtCore.QObject.connect(native, QtCore.SIGNAL(sig), slot)
    return sig


def disconnect(native, signature, *target):
    """Remove one connection of ``target``, or all Python ones of the signal; True when there was one."""
    sig = _nativeSignature(native, signature)
    entries = _connections.get(shiboken6.getCppPointer(native)[0], [])
    matching = [entry for entry in entries if entry[0] == sig and (not target or entry[1] == target[0])]
    for entry in matching[:1] if target else matching:
        QtCore.QObject.disconnect(native, QtCore.SIGNAL(sig), entry[2])
        entries.remove(entry)
    return bool(matching)


def defaultSignature(metaObject, name):
    """Signature of the signal ``name``; of those that default arguments make, the longest, which Qt lists first."""
    for index in range(metaObject.methodCount()):
        method = metaObject.method(index)
        if method.methodType() == QtCore.QMetaMethod.Signal and method.name() == name.encode():
            return bytes(method.methodSignature()).decode()
    raise AttributeError(f"{metaObject.className()} has no signal named '{name}'")


class BoundSignal:
    """``obj.clicked``: connect, disconnect, emit; calling it emits."""

    def __init__(self, wrapper, name):
        self._wrapper = wrapper
        self._name = name

    def _signature(self, native):
        for cls in type(native).__mro__:
            if (cls.__name__, self._name) in _FIRST_OVERLOAD:
                return _FIRST_OVERLOAD[cls.__name__, self._name]
        return defaultSignature(native.metaObject(), self._name)

    def connect(self, target):
        native = self._wrapper._nativeFor("call", self._name)
        return connect(native, self._wrapper.className(), self._signature(native), target)

    def disconnect(self, *target):
        native = self._wrapper._nativeFor("call", self._name)
        return disconnect(native, self._signature(native), *target)

    def emit(self, *args):
        native = self._wrapper._nativeFor("call", self._name)
        signature = self._signature(native)
        types_ = [t for t in signature[signature.index("(") + 1 : -1].split(",") if t]
        try:
            if len(args) > len(types_) or (len(args) < len(types_) and args):
                raise Mismatch
            values = [convertTo(typeName, value) for typeName, value in zip(types_, args, strict=False)]
        except Mismatch:
            raise ValueError(f"Called {signature} -> void with wrong arguments: {args}") from None
        bound = getattr(native, self._name)
        if types_ == ["bool"] and not args:
            values = [False]
        (bound[types_[0]] if types_ == ["bool"] else bound).emit(*values)

    __call__ = emit

    def __repr__(self):
        return f"<qt signal {self._name} of {self._wrapper.className()} instance>"


_C_TYPES = {"int": int, "qlonglong": int, "double": float, "float": float, "bool": bool, "QString": str}


def convertTo(typeName, value):
    """``value`` as the C++ type ``typeName``; raises Mismatch."""
    if typeName not in _C_TYPES:
        return toNative(value)
    return convert(value, _C_TYPES[typeName])
