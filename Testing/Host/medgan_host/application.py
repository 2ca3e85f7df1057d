"""``slicer.app`` and the main window."""

import os
import tempfile
from pathlib import Path

from .native_qt import QtCore, QtGui, QtWidgets
from .qt_special import registerHostClass

VERSION = (5, 12, 4)


class CommandOptions:
    """``slicer.app.commandOptions()``: what the command line of a test says."""

    noMainWindow = False
    runPythonAndExit = True


def provideFont():
    """Offscreen on a machine without fonts Qt draws no text: take the fonts that matplotlib brings along."""
    if QtGui.QFontInfo(QtWidgets.QApplication.font()).family():
        return
    try:
        import matplotlib
    except ImportError:
        return
    for path in sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf")):
        QtGui.QFontDatabase.addApplicationFont(str(path))
    QtWidgets.QApplication.setFont(QtGui.QFont("DejaVu Sans", 9))


@registerHostClass
class qSlicerApplication(QtWidgets.QApplication):
    """The application object: settings, temporary folder, access to scene, modules, files and views."""

    startupCompleted = QtCore.Signal()

    def __init__(self, arguments=()):
        super().__init__(["medgan-host", *arguments])
        self._temporary = tempfile.TemporaryDirectory(prefix="medgan-host-")
        self.setOrganizationName("NA-MIC")
        self.setApplicationName("Slicer")
        self.setQuitOnLastWindowClosed(False)
        self.setStyle("Fusion")
        provideFont()
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(
            QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(Path(self._temporary.name) / "settings")
        )
        self._host = None
        self._commandOptions = CommandOptions()
        self._paused = 0

    # What the documentation lists as properties.
    temporaryPath = QtCore.Property(str, lambda self: self._temporary.name)
    slicerHome = QtCore.Property(str, lambda self: os.environ.get("SLICER_HOME", ""))
    applicationVersion = QtCore.Property(str, lambda self: ".".join(map(str, VERSION)))
    majorVersion = QtCore.Property(int, lambda self: VERSION[0])
    minorVersion = QtCore.Property(int, lambda self: VERSION[1])
    revision = QtCore.Property(str, lambda self: "test host")
    os = QtCore.Property(str, lambda self: {"nt": "win"}.get(os.name, "linux"))

    documentationBaseUrl = QtCore.Property(str, lambda self: "https://slicer.readthedocs.io/en/latest/")

    def testingEnabled(self):
        return True

    def applicationLogic(self):
        return self._host.applicationLogic

    def mrmlScene(self):
        return self._host.scene

    def coreIOManager(self):
        return self._host.ioManager

    def moduleManager(self):
        return self._host.moduleManager

    def layoutManager(self):
        return self._host.layoutManager

    def userSettings(self):
        return QtCore.QSettings()

    settings = userSettings

    def moduleDocumentationUrl(self, moduleName):
        return f"{self.documentationBaseUrl}user_guide/modules/{moduleName.lower()}.html"

    def startupEnvironment(self):
        environment = QtCore.QProcessEnvironment.systemEnvironment()
        for name in ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH"):
            environment.remove(name)
        return environment

    def commandOptions(self):
        return self._commandOptions

    def exit(self, code=0):
        """Remember the exit code; the runner ends with it when the script is done."""
        self._host.exitCode = code
        super().exit(code)

    def restart(self):
        raise NotImplementedError("The MedGAN test host cannot restart itself.")

    def pauseRender(self):
        self._paused += 1

    def resumeRender(self):
        self._paused = max(0, self._paused - 1)


@registerHostClass
class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """The module selector of the main window."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._selected = ""

    selectedModule = QtCore.Property(str, lambda self: self._selected)

    def selectModule(self, name):
        module = QtWidgets.QApplication.instance().moduleManager().module(name)
        if module is None:
            print(f'The given module name "{name}" doesn\'t exist')
            return
        if self._selected == name:
            return
        self.leave()
        self._selected = name
        module.widgetRepresentation().enter()
        self.moduleSelected.emit(name)

    def leave(self):
        """Leave the current module (its widget's ``exit``)."""
        if self._selected:
            QtWidgets.QApplication.instance().moduleManager().module(self._selected).widgetRepresentation().exit()
            self._selected = ""


@registerHostClass
class qSlicerMainWindow(QtWidgets.QMainWindow):
    """A main window with status bar and module selector; never shown."""

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (MedGAN test host)")
        self.statusBar()
        self._selector = qSlicerModuleSelectorToolBar(self)
        self.addToolBar(self._selector)

    def moduleSelector(self):
        return self._selector
