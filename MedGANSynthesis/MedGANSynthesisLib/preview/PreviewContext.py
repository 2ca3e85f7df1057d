"""PreviewContext: what would be applied, and the events of its nodes that change what a preview has to show."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import vtk


@dataclass(frozen=True, eq=False)
class PreviewContext:
    """What is chosen in the panel.

    Attributes:
        bundle, volumeNode: the model and the source.
        options: ``ApplyOptions``.
        mask: the keywords of ``logic.mask``.
        device: as in ``logic.apply``.
    """

    bundle: object
    volumeNode: object
    options: object
    mask: dict
    device: str

    @property
    def model(self) -> tuple[str, str]:
        """Tells the model from all others, also from what it was before it was trained again."""
        return (str(self.bundle.path), self.bundle.sha256)

    def sourceEvents(self) -> list[tuple]:
        """(node, event): the voxels of the source, or where they lie, have changed."""
        return _events(self.volumeNode, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)

    def maskEvents(self) -> list[tuple]:
        """(node, event): the mask has changed."""
        found = []
        for node in self.mask.values():
            if hasattr(node, "IsA") and node.IsA("vtkMRMLSegmentationNode"):
                moved, segments = slicer.vtkMRMLTransformableNode.TransformModifiedEvent, slicer.vtkSegmentation
                events = (moved, segments.SourceRepresentationModified, segments.SegmentRemoved)
                found += [(node, event) for event in events]
            elif hasattr(node, "IsA"):
                found += roiEvents(node)
        return found


def roiEvents(roiNode) -> list[tuple]:
    """(node, event): the box of a markups ROI (None: no events) has changed."""
    return [] if roiNode is None else _events(roiNode, slicer.vtkMRMLMarkupsNode.PointModifiedEvent)


def _events(node, event: int) -> list[tuple]:
    """What every node with a place in space tells, and one event more."""
    moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
    return [(node, each) for each in (vtk.vtkCommand.ModifiedEvent, moved, event)]
