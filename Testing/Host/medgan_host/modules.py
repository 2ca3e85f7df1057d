"""Modules: ``slicer.modules``, the module manager, and the C++ sides of scripted modules and their widgets."""

import importlib
import sys
import types
from pathlib import Path

import slicer

from .fields import field
from .native_qt import QtCore, QtGui, QtWidgets
from .qt_special import registerHostClass
from .qt_wrapper import wrap


class ModulesNamespace(types.ModuleType):
    """``slicer.modules``: one attribute per module, lower case."""

    def __init__(self):
        super().__init__("slicer.modules")
        self.dicomPlugins = {}
        self.sampleDataSources = {}


class BuiltInModule:
    """A C++ module of Slicer of which the stand-in has the logic."""

    def __init__(self, name, logic):
        self.name, self.title, self._logic = name, name, logic

    def logic(self):
        return self._logic

    def __getattr__(self, name):
        raise AttributeError(f"The MedGAN test host's module '{self.__dict__['name']}' has no '{name}'")


class ModuleManager(QtCore.QObject):
    """``slicer.app.moduleManager()``."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleLoaded = QtCore.Signal(str)

    def __init__(self):
        super().__init__()
        self._modules = {}

    modulesNames = QtCore.Property("QStringList", lambda self: list(self._modules))

    def register(self, name, module):
        self._modules[name] = module
        setattr(slicer.modules, name.lower(), module)
        self.moduleLoaded.emit(name)

    def module(self, name):
        return self._modules.get(name)

    def isLoaded(self, name):
        return name in self._modules


@registerHostClass
class qSlicerScriptedLoadableModule(QtCore.QObject):
    """``parent`` of a ScriptedLoadableModule: what a module says about itself."""

    title = field(str, "title", "")
    categories = field("QStringList", "categories", [])
    contributors = field("QStringList", "contributors", [])
    dependencies = field("QStringList", "dependencies", [])
    associatedNodeTypes = field("QStringList", "associatedNodeTypes", [])
    helpText = field(str, "helpText", "")
    acknowledgementText = field(str, "acknowledgementText", "")
    icon = field(QtGui.QIcon, "icon", QtGui.QIcon())
    index = field(int, "index", -1)
    hidden = field(bool, "hidden", False)
    widgetRepresentationCreationEnabled = field(bool, "widgetRepresentationCreationEnabled", True)
    name = QtCore.Property(str, lambda self: self._moduleName)
    path = QtCore.Property(str, lambda self: self._path)

    def __init__(self, moduleName="", path=""):
        super().__init__()
        self._moduleName, self._path, self._widget = moduleName, path, None

    def widgetRepresentation(self):
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self._moduleName)
            self._widget.reload()
        return self._widget

    def createNewWidgetRepresentation(self):
        widget = qSlicerScriptedLoadableModuleWidget(self._moduleName)
        widget.reload()
        return widget

    def hasWidgetRepresentation(self):
        return self._widget is not None


@registerHostClass
class qSlicerScriptedLoadableModuleWidget(QtWidgets.QWidget):
    """``parent`` of a ScriptedLoadableModuleWidget; makes the Python widget and forwards enter and exit."""

    mrmlSceneChanged = QtCore.Signal(object)
    moduleName = QtCore.Property(str, lambda self: self._moduleName)

    def __init__(self, moduleName="", parent=None):
        super().__init__(parent)
        self._moduleName, self._python, self._entered = moduleName, None, False
        QtWidgets.QVBoxLayout(self)

    def self(self):
        return self._python

    def reload(self):
        """Make a new Python widget from the class now in the module, as at first use and after a reload."""
        cls = getattr(sys.modules[self._moduleName], self._moduleName + "Widget")
        self._python = cls(wrap(self))
        setattr(slicer.modules, self._moduleName + "Widget", self._python)
        self._python.setup()
        self.mrmlSceneChanged.emit(slicer.mrmlScene)

    def mrmlScene(self):
        return slicer.mrmlScene

    isEntered = QtCore.Property(bool, lambda self: self._entered)

    def enter(self):
        self._entered = True
        if hasattr(self._python, "enter"):
            self._python.enter()

    def exit(self):
        self._entered = False
        if hasattr(self._python, "exit"):
            self._python.exit()


def loadModule(path, manager):
    """Make the scripted module in the file ``path`` known, as Slicer does at start; returns the module.

    Raises what the file's import or the module class raises, ImportError for a file without module class.
    """
    path = Path(path).resolve()
    name = path.stem
    if manager.isLoaded(name):
        return wrap(manager.module(name))
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    pythonModule = importlib.import_module(name)
    cls = getattr(pythonModule, name, None)
    if cls is None:
        raise ImportError(f"{path} has no class {name}: a scripted module's class is named as its file.")
    native = qSlicerScriptedLoadableModule(name, str(path))
    manager.register(name, wrap(native))
    native._instance = cls(wrap(native))
    setattr(slicer.modules, name + "Instance", native._instance)
    slicer.app.startupCompleted.emit()  # Slicer emits it once, when every module exists
    slicer.app.disconnect("startupCompleted()")
    return wrap(native)
