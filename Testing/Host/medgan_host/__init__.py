"""A stand-in for the Slicer application on top of slicer-core and PySide6.

``install()`` provides ``slicer.mrmlScene``, ``slicer.app``, ``slicer.modules``, ``qt``, ``ctk`` and the Python packages
that only a Slicer install has; ``load_module(path)`` loads a scripted module as Slicer does at start. What is not
provided raises AttributeError.
"""

_host = None


def install():
    """Install once; further calls do nothing. ImportError with one sentence when a system library is missing."""
    global _host
    if _host is None:
        from .host import Host

        _host = Host()
    return _host


def load_module(path):
    """Load the scripted module in the file ``path``; returns what ``slicer.util.getModule`` returns for it."""
    from .modules import loadModule

    return loadModule(path, install().nativeModuleManager)


def slot_errors():
    """Tracebacks (list of str) of exceptions in Qt slots; in Slicer's testing mode one makes the exit code 1."""
    from .qt_signals import slotErrors

    return slotErrors
