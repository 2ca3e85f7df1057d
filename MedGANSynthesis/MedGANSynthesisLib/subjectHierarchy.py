"""Makes "Synthesize..." known to the subject hierarchy."""

from __future__ import annotations

from pathlib import Path

import slicer

_SOURCE = Path(__file__).with_name("MedGANSubjectHierarchyPlugin.py")


def registerSubjectHierarchyPlugin() -> None:
    """Add the action to the context menu of volumes; a second call changes nothing."""
    import SubjectHierarchyPlugins  # noqa: F401 - makes the base class of the plugin importable

    if hasattr(slicer, _SOURCE.stem):  # set by the first call; the handler would warn of a name it does not know
        return
    plugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
    plugin.setPythonSource(str(_SOURCE).replace("\\", "/"))
