"""How MedGAN's marks on nodes are called, and which nodes hold images; imported when Slicer starts, so it is light."""

from __future__ import annotations

ATTRIBUTE_PREFIX = "MedGAN."
NOTE_ATTRIBUTE = ATTRIBUTE_PREFIX + "Note"  # only synthetic images have it

IMAGE_CLASSES = ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")  # not their subclasses: labels, diffusion
