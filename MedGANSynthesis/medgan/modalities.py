"""Modalities of the images of each task, as DICOM codes, and how many values a voxel of them has."""

from __future__ import annotations

MODALITIES = {
    "denoise-ct": ("CT", "CT"),
    "contrast-ct": ("CT", "CT"),
    "superres-mr": ("MR", "MR"),
    "mr-to-ct": ("MR", "CT"),
    "mr-to-ct-unpaired": ("MR", "CT"),
    "stain": ("SM", "SM"),
}
"""Modality of source and target of each task."""


def components(modality: str) -> int:
    """Values per voxel of an image that is learnt from: slides ("SM") are RGB, all else is scalar."""
    return 3 if modality == "SM" else 1
