"""The modules ``qt`` and ``ctk``: every class of Qt's modules, and the CTK widgets the stand-in has."""

import types

from . import qt_special  # noqa: F401  (fills the table of special members)
from .qt_members import findNative, hostClasses
from .qt_subclass import UserSignal, slotDecorator
from .qt_wrapper import wrapperClass


class QtModule(types.ModuleType):
    """``qt``: classes appear when first asked for."""

    Signal = UserSignal
    Slot = staticmethod(slotDecorator)

    def __getattr__(self, name):
        native = findNative(name) if name.startswith("Q") else None
        if native is None or name in hostClasses:
            raise AttributeError(f"module 'qt' has no attribute '{name}' (in the MedGAN test host)")
        setattr(self, name, wrapperClass(native))
        return getattr(self, name)


class CtkModule(types.ModuleType):
    """``ctk``: the widgets that the stand-in implements."""

    def __getattr__(self, name):
        if name not in hostClasses or not name.startswith("ctk"):
            raise AttributeError(f"module 'ctk' has no attribute '{name}' (in the MedGAN test host)")
        return wrapperClass(hostClasses[name])
