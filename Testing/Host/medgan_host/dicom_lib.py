"""``DICOMLib``: what a DICOM plugin derives from and hands over; the database and the dialogs are not here."""

import shutil
import sys
import types

import slicer

from .fields import field
from .native_qt import QtCore
from .qt_special import registerHostClass


class _TagMap(QtCore.QObject):
    """Values by name, set one by one."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._tagMap = {}

    def _setTags(self, tags):
        self._tagMap = {str(name): str(value) for name, value in tags.items()}

    tags = QtCore.Property("QVariantMap", lambda self: dict(self._tagMap), _setTags)

    def tag(self, name):
        return self._tagMap.get(name, "")

    def setTag(self, name, value):
        self._tagMap[str(name)] = str(value)


@registerHostClass
class qSlicerDICOMExportable(_TagMap):
    """One way to write a data node as DICOM files."""

    name = field(str, "name", "Unknown exporter")
    tooltip = field(str, "tooltip", "Creates a DICOM file from the selected data")
    subjectHierarchyItemID = field("qlonglong", "subjectHierarchyItemID", 0)
    pluginClass = field(str, "pluginClass", "")
    directory = field(str, "directory", "")
    confidence = field(float, "confidence", 0.0)


class DICOMLoadable:
    """Files that can be loaded together."""

    def __init__(self, qLoadable=None):
        self.files = list(qLoadable.files) if qLoadable is not None else []
        self.name = qLoadable.name if qLoadable is not None else "Unknown"
        self.tooltip = qLoadable.tooltip if qLoadable is not None else "No further information available"
        self.warning = qLoadable.warning if qLoadable is not None else ""
        self.selected = qLoadable.selected if qLoadable is not None else False
        self.confidence = qLoadable.confidence if qLoadable is not None else 0.5


class DICOMPlugin:
    """Base of the plugins; those of Slicer's own methods that read its DICOM database are not here."""

    def __init__(self):
        self.loadType = "Generic DICOM"
        self.loadableCache = {}
        self.tags = {
            "seriesDescription": "0008,103E",
            "seriesNumber": "0020,0011",
            "frameOfReferenceUID": "0020,0052",
            "seriesInstanceUID": "0020,000E",
            "modality": "0008,0060",
            "instanceUID": "0008,0018",
            "sopClassUID": "0008,0016",
        }
        self.tempDir = None

    def cleanup(self):
        """Remove the temporary folder of a load, if any."""
        if self.tempDir:
            shutil.rmtree(self.tempDir, ignore_errors=True)
            self.tempDir = None

    def examineForImport(self, fileList):
        return [loadable for files in fileList for loadable in self.examineFiles(files)]

    def examine(self, fileList):
        return self.examineForImport(fileList)

    def examineFiles(self, files):
        return []

    def load(self, loadable):
        return True

    def examineForExport(self, subjectHierarchyItemID):
        return []

    def export(self, exportables):
        return ""

    def isDetailedLogging(self):
        return slicer.util.settingsValue("DICOM/detailedLogging", False, converter=slicer.util.toBool)


def makeModule():
    """Make ``DICOMLib`` and its module ``DICOMPlugin`` importable."""
    for name in ("DICOMLib", "DICOMLib.DICOMPlugin"):
        sys.modules[name] = module = types.ModuleType(name)
        module.DICOMPlugin, module.DICOMLoadable = DICOMPlugin, DICOMLoadable
