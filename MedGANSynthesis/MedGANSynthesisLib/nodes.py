"""Volume nodes seen as engine volumes, and grids put back onto nodes without losing a bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from medgan.errors import InputError
from medgan.volume import Geometry, Volume
from slicer.i18n import tr as _

from .attributes import ATTRIBUTE_PREFIX, IMAGE_CLASSES

_HOUNSFIELD = ("[hnsf'U]", "UCUM", "Hounsfield unit")
_ATTENUATION = ("112031", "DCM", "Attenuation Coefficient")


def volumeFromNode(node) -> Volume:
    """The image of a volume node, without copying its voxels.

    The geometry is the node's own grid. A parent transform is left out on purpose: it moves source and result alike,
    so the result simply gets the same parent. Of a picture with transparency the colors alone count.

    Raises:
        InputError: no node, a node without voxels, or a kind of volume that holds no image (labels, tensors).
    """
    if node is None:
        raise InputError(_("No source volume is selected; choose the volume to work on."))
    if node.GetClassName() not in IMAGE_CLASSES:
        raise InputError(
            _("'{name}' is not a gray-value or color image; choose another volume.").format(name=nodeName(node))
        )
    if node.GetScene() is None:
        raise InputError(_("'{name}' was deleted; choose another volume.").format(name=nodeName(node)))
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise InputError(_("'{name}' holds no voxels; load or create its image first.").format(name=nodeName(node)))
    modality, units = modalityAndUnits(node)
    array = slicer.util.arrayFromVolume(node)
    if array.ndim == 4 and array.shape[3] == 4:
        array = array[..., :3]
    return Volume(array, geometryOfNode(node), units, modality)


def nodeName(node) -> str:
    """The name of a node, '' if it has none."""
    return node.GetName() or ""


def modalityAndUnits(node) -> tuple[str, str]:
    """DICOM modality code and unit of a volume node as far as the scene knows them; '' where it does not.

    The coded units on the node come first (Slicer's DICOM reader sets them, and so does MedGAN), then the modality of
    the DICOM series. DICOM CT is loaded in Hounsfield units, for the reader applies the rescale.
    """
    units, quantity = node.GetVoxelValueUnits(), node.GetVoxelValueQuantity()
    if units is not None and units.GetCodeValue() == _HOUNSFIELD[0]:
        return "CT", "HU"
    if quantity is not None and quantity.GetCodeValue() == _ATTENUATION[0]:
        return "CT", "HU"
    modality = _dicomModality(node)
    return modality, "HU" if modality == "CT" else ""


def _dicomModality(node) -> str:
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        return ""
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return hierarchy.GetItemAttribute(item, name) or ""


def setHounsfieldUnits(node) -> None:
    """Say on the node that its values are Hounsfield units."""
    for setter, code in ((node.SetVoxelValueUnits, _HOUNSFIELD), (node.SetVoxelValueQuantity, _ATTENUATION)):
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(*code)
        setter(entry)


def geometryOfNode(node) -> Geometry:
    """The grid of a volume node in RAS mm, bit for bit, parent transform not included."""
    directions = [[0.0] * 3 for _row in range(3)]
    node.GetIJKToRASDirections(directions)
    return Geometry(node.GetOrigin(), node.GetSpacing(), directions)


def setGeometryOfNode(node, geometry: Geometry) -> None:
    """Put a node onto a grid so that origin, spacing and directions come back with the same bits.

    MRML setters ignore a number that differs from the present one by less than 2e-16, so a direction cosine of 1e-17
    would be lost; each setter is therefore called with something far away first.
    """
    origin, spacing, directions = geometry.origin_mm, geometry.spacing_mm, geometry.directions
    with slicer.util.NodeModify(node):
        node.SetOrigin((origin + np.abs(origin) + 1.0).tolist())
        node.SetOrigin(origin.tolist())
        node.SetSpacing((2.0 * spacing + 1.0).tolist())
        node.SetSpacing(spacing.tolist())
        node.SetIJKToRASDirections(*(directions.ravel() + 3.0).tolist())
        node.SetIJKToRASDirections(*directions.ravel().tolist())


def sameGrid(node, volume: Volume) -> bool:
    """Whether a node holds voxels on exactly the grid of a volume."""
    image = node.GetImageData()
    if image is None or tuple(reversed(image.GetDimensions())) != volume.grid_shape:
        return False
    return image.GetNumberOfScalarComponents() == volume.channels and geometryOfNode(node).is_close(
        volume.geometry, 0.0
    )


def writableType(array: np.ndarray) -> np.ndarray:
    """The array in a type that volume nodes can hold: no 64-bit integers, half floats or booleans."""
    replacement = {"b1": "u1", "i8": "i4", "u8": "u4", "f2": "f4"}.get(array.dtype.str[1:])
    if replacement is None:
        return array
    if array.dtype.itemsize == 8:
        limits = np.iinfo(replacement)
        if array.min() < limits.min or array.max() > limits.max:
            return array.astype(np.float64)
    return array.astype(replacement)


def clearAttributes(node) -> None:
    """Remove all ``MedGAN.*`` attributes of a node."""
    for name in node.GetAttributeNames():
        if name.startswith(ATTRIBUTE_PREFIX):
            node.RemoveAttribute(name)


@dataclass(frozen=True)
class Contents:
    """What a volume node holds: voxels (a view), grid, ``MedGAN.*`` attributes, voxel units and quantity, parent."""

    array: np.ndarray
    geometry: Geometry
    attributes: dict[str, str]
    units: Any
    quantity: Any
    parentID: str | None

    @classmethod
    def of(cls, node) -> Contents:
        names = [name for name in node.GetAttributeNames() if name.startswith(ATTRIBUTE_PREFIX)]
        attributes = {name: node.GetAttribute(name) for name in names}
        array, geometry = slicer.util.arrayFromVolume(node), geometryOfNode(node)
        units, quantity = node.GetVoxelValueUnits(), node.GetVoxelValueQuantity()
        return cls(array, geometry, attributes, units, quantity, node.GetTransformNodeID())

    def restoreFacts(self, node) -> None:
        """Give a node these attributes, units and quantity (not the voxels: those go through the write gate)."""
        clearAttributes(node)
        for name, value in self.attributes.items():
            node.SetAttribute(name, value)
        node.SetVoxelValueUnits(self.units)
        node.SetVoxelValueQuantity(self.quantity)
