"""Python subclasses of Qt classes: overridden virtual functions are called from C++, signals can be declared."""

import types

from . import qt_signals
from .native_qt import QtCore, shiboken6
from .qt_calls import toNative, toPython
from .qt_wrapper import PythonQtInstanceWrapper

_shells: dict[type, type] = {}
_C_NAMES = {int: "qlonglong", float: "double", str: "QString", bool: "bool"}


class UserSignal:
    """``changed = qt.Signal(int)`` in the body of a Python subclass."""

    def __init__(self, *argumentTypes):
        self.argumentTypes = argumentTypes

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, wrapper, cls):
        return self if wrapper is None else qt_signals.BoundSignal(wrapper, self.name)

    def native(self):
        """The PySide6 signal with the signature that PythonQt gives it (int is qlonglong)."""
        return QtCore.Signal(*[_C_NAMES.get(t, "PyObject") for t in self.argumentTypes], name=self.name)


def slotDecorator(*argumentTypes):
    """``@qt.Slot(int)``: marks a method; Python callables connect without it."""
    return lambda function: function


def shellClass(cls):
    """The PySide6 subclass behind a Python subclass ``cls``: forwards virtual calls to the wrapper in ``_outer``."""
    if cls not in _shells:
        native = cls.nativeClass
        namespace = {"_outer": None, "__module__": __name__}
        for owner in reversed(cls.__mro__[: _ownerIndex(cls)]):
            for name, member in vars(owner).items():
                if isinstance(member, UserSignal):
                    namespace[name] = member.native()
                elif _overrides(native, name, member):
                    namespace[name] = _forward(native, name)
        _shells[cls] = type(cls.__name__, (native,), namespace)
    return _shells[cls]


def _overrides(native, name, member):
    isFunction = isinstance(member, types.FunctionType) and not name.startswith("__")
    return isFunction and callable(getattr(native, name, None))


def _ownerIndex(cls):
    return next(i for i, owner in enumerate(cls.__mro__) if "nativeClass" in vars(owner))


def _forward(native, name):
    base = getattr(native, name)

    def virtual(self, *args):
        outer = self._outer
        if not isinstance(outer, PythonQtInstanceWrapper) or not shiboken6.isValid(self):
            return base(self, *args)
        try:
            result = getattr(outer, name)(*[toPython(argument) for argument in args])
        except Exception:
            qt_signals.reportSlotError()
            return False if name in ("eventFilter", "event") else base(self, *args)
        return bool(result) if name in ("eventFilter", "event") else toNative(result)

    virtual.__name__ = name
    return virtual
