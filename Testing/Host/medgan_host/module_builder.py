"""Makes modules out of objects, and puts them below the package ``slicer``."""

import sys
import types

import slicer


def pythonModule(name, *objects):
    """A module ``slicer.<x>`` holding ``objects`` under their names; it is importable from now on."""
    module = types.ModuleType(name)
    for item in objects:
        setattr(module, item.__name__, item)
    module.__all__ = [item.__name__ for item in objects]
    sys.modules[name] = module
    setattr(slicer, name.rpartition(".")[2], module)
    return module
