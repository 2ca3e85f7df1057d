"""Members that PythonQt presents otherwise than a plain call into Qt, per class."""

from . import qt_signals
from .native_qt import QtCore, QtWidgets
from .qt_calls import invoke, toNative, toPython
from .qt_members import hostClasses
from .qt_wrapper import PythonQtInstanceWrapper, specialMembers, wrap

Callable = (type(lambda: 0),)


def _noOverload(args):
    raise ValueError(f"Could not find matching overload for given arguments: {args}")


# --- QObject -----------------------------------------------------------------------------------------------------


def _connect(self, signal, target, *more):
    native = self._nativeFor("call", "connect")
    if isinstance(target, PythonQtInstanceWrapper) and len(more) == 1 and isinstance(more[0], str):
        slot = getattr(target, more[0].split("(")[0])
        count = len([a for a in more[0].split("(")[1].rstrip(")").split(",") if a])
        return qt_signals.connect(native, self.className(), signal, lambda *args: slot(*args[:count]))
    if more:
        _noOverload((signal, target, *more))
    return qt_signals.connect(native, self.className(), signal, target)


def _disconnect(self, *args):
    if not args or not isinstance(args[0], str):
        _noOverload(args)
    return qt_signals.disconnect(self._nativeFor("call", "disconnect"), *args)


def _matches(child, cls):
    if isinstance(cls, str):
        return child.inherits(cls) or type(child).__name__ == cls
    if "nativeClass" in vars(cls):
        return isinstance(child, cls.nativeClass)
    return isinstance(wrap(child), cls)


def _findChildren(self, *args):
    if not 1 <= len(args) <= 2:
        _noOverload(args)
    native = self._nativeFor("call", "findChildren")
    name = args[1] if len(args) == 2 else ""
    found = [c for c in native.findChildren(QtCore.QObject) if _matches(c, args[0])]
    return tuple(wrap(c) for c in found if not name or c.objectName() == name)


def _findChild(self, *args):
    found = _findChildren(self, *args)
    return found[0] if found else None


def _setProperty(self, name, value):
    return self._nativeFor("call", "setProperty").setProperty(name, toNative(value))


def _property(self, name):
    return toPython(self._nativeFor("call", "property").property(name))


def _deleteLater(self):
    """PySide's own hands the object over to Qt; PythonQt's lets it die with its last reference, if that is earlier."""
    event = QtCore.QEvent(QtCore.QEvent.Type.DeferredDelete)
    QtCore.QCoreApplication.postEvent(self._nativeFor("call", "deleteLater"), event)


specialMembers["QObject"] = {
    "connect": _connect,
    "deleteLater": _deleteLater,
    "disconnect": _disconnect,
    "findChild": _findChild,
    "findChildren": _findChildren,
    "setProperty": _setProperty,
    "property": _property,
}

# --- QByteArray: bytes come from data() only ---------------------------------------------------------------------


def _sameBytes(self, other):
    mine = bytes(self._native.data())
    if isinstance(other, PythonQtInstanceWrapper):
        return isinstance(other._native, QtCore.QByteArray) and mine == bytes(other._native.data())
    return isinstance(other, (bytes, str)) and mine == (other.encode() if isinstance(other, str) else other)


specialMembers["QByteArray"] = {
    "data": lambda self: bytes(self._nativeFor("call", "data").data()),
    "__str__": lambda self: repr(bytes(self._native.data())),
    "__eq__": _sameBytes,
    "__hash__": PythonQtInstanceWrapper.__hash__,
    "__bool__": lambda self: True,
}

# --- QTimer, QProcess, QSettings ---------------------------------------------------------------------------------


def _singleShot(msec, *target):
    if len(target) == 2 and isinstance(target[1], str):
        receiver, slot = target
        function = getattr(receiver, slot.split("(")[0])
    elif len(target) == 1 and callable(target[0]):
        function = target[0]
    else:
        _noOverload((msec, *target))
    QtCore.QTimer.singleShot(int(msec), lambda: qt_signals.callWithFittingArguments(function, []))


specialMembers["QTimer"] = {"singleShot": staticmethod(_singleShot)}


def _start(self, *args):
    native = self._nativeFor("call", "start")
    if len(args) == 1 and isinstance(args[0], str):
        return native.startCommand(args[0])
    return invoke(QtCore.QProcess.start, args, {}, "start", (native,))


def _write(self, data):
    return invoke(QtCore.QIODevice.write, (data,), {}, "write", (self._nativeFor("call", "write"),))


specialMembers["QProcess"] = {"start": _start, "write": _write}


def _value(self, key, *default):
    native = self._nativeFor("call", "value")
    return toPython(native.value(key, *[toNative(value) for value in default]))


specialMembers["QSettings"] = {"value": _value}

# --- dialogs: the static functions return the value only -----------------------------------------------------------


def _valueOnly(cls, name):
    def function(*args, **kwargs):
        return invoke(getattr(cls, name), args, kwargs, name)[0]

    return staticmethod(function)


specialMembers["QFileDialog"] = {
    name: _valueOnly(QtWidgets.QFileDialog, name) for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName")
}
specialMembers["QInputDialog"] = {
    name: _valueOnly(QtWidgets.QInputDialog, name)
    for name in ("getText", "getInt", "getDouble", "getItem", "getMultiLineText")
}


def registerHostClass(cls):
    """Make a PySide6 class that the stand-in implements known by its name to ``ctk``, ``slicer`` and .ui files."""
    hostClasses[cls.__name__] = cls
    return cls
