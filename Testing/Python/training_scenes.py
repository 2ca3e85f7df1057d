"""What the tests of the dataset side share: heads in the scene as a hospital's DICOM data would lie there."""

import slicer
from head_phantoms import head
from MedGANSynthesisLib.nodes import setGeometryOfNode, setHounsfieldUnits


def addVolumeNode(volume, name):
    """A volume node of a volume; a CT says that its values are Hounsfield units."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, volume.array)
    setGeometryOfNode(node, volume.geometry)
    node.CreateDefaultDisplayNodes()
    if volume.units == "HU":
        setHounsfieldUnits(node)
    return node


def addPatient(name, patientID=""):
    """An item of the subject hierarchy for a patient."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    if patientID:
        hierarchy.SetItemAttribute(item, "DICOM.PatientID", patientID)
        hierarchy.SetItemUID(item, "DICOM", patientID)
    return item


def addStudy(patientItem, name="Study", uid=""):
    """A study of a patient."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.CreateStudyItem(patientItem, name)
    if uid:
        hierarchy.SetItemUID(item, "DICOM", uid)
    return item


def put(node, item, modality="", uid=""):
    """Put a node under an item, as a series of a modality."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    own = hierarchy.GetItemByDataNode(node)
    hierarchy.SetItemParent(own, item)
    if modality:
        hierarchy.SetItemAttribute(own, "DICOM.Modality", modality)
    if uid:
        hierarchy.SetItemUID(own, "DICOM", uid)
    return node


def addHead(seed, patientItem=None, modalities=True):
    """MR and CT of a head, in one study if there is a patient. Returns the two nodes."""
    nodes = [addVolumeNode(volume, f"head{seed}_{volume.modality.lower()}") for volume in head(seed)]
    if patientItem is not None:
        study = addStudy(patientItem)
        for node, modality in zip(nodes, ("MR", "CT"), strict=True):
            put(node, study, modality if modalities else "")
    return nodes
