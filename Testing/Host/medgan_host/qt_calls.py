"""Calls into Qt the way PythonQt makes them: its conversions, its overload choice, its error messages.

PySide6 tells the signature of each function, so that an argument can be converted to the type the C++ function takes.
A first pass accepts only arguments of the right type, a second one converts (anything to text, to bool by truth, ...).
"""

import collections.abc
import enum
import inspect
import types
import typing

import numpy as np

from .native_qt import QtCore, get_signature
from .qt_enums import QtEnum, wrapEnum

_signatures: dict = {}
_BYTES = (bytes, bytearray, memoryview)


class Mismatch(Exception):
    """The argument does not fit the parameter."""


class Conversions:
    """Set by qt_wrapper: how to wrap a native object, and how to find the native object of a wrapper."""

    wrap = staticmethod(lambda native: native)
    native = staticmethod(lambda wrapper: wrapper)
    callback = staticmethod(lambda function: function)


def toPython(value):
    """What Python code sees of a value that came out of Qt."""
    if isinstance(value, enum.Enum):
        return wrapEnum(value)
    if isinstance(value, (list, tuple)):
        return tuple(toPython(item) for item in value)
    if isinstance(value, dict):
        return {key: toPython(item) for key, item in value.items()}
    return Conversions.wrap(value)


def toNative(value):
    """What Qt gets of a Python value where any type is welcome (QVariant)."""
    if isinstance(value, QtEnum):
        return value.nativeEnum(int(value))
    if type(value) in (list, tuple):
        return type(value)(toNative(item) for item in value)
    if type(value) is dict:
        return {key: toNative(item) for key, item in value.items()}
    return Conversions.native(value)


def signatures(function):
    """Signatures (list) that PySide6 knows for ``function``; empty for functions written in Python."""
    key = function if isinstance(function, type) else (getattr(function, "__objclass__", None), function)
    if key not in _signatures:
        found = get_signature(function) if not isinstance(function, types.FunctionType) else None
        found = found if isinstance(found, list) else [found] if found is not None else []
        _signatures[key] = [
            [p for p in s.parameters.values() if p.kind != p.KEYWORD_ONLY and p.name != "self"] for s in found
        ]
    return _signatures[key]


def invoke(function, args, kwargs, label, bound=()):
    """Call the native ``function``; the result as Python code sees it. See invokeNative."""
    return toPython(invokeNative(function, args, kwargs, label, bound))


def invokeNative(function, args, kwargs, label, bound=(), call=None):
    """Call the native ``function``, or ``call`` with the same signature, with ``bound`` and the converted ``args``.

    Raises ValueError as PythonQt does when the arguments do not fit.
    """
    call = call or function
    candidates = signatures(function)
    if kwargs:
        raise ValueError(f"Called {label} with keyword arguments, but called slot does not support kwargs.")
    if not candidates:
        return callPython(call, args, label, bound)
    fitting = [c for c in candidates if _required(c) <= len(args) <= len(c)]
    if not fitting:
        if len(candidates) > 1:
            raise ValueError(f"Could not find matching overload for given arguments: {args}")
        raise ValueError(f"Called {_describe(label, candidates[0])} with wrong number of arguments: {args}")
    for exact in (True, False):
        for parameters in fitting:
            try:
                converted = [convert(a, p.annotation, exact) for a, p in zip(args, parameters, strict=False)]
            except Mismatch:
                continue
            try:
                return call(*bound, *_asText(function, args, converted))
            except TypeError as error:
                if "wrong argument" not in str(error):
                    raise
    if len(fitting) > 1:
        raise ValueError(f"Could not find matching overload for given arguments: {args}")
    raise ValueError(f"Called {_describe(label, fitting[0])} with wrong arguments: {args}")


def _asText(function, args, converted):
    """PySide6 says bytes for ``const char*`` too, but takes only text for the name of a file format."""
    isFormat = getattr(function, "__name__", "") in ("save", "load", "loadFromData")
    return [a if isFormat and isinstance(a, str) else c for a, c in zip(args, converted, strict=True)]


def callPython(function, args, label, bound=()):
    """Call a function that a stand-in widget implements in Python; a wrong number of arguments is a ValueError."""
    try:
        inspect.signature(function).bind(*bound, *args)
    except TypeError:
        raise ValueError(f"Called {label} with wrong number of arguments: {args}") from None
    except ValueError:
        pass
    return function(*bound, *[toNative(argument) for argument in args])


def convert(value, annotation, exact=False):
    """``value`` as the type ``annotation`` names; raises Mismatch. ``exact`` forbids conversions between types."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return _convertUnion(value, typing.get_args(annotation), exact)
    if annotation in (typing.Any, object, inspect.Parameter.empty):
        return toNative(value)
    if origin is collections.abc.Callable or annotation is collections.abc.Callable:
        _require(callable(value))
        return Conversions.callback(value)
    if origin in (list, tuple, collections.abc.Sequence, collections.abc.Iterable):
        return _convertSequence(value, typing.get_args(annotation), exact)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _convertEnum(value, annotation, exact)
    if annotation in _SCALARS:
        return _SCALARS[annotation](value, exact)
    if value is None:
        return None
    native = toNative(value)
    if not isinstance(annotation, type):
        return native
    _require(isinstance(native, annotation))
    return native


def _convertUnion(value, alternatives, exact):
    if value is None and type(None) in alternatives:
        return None
    if set(_BYTES) & set(alternatives):
        alternatives = [a for a in alternatives if a not in _BYTES] + [bytes]
    for alternative in alternatives:
        if alternative is type(None):
            continue
        try:
            return convert(value, alternative, exact)
        except Mismatch:
            continue
    raise Mismatch


def _convertSequence(value, elements, exact):
    if exact and not isinstance(value, (list, tuple)):
        raise Mismatch
    try:
        items = list(value)
    except TypeError:
        raise Mismatch from None
    element = elements[0] if elements else typing.Any
    return [convert(item, element, exact and element is not str) for item in items]


def _convertEnum(value, annotation, exact):
    if isinstance(value, QtEnum) and value.nativeEnum is not annotation and exact:
        raise Mismatch
    if not isinstance(value, (int, np.integer)) or (exact and not isinstance(value, QtEnum)):
        raise Mismatch
    try:
        return annotation(int(value))
    except ValueError:
        raise Mismatch from None


def _toBool(value, exact):
    _require(isinstance(value, bool) or not exact)
    return bool(value)


def _toInt(value, exact):
    if exact:
        _require(isinstance(value, int) and not isinstance(value, bool))
    else:
        _require(isinstance(value, (int, np.integer, np.bool_)) or type(value) is float)
    return int(value)


def _toFloat(value, exact):
    _require(type(value) is float if exact else isinstance(value, (int, float, np.number)))
    return float(value)


def _toStr(value, exact):
    _require(not isinstance(Conversions.native(value), QtCore.QByteArray))
    _require(isinstance(value, str) or not exact)
    return str(value)


def _toBytes(value, exact):
    if isinstance(value, bytes):
        return value
    native = Conversions.native(value)
    if isinstance(native, QtCore.QByteArray):
        return native.data()
    _require(isinstance(value, str) or not exact)
    return str(value).encode()


_SCALARS = {bool: _toBool, int: _toInt, float: _toFloat, str: _toStr, bytes: _toBytes, bytearray: _toBytes}


def _require(condition):
    if not condition:
        raise Mismatch


def _required(parameters):
    return sum(p.default is p.empty and p.kind != p.VAR_POSITIONAL for p in parameters)


def _describe(label, parameters):
    def typeName(annotation):
        return getattr(annotation, "__name__", str(annotation))

    return f"{label}({', '.join(f'{typeName(p.annotation)} {p.name}' for p in parameters)})"
