"""The DICOM images that a synthetic volume was computed from, as far as Slicer's DICOM database has them."""

from __future__ import annotations

import slicer

SOURCE_ROLE = "MedGAN.Source"  # node reference from an output to its source


def sourceHeaders(node) -> list:
    """Headers (pydicom data sets without pixels) of the source images of a volume node; empty if there are none."""
    source = node.GetNodeReference(SOURCE_ROLE) or node
    try:
        database = slicer.dicomDatabase
    except AttributeError:  # no DICOM module, or no database opened yet
        return []
    headers = []
    for uid in instanceUIDs(source):
        path = database.fileForInstance(uid)
        if path:
            import pydicom

            headers.append(pydicom.dcmread(path, stop_before_pixels=True))
    return headers


def frameOfReferenceUID(node) -> str:
    """The frame of reference the source image of a volume node lies in, as the scene knows it; '' if it does not."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node.GetNodeReference(SOURCE_ROLE) or node)
    if item == hierarchy.GetInvalidItemID():
        return ""
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMFrameOfReferenceUIDAttributeName()
    return hierarchy.GetItemAttribute(item, name) or ""


def instanceUIDs(node) -> list[str]:
    """SOP instance UIDs of the DICOM images a volume node was loaded from."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        return []
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMInstanceUIDName()
    return (hierarchy.GetItemUID(item, name) or "").split()
