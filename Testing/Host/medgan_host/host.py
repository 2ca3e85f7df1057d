"""Puts the pieces together: scene, application, windows, modules."""

import sys

from .native_qt import QtCore, QtWidgets  # first: it names a missing system library

import slicer  # isort: skip

from . import (  # noqa: F401
    ctk_folding,
    ctk_ranges,
    ctk_slider_widget,
    ctk_widgets,
    dicom_lib,
    mrml_widgets,
    node_combo_box,
    parameters,
    sample_data,
    scene_widget,
    scripted_module,
    small_modules,
    subject_hierarchy,
    ui_loader,
)
from .application import qSlicerApplication, qSlicerMainWindow
from .io_manager import CoreIOManager
from .layout import qSlicerLayoutManager
from .modules import BuiltInModule, ModuleManager, ModulesNamespace
from .qt_members import hostClasses
from .qt_modules import CtkModule, QtModule
from .qt_wrapper import wrap, wrapperClass
from .scene import SceneHost


class Host:
    """The one stand-in application of this process."""

    def __init__(self):
        if QtCore.QCoreApplication.instance() is not None:
            raise RuntimeError("Install the MedGAN test host before anything else makes a Qt application.")
        self.exitCode = None
        sys.modules["qt"], sys.modules["ctk"] = QtModule("qt"), CtkModule("ctk")
        self.nativeApplication = qSlicerApplication()
        self.nativeApplication._host = self
        slicer.app = wrap(self.nativeApplication)
        scene = SceneHost(self.nativeApplication.temporaryPath)
        self.scene, self.applicationLogic = scene.scene, scene.applicationLogic
        self.moduleLogics, self.sliceLogics = scene.moduleLogics, scene.sliceLogics
        self._publishClasses()
        self.ioManager = CoreIOManager(self)
        self.nativeModuleManager = ModuleManager()
        self.moduleManager = wrap(self.nativeModuleManager)
        slicer.modules = sys.modules["slicer.modules"] = ModulesNamespace()
        slicer.selfTests = {}
        for name, logic in self.moduleLogics.items():
            self.nativeModuleManager.register(name, BuiltInModule(name, logic))
        scripted_module.makeModule()
        small_modules.makeModules()
        parameters.makeModule()
        for module in (dicom_lib, sample_data, subject_hierarchy):
            module.makeModule()
        self.mainWindow = qSlicerMainWindow()
        self.nativeLayoutManager = qSlicerLayoutManager(scene)
        self.layoutManager = wrap(self.nativeLayoutManager)
        self.nativeApplication.aboutToQuit.connect(self.close)

    def _publishClasses(self):
        for name, cls in hostClasses.items():
            if not name.startswith("ctk"):
                setattr(slicer, name, wrapperClass(cls))

    def close(self):
        """What Slicer does at exit: leave the module shown, clean up every module widget."""
        self.mainWindow.moduleSelector().leave()
        for name in self.nativeModuleManager.modulesNames:
            self.nativeModuleManager.moduleAboutToBeUnloaded.emit(name)
        QtWidgets.QApplication.processEvents()
