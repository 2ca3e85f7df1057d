"""Whose image a volume node is, as far as the scene and Slicer's DICOM database know."""

from __future__ import annotations

import slicer
from MedGANSynthesisLib.sourceImages import instanceUIDs

_TAGS = {"PatientID": "0010,0020", "StudyInstanceUID": "0020,000D", "SeriesInstanceUID": "0020,000E"}


def identityOf(node) -> dict[str, str]:
    """``PatientID``, ``StudyInstanceUID`` and ``SeriesInstanceUID`` of a volume node; what is not known is left out."""
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy, item = _itemOf(node)
    found = {}
    if item:
        patient = ancestor(hierarchy, item, constants.GetDICOMLevelPatient())
        study = ancestor(hierarchy, item, constants.GetDICOMLevelStudy())
        uid = constants.GetDICOMUIDName()
        found = {
            "PatientID": _patientID(hierarchy, patient),
            "StudyInstanceUID": hierarchy.GetItemUID(study, uid) if study else "",
            "SeriesInstanceUID": hierarchy.GetItemUID(item, uid),
        }
    if not found.get("PatientID") and node.GetScene() is slicer.mrmlScene:
        found |= {name: value for name, value in _fromDatabase(node).items() if value}
    return {name: value for name, value in found.items() if value}


def patientNameOf(node) -> str:
    """What the subject hierarchy calls the patient of a volume node, else the folder it is in, '' if it is in none."""
    hierarchy, item = _itemOf(node)
    if not item:
        return ""
    over = ancestor(hierarchy, item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient())
    over = over or hierarchy.GetItemParent(item)
    return "" if over in (hierarchy.GetInvalidItemID(), hierarchy.GetSceneItemID()) else hierarchy.GetItemName(over)


def ancestor(hierarchy, item: int, level: str) -> int:
    """The item at a level ("Patient", "Study") that an item stands under, 0 if there is none."""
    while item not in (hierarchy.GetInvalidItemID(), hierarchy.GetSceneItemID()):
        if hierarchy.GetItemLevel(item) == level:
            return item
        item = hierarchy.GetItemParent(item)
    return 0


def _itemOf(node):
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    return hierarchy, item or 0


def _patientID(hierarchy, patient: int) -> str:
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    if not patient:
        return ""
    attribute = hierarchy.GetItemAttribute(patient, constants.GetDICOMPatientIDAttributeName())
    return attribute or hierarchy.GetItemUID(patient, constants.GetDICOMUIDName()) or ""


def _fromDatabase(node) -> dict[str, str]:
    """What the DICOM database says about the first image of a node."""
    try:
        database = slicer.dicomDatabase
    except AttributeError:  # no DICOM module, or no database opened yet
        return {}
    uid = next(iter(instanceUIDs(node)), "")
    return {name: database.instanceValue(uid, tag) for name, tag in _TAGS.items()} if uid else {}
