"""MedGANDICOMPlugin: exports synthetic volumes as DICOM that says so, from Slicer's own DICOM export dialog.

Slicer's own exporter would call the image original and primary. Slicer imports this file when it starts, so what does
the work is imported when there is something to export.
"""

from __future__ import annotations

from pathlib import Path

import slicer
from DICOMLib import DICOMPlugin
from medgan.errors import MedGANError
from slicer.i18n import tr as _

from .attributes import ATTRIBUTE_PREFIX, IMAGE_CLASSES

_CONFIDENCE = 0.95  # above Slicer's exporter of scalar volumes (0.5)


class MedGANDICOMPlugin(DICOMPlugin):
    """Offers itself for volumes that MedGAN computed, and for no others."""

    def __init__(self):
        super().__init__()
        self.loadType = _("Synthetic image (MedGAN)")

    def examineForExport(self, subjectHierarchyItemID: int) -> list:
        """The ways in which an item of the subject hierarchy can be exported: one for a synthetic image, else none."""
        from .nodes import modalityAndUnits, nodeName

        node = slicer.mrmlScene.GetSubjectHierarchyNode().GetItemDataNode(subjectHierarchyItemID)
        if not isExportable(node):
            return []
        exportable = slicer.qSlicerDICOMExportable()
        exportable.name = self.loadType
        exportable.tooltip = _(
            "Creates a derived series that is marked as synthetic and tells which model made it, from which images."
        )
        exportable.subjectHierarchyItemID = subjectHierarchyItemID
        exportable.pluginClass = type(self).__name__
        exportable.confidence = _CONFIDENCE
        modality = modalityAndUnits(node)[0] or _sourceModality(node)
        # Names of DICOM attributes, which are not translated.
        for name, value in (("SeriesDescription", nodeName(node)), ("Modality", modality), ("SeriesNumber", "")):
            exportable.setTag(name, value)
        return [exportable]

    def export(self, exportables) -> str:
        """Write each exportable into a folder of its own. Returns what went wrong, '' if nothing did."""
        try:
            for exportable in exportables:
                self._export(exportable)
        except MedGANError as error:
            return str(error)
        return ""

    def _export(self, exportable) -> None:
        from medgan.dicom_write import write_derived_series

        from .nodes import Contents, nodeName, volumeFromNode
        from .sourceImages import frameOfReferenceUID, sourceHeaders

        node = slicer.mrmlScene.GetSubjectHierarchyNode().GetItemDataNode(exportable.subjectHierarchyItemID)
        if node is None or node.GetTransformNodeID():
            name = nodeName(node) if node is not None else ""
            message = _("'{name}' is under a transform, which DICOM cannot hold; harden the transform first.")
            raise MedGANError(message.format(name=name))
        volume = volumeFromNode(node)
        modality = exportable.tag("Modality")
        units = "HU" if modality == "CT" and volume.units in ("", "HU") else volume.units
        facts = {name.removeprefix(ATTRIBUTE_PREFIX): value for name, value in Contents.of(node).attributes.items()}
        tags = {name: exportable.tag(name) for name in _TAGS}
        tags["FrameOfReferenceUID"] = frameOfReferenceUID(node)
        write_derived_series(
            volume.with_array(volume.array, modality=modality, units=units),
            Path(exportable.directory) / f"MedGAN_{exportable.subjectHierarchyItemID}",
            facts,
            sourceHeaders(node),
            description=exportable.tag("SeriesDescription"),
            window=_window(node),
            tags=tags,
        )


# What the export dialog lets the user edit, and the subject hierarchy knows of the patient and the study.
_TAGS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate",
    "StudyTime", "StudyDescription", "SeriesNumber",
)  # fmt: skip


def isExportable(node) -> bool:
    """Whether a node holds a synthetic image; its spread and what was removed are no images of a patient."""
    if node is None or node.GetClassName() not in IMAGE_CLASSES or node.GetImageData() is None:
        return False
    return bool(node.GetAttribute(f"{ATTRIBUTE_PREFIX}Model")) and not node.GetAttribute(f"{ATTRIBUTE_PREFIX}Content")


def registerDicomPlugin() -> None:
    """Make the plugin known to Slicer's DICOM module."""
    try:
        plugins = slicer.modules.dicomPlugins
    except AttributeError:  # the DICOM module comes later, or was left out of this Slicer
        plugins = slicer.modules.dicomPlugins = {}
    plugins[MedGANDICOMPlugin.__name__] = MedGANDICOMPlugin


def _sourceModality(node) -> str:
    from .sourceImages import sourceHeaders

    sources = sourceHeaders(node)
    if sources:
        return str(sources[0].get("Modality", ""))
    return "SM" if node.GetClassName() == "vtkMRMLVectorVolumeNode" else ""


def _window(node) -> tuple[float, float] | None:
    display = node.GetDisplayNode()
    if display is None or not display.IsA("vtkMRMLScalarVolumeDisplayNode"):
        return None
    return display.GetLevel(), display.GetWindow()
