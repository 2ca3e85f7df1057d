"""The write gate: the only code that puts image data into nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
from medgan.errors import InputError, MedGANError
from medgan.provenance import SYNTHETIC
from medgan.volume import Volume
from slicer.i18n import tr as _

from .attributes import ATTRIBUTE_PREFIX, NOTE_ATTRIBUTE
from .displays import copyDisplay, followDisplay, spreadDisplay
from .History import History, Step
from .nodes import (
    Contents,
    clearAttributes,
    geometryOfNode,
    nodeName,
    sameGrid,
    setGeometryOfNode,
    setHounsfieldUnits,
    volumeFromNode,
    writableType,
)
from .Prepared import RESULT, SPREAD, Prepared, notEnoughMemory
from .sourceImages import SOURCE_ROLE

# Node references from an output to the nodes that belong to it.
REMOVED_ROLE = "MedGAN.Removed"
SPREAD_ROLE = "MedGAN.Spread"


class Gate:
    """Writes results into volume nodes, all of it or nothing, and takes it back.

    Args:
        history: where overwritten voxels are remembered.
    """

    def __init__(self, history: History | None = None):
        self.history = history or History()

    def writeNew(self, prepared: Prepared, title: str):
        """Put a result into a new node beside its source.

        The node gets the display and parent transform of the source, its place in the subject hierarchy, and its name
        followed by ``title``, as in "CT denoised".

        Returns:
            the new node.

        Raises:
            MedGANError: it could not be written; the scene is as it was before.
        """
        sourceNode = prepared.sourceNode
        scene = sourceNode.GetScene()
        name = scene.GenerateUniqueName(f"{nodeName(sourceNode)} {title}".strip())
        node = scene.AddNewNodeByClass(_className(prepared.image), name)
        try:
            _fill(node, prepared)
            _describe(node, prepared)
            _display(node, prepared)
            _placeBeside(node, sourceNode)
        except Exception as error:
            removeWithDisplay(node)
            raise _asMedGANError(error) from error
        return node

    def writeInto(self, node, prepared: Prepared) -> None:
        """Put a result into an existing node, its source (in place) or another one; ``undo`` takes it back.

        Raises:
            MedGANError: the node cannot hold the image, or writing failed; the node is as it was before.
        """
        self.checkTarget(node, prepared)
        step = None
        if node.GetImageData() is not None:
            before = Contents.of(node)
            image, parentID = prepared.image, prepared.sourceNode.GetTransformNodeID()
            after = replace(before, array=image.array, geometry=image.geometry, parentID=parentID)
            step = self.history.record(node, before, after)
        try:
            if node is prepared.sourceNode:
                _overwrite(node, ..., prepared.image.array)
            else:
                _fill(node, prepared)
                _placeBeside(node, prepared.sourceNode)
            _describe(node, prepared)
            if node.GetDisplayNode() is None:
                _display(node, prepared)
        except Exception as error:
            if step is None:
                node.SetAndObserveImageData(None)
            else:
                self.history.forget(step)
                _restore(step)
            raise _asMedGANError(error) from error

    def checkTarget(self, node, prepared: Prepared) -> None:
        """Raises InputError: the node cannot hold the image; only kind, grid and unit of the image are looked at."""
        if node is prepared.sourceNode:
            if not (sameGrid(node, prepared.image) and prepared.sameUnits):
                message = _("The result has another grid or unit than '{name}'; let it go into a new volume.")
                raise InputError(message.format(name=nodeName(node)))
        elif node.GetClassName() != _className(prepared.image):
            message = _("'{name}' is not the kind of volume that can hold the result; choose a new output volume.")
            raise InputError(message.format(name=nodeName(node)))

    def writePreview(self, node, image: Volume, sourceNode, sameKind: bool = True) -> None:
        """Put a preview into a node that lives only for it: no history, and of provenance only the note.

        It looks as its source does, or, in Hounsfield units made of something else, as a CT does. Voxels of the shape
        and type the node has already go straight into its array.

        Args:
            node: of the class that fits the image.
            image: (k, j, i[, c]) on its own grid, which may be a part of the source's; copied.
            sameKind: the model keeps unit and meaning of its source.

        Raises:
            MedGANError: it could not be written.
        """
        if node.GetClassName() != _className(image):
            raise InputError(_("The preview needs another kind of volume; switch it off and on again."))
        prepared = Prepared(sourceNode, volumeFromNode(sourceNode), image, {}, sameKind=sameKind)
        try:
            with slicer.util.NodeModify(node):
                _refill(node, image)
                node.SetAttribute(NOTE_ATTRIBUTE, SYNTHETIC)
                node.SetAndObserveTransformNodeID(sourceNode.GetTransformNodeID())
                followDisplay(node, prepared)
        except Exception as error:
            raise _asMedGANError(error) from error

    def undo(self, node=None):
        """Take back the last write (into this node, or into any). Returns the node. Raises InputError: see History."""
        step = self.history.takeUndo(node)
        turned = step.turned(Contents.of(step.node()))
        _restore(step)
        self.history.putRedo(turned)
        return step.node()

    def redo(self, node=None):
        """Write again what was undone last. Returns the node. Raises InputError: see History."""
        step = self.history.takeRedo(node)
        turned = step.turned(Contents.of(step.node()))
        _restore(step)
        self.history.putUndo(turned)
        return step.node()


def removeWithDisplay(node) -> None:
    """Remove a node that was just made, and the display node made for it."""
    scene = node.GetScene()
    if node.GetDisplayNode() is not None:
        scene.RemoveNode(node.GetDisplayNode())
    scene.RemoveNode(node)


def _className(image: Volume) -> str:
    """The class of volume node that holds an image."""
    return "vtkMRMLVectorVolumeNode" if image.array.ndim == 4 else "vtkMRMLScalarVolumeNode"


def _fill(node, prepared: Prepared) -> None:
    with slicer.util.NodeModify(node):
        slicer.util.updateVolumeFromArray(node, prepared.image.array)
        setGeometryOfNode(node, prepared.image.geometry)
        _markColor(node, prepared.image)


def _refill(node, image: Volume) -> None:
    array = writableType(image.array)
    held = slicer.util.arrayFromVolume(node) if node.GetImageData() is not None else None
    if held is not None and (held.shape, held.dtype) == (array.shape, array.dtype):
        np.copyto(held, array)
        slicer.util.arrayFromVolumeModified(node)
    else:
        slicer.util.updateVolumeFromArray(node, array)
        _markColor(node, image)
    if not geometryOfNode(node).is_close(image.geometry, 0.0):
        setGeometryOfNode(node, image.geometry)


def _markColor(node, image: Volume) -> None:
    if image.channels == 3:
        node.SetVoxelVectorType(slicer.vtkMRMLVolumeNode.VoxelVectorTypeColorRGB)


def _overwrite(node, box, values: np.ndarray) -> None:
    slicer.util.arrayFromVolume(node)[box] = values
    slicer.util.arrayFromVolumeModified(node)


def _restore(step: Step) -> None:
    node = step.node()
    with slicer.util.NodeModify(node):
        if step.whole:
            slicer.util.updateVolumeFromArray(node, step.other.array())
            setGeometryOfNode(node, step.facts.geometry)
        else:
            _overwrite(node, step.box, step.other.array())
        step.facts.restoreFacts(node)
        parentID = step.facts.parentID
        if step.moved and (parentID is None or node.GetScene().GetNodeByID(parentID) is not None):
            node.SetAndObserveTransformNodeID(parentID)


def _describe(node, prepared: Prepared) -> None:
    clearAttributes(node)
    for key, value in prepared.facts.items():
        node.SetAttribute(ATTRIBUTE_PREFIX + key, str(value))
    if node is not prepared.sourceNode:
        node.SetNodeReferenceID(SOURCE_ROLE, prepared.sourceNode.GetID())
    if prepared.sameUnits:
        node.SetVoxelValueUnits(prepared.sourceNode.GetVoxelValueUnits())
        node.SetVoxelValueQuantity(prepared.sourceNode.GetVoxelValueQuantity())
    elif prepared.image.units == "HU":
        setHounsfieldUnits(node)
    else:
        node.SetVoxelValueUnits(None)
        node.SetVoxelValueQuantity(None)


def _display(node, prepared: Prepared) -> None:
    if prepared.kind == SPREAD:
        spreadDisplay(node, prepared.image.array)
    elif prepared.kind == RESULT:
        copyDisplay(node, prepared)
    else:
        node.CreateDefaultDisplayNodes()


def _placeBeside(node, sourceNode) -> None:
    node.SetAndObserveTransformNodeID(sourceNode.GetTransformNodeID())
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    sourceItem, item = hierarchy.GetItemByDataNode(sourceNode), hierarchy.GetItemByDataNode(node)
    if sourceItem == hierarchy.GetInvalidItemID():
        return
    parent = hierarchy.GetItemParent(sourceItem)
    if item == hierarchy.GetInvalidItemID():
        hierarchy.CreateItem(parent, node)
    else:
        hierarchy.SetItemParent(item, parent)


def _asMedGANError(error: Exception) -> MedGANError:
    if isinstance(error, MedGANError):
        return error
    if isinstance(error, MemoryError):
        return notEnoughMemory()
    return MedGANError(_("The result could not be written into the scene: {reason}").format(reason=error))
