"""Plugins of the subject hierarchy: their handler, the C++ side of scripted ones, and ``SubjectHierarchyPlugins``."""

import importlib.util
import sys
import types
from pathlib import Path

import slicer

from . import qt_signals
from .native_qt import QtCore, QtGui
from .qt_special import registerHostClass
from .qt_wrapper import unwrap, wrap


@registerHostClass
class qSlicerSubjectHierarchyScriptedPlugin(QtCore.QObject):
    """The C++ side of a plugin written in Python: forwards to the methods that its class has."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._name, self._source, self._python = "UnnamedScriptedPlugin", "", None

    def _setName(self, name):
        self._name = name

    name = QtCore.Property(str, lambda self: self._name, _setName)
    helpText = QtCore.Property(str, lambda self: self._call("helpText", default=""))

    def pythonSource(self):
        return self._source

    def self(self):
        return self._python

    def setPythonSource(self, filePath):
        """Make the plugin of the class named as the file; False, and a printed line, when there is none."""
        moduleName = Path(filePath).name.partition(".")[0]
        className = (
            moduleName if moduleName.endswith("SubjectHierarchyPlugin") else moduleName + "SubjectHierarchyPlugin"
        )
        if Path(filePath).suffix not in (".py", ".pyc"):
            return False
        try:
            module = sys.modules.get(moduleName)
            if not hasattr(module, className):
                module = _loadSource(moduleName, filePath)
            if not hasattr(module, className):
                print(
                    "RuntimeError: qSlicerSubjectHierarchyScriptedPlugin::setPythonSource - Failed to load subject "
                    f"hierarchy scripted plugin: class {className} was not found in {filePath}",
                    file=sys.stderr,
                )
                return False
            self._python = getattr(module, className)(wrap(self))
        except Exception:
            qt_signals.reportSlotError()
            return False
        self._source = filePath
        setattr(slicer, className, self._python)
        return True

    def _call(self, name, *arguments, default=None):
        method = getattr(self._python, name, None)
        if method is None:
            return default
        try:
            return method(*arguments)
        except Exception:
            qt_signals.reportSlotError()
            return default

    def canOwnSubjectHierarchyItem(self, itemID):
        return self._call("canOwnSubjectHierarchyItem", itemID, default=0.0)

    def roleForPlugin(self):
        return self._call("roleForPlugin", default="")

    def itemContextMenuActions(self):
        return [unwrap(action) for action in self._call("itemContextMenuActions", default=[])]

    def sceneContextMenuActions(self):
        return [unwrap(action) for action in self._call("sceneContextMenuActions", default=[])]

    def viewContextMenuActions(self):
        return [unwrap(action) for action in self._call("viewContextMenuActions", default=[])]

    def showContextMenuActionsForItem(self, itemID):
        self._call("showContextMenuActionsForItem", itemID)

    def showViewContextMenuActionsForItem(self, itemID, eventData):
        self._call("showViewContextMenuActionsForItem", itemID, eventData)

    def tooltip(self, itemID):
        return self._call("tooltip", itemID, default="")

    def icon(self, itemID):
        return unwrap(self._call("icon", itemID, default=QtGui.QIcon()))


def _loadSource(name, path):
    """Run the file as a module of its own, as Slicer does even if it is part of a package that was imported."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@registerHostClass
class qSlicerSubjectHierarchyPluginHandler(QtCore.QObject):
    """The one handler: knows the plugins and the item that the user has selected."""

    _instance = None

    def __init__(self, parent=None):
        super().__init__(parent)
        self._plugins, self._currentItems = [], []

    @staticmethod
    def instance():
        if qSlicerSubjectHierarchyPluginHandler._instance is None:
            qSlicerSubjectHierarchyPluginHandler._instance = qSlicerSubjectHierarchyPluginHandler()
        return qSlicerSubjectHierarchyPluginHandler._instance

    def registerPlugin(self, plugin):
        """True unless the plugin has no name or one with its name is here already."""
        native = unwrap(plugin)
        if native is None or not native.name or any(known.name == native.name for known in self._plugins):
            return False
        self._plugins.append(native)
        return True

    def registeredPlugins(self):
        return list(self._plugins)

    def pluginByName(self, name):
        return next((plugin for plugin in self._plugins if plugin.name == name), None)

    def mrmlScene(self):
        return slicer.mrmlScene

    def subjectHierarchyNode(self):
        return slicer.mrmlScene.GetSubjectHierarchyNode()

    def setCurrentItem(self, itemID):
        self._currentItems = [int(itemID)]

    def currentItem(self):
        return self._currentItems[0] if len(self._currentItems) == 1 else 0

    def setCurrentItems(self, itemIDs):
        self._currentItems = [int(itemID) for itemID in itemIDs]

    def currentItems(self, *selected):
        if not selected:
            return list(self._currentItems)
        for itemID in self._currentItems:
            selected[0].InsertNextId(itemID)
        return None


class AbstractScriptedSubjectHierarchyPlugin:
    """Base of the plugins written in Python; registers the C++ side."""

    def __init__(self, scriptedPlugin):
        self.scriptedPlugin = scriptedPlugin
        self.register()

    def register(self):
        slicer.qSlicerSubjectHierarchyPluginHandler.instance().registerPlugin(self.scriptedPlugin)


def makeModule():
    """Make ``SubjectHierarchyPlugins`` and ``AbstractScriptedSubjectHierarchyPlugin`` importable."""
    for name in ("SubjectHierarchyPlugins", "AbstractScriptedSubjectHierarchyPlugin"):
        sys.modules[name] = module = types.ModuleType(name)
        module.AbstractScriptedSubjectHierarchyPlugin = AbstractScriptedSubjectHierarchyPlugin
