"""The Qt binding below the stand-in: PySide6, imported in one place so that a missing library is one clear sentence."""

import ctypes
import os
import re
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

_PACKAGES = {
    "libEGL": "libegl1",
    "libGL": "libgl1",
    "libOpenGL": "libopengl0",
    "libxkbcommon": "libxkbcommon0",
    "libdbus": "libdbus-1-3",
    "libfontconfig": "libfontconfig1",
    "libfreetype": "libfreetype6",
    "libglib": "libglib2.0-0",
    "libgthread": "libglib2.0-0",
    "libX11": "libx11-6",
    "libzstd": "libzstd1",
}


def missing_library_message(error: ImportError) -> str:
    """One sentence saying what to install so that ``error``, raised while importing Qt, goes away."""
    found = re.search(r"(lib[A-Za-z0-9_+-]+)[.-][\w.]*so|(lib[A-Za-z0-9_+-]+)\.so", str(error))
    library = next((group for group in found.groups() if group), "") if found else ""
    if not library:
        return f"The test host needs PySide6-Essentials ({error}): pip install PySide6-Essentials."
    package = next((name for start, name in _PACKAGES.items() if library.startswith(start)), None)
    if package is None:
        return f"Qt needs the system library {library}, which this machine lacks; install the package that holds it."
    return (
        f"Qt needs the system library {library} ({package}); on Debian or Ubuntu: "
        "apt-get install -y libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0."
    )


try:
    import shiboken6
    from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
    from shibokensupport.signature import get_signature
except ImportError as error:
    raise ImportError(missing_library_message(error)) from error


def _keepSingletonsAlive():
    """Make None, True and False practically immortal, as they are from Python 3.12 on.

    PySide6 6.12 counts on that and hands them out without a new reference; on Python 3.11 some thousand calls would
    end in "Fatal Python error: none_dealloc".
    """
    for singleton in (None, True, False):
        ctypes.c_ssize_t.from_address(id(singleton)).value += 1 << 40


if sys.version_info < (3, 12):
    _keepSingletonsAlive()

MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)

__all__ = ["MODULES", "QtCore", "QtGui", "QtUiTools", "QtWidgets", "get_signature", "shiboken6"]
