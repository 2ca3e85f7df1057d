"""The write gate: the only code that puts image data into nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
from medgan.errors import InputError, MedGANError
from slicer.i18n import tr as _

from .History import History, Step
from .nodes import (
    ATTRIBUTE_PREFIX,
    Contents,
    clearAttributes,
    nodeName,
    sameGrid,
    setGeometryOfNode,
    setHounsfieldUnits,
)
from .Prepared import Prepared, notEnoughMemory

REMOVED_ROLE = "MedGAN.Removed"  # node reference from an output to the node with what was removed


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
        className = "vtkMRMLVectorVolumeNode" if prepared.image.array.ndim == 4 else "vtkMRMLScalarVolumeNode"
        node = scene.AddNewNodeByClass(className, scene.GenerateUniqueName(f"{nodeName(sourceNode)} {title}".strip()))
        try:
            _fill(node, prepared)
            _describe(node, prepared)
            _copyDisplay(node, prepared)
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
        _checkTarget(node, prepared)
        step = None
        if node.GetImageData() is not None:
            before = Contents.of(node)
            after = replace(before, array=prepared.image.array, geometry=prepared.image.geometry)
            step = self.history.record(node, before, after)
        try:
            if node is prepared.sourceNode:
                _overwrite(node, ..., prepared.image.array)
            else:
                _fill(node, prepared)
                _placeBeside(node, prepared.sourceNode)
            _describe(node, prepared)
            if node.GetDisplayNode() is None:
                _copyDisplay(node, prepared)
        except Exception as error:
            if step is None:
                node.SetAndObserveImageData(None)
            else:
                self.history.forget(step)
                _restore(step)
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


def _checkTarget(node, prepared: Prepared) -> None:
    if node is prepared.sourceNode:
        if not (sameGrid(node, prepared.image) and prepared.sameUnits):
            message = _("The result has another grid or unit than '{name}'; let it go into a new volume.")
            raise InputError(message.format(name=nodeName(node)))
        return
    wanted = "vtkMRMLVectorVolumeNode" if prepared.image.array.ndim == 4 else "vtkMRMLScalarVolumeNode"
    if node.GetClassName() != wanted:
        message = _("'{name}' is not the kind of volume that can hold the result; choose a new output volume.")
        raise InputError(message.format(name=nodeName(node)))


def _fill(node, prepared: Prepared) -> None:
    with slicer.util.NodeModify(node):
        slicer.util.updateVolumeFromArray(node, prepared.image.array)
        setGeometryOfNode(node, prepared.image.geometry)
        if prepared.image.channels == 3:
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


def _describe(node, prepared: Prepared) -> None:
    clearAttributes(node)
    for key, value in prepared.facts.items():
        node.SetAttribute(ATTRIBUTE_PREFIX + key, str(value))
    if prepared.sameUnits:
        node.SetVoxelValueUnits(prepared.sourceNode.GetVoxelValueUnits())
        node.SetVoxelValueQuantity(prepared.sourceNode.GetVoxelValueQuantity())
    elif prepared.image.units == "HU":
        setHounsfieldUnits(node)
    else:
        node.SetVoxelValueUnits(None)
        node.SetVoxelValueQuantity(None)


def _copyDisplay(node, prepared: Prepared) -> None:
    """The look of the source, held still: with automatic window and level before and after could not be compared."""
    model = prepared.sourceNode.GetDisplayNode()
    if model is None or prepared.isDifference or not prepared.sameUnits:
        node.CreateDefaultDisplayNodes()
        return
    # Set up before it sees the image: a default display node would first look for a window of its own, which is slow.
    display = node.GetScene().AddNewNodeByClass(model.GetClassName())
    display.CopyContent(model)
    if model.GetColorNodeID():
        display.SetAndObserveColorNodeID(model.GetColorNodeID())
    if display.IsA("vtkMRMLScalarVolumeDisplayNode"):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(model.GetWindow(), model.GetLevel())
    node.SetAndObserveDisplayNodeID(display.GetID())


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
