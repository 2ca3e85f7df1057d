"""What is wrong with images that shall become a case, told before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .modalities import components
from .volume import Volume

IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
LITTLE_OVERLAP = 0.3
AIR_BELOW = -200
"""Only Hounsfield units have values below this in every scan that shows some air."""
_LATTICE = 17


class DifferentPatients(InputError):
    """Source and target are images of two patients by their DICOM identifiers; a person may know better."""


class UnitsUnknown(InputError):
    """A CT does not say that its values are Hounsfield units; a person may know."""


def checked_image(
    volume: Volume, role: str, modality: str, notes: list[str], assume_hu: bool = False, name: str = ""
) -> Volume:
    """The image with its modality and units, if it can be learnt from.

    Args:
        role: "source" or "target". modality: DICOM code the task takes there. name: of the image, for messages.
        notes: gets a sentence on what was assumed.
        assume_hu: the values are Hounsfield units although the image does not say so.

    Raises:
        UnitsUnknown: it is a CT whose values may be anything.
        InputError: it holds voxels that are no number or one value only, or is of another modality or kind.
    """
    what = f"The {role}" + (f" {name}" if name else "")
    if volume.channels != components(modality):
        kind = "color pictures" if components(modality) == 3 else "scalar images"
        raise InputError(f"{what} has {volume.channels} component(s) per voxel, but this task takes {kind}.")
    stated = volume.modality or ("CT" if volume.units == "HU" else "")
    if stated and stated != modality:
        raise InputError(f"{what} is {stated}, but this task takes {modality} there; choose another volume.")
    if volume.non_finite:
        raise InputError(f"{what} has voxels that are no number (NaN or infinite); replace them first.")
    low, high = volume.array.min(), volume.array.max()
    if low == high:
        raise InputError(f"{what} is empty: every voxel is {low}; choose another volume.")
    if modality != "CT":
        return volume.with_array(volume.array, modality=modality)
    if volume.units != "HU" and not assume_hu:
        if volume.units or low >= AIR_BELOW:
            raise UnitsUnknown(
                f"{what} does not say that its values ({low:g} to {high:g}) are Hounsfield units; confirm it if they "
                "are, or convert it first."
            )
        notes.append(f"{what} states no units; its values ({low:g} to {high:g}) are taken as Hounsfield units.")
    return volume.with_array(volume.array, modality="CT", units="HU")


def check_patients(identity: Mapping[str, Mapping[str, str]], notes: list[str], allowed: bool = False) -> None:
    """Source and target shall be of one patient.

    Raises:
        DifferentPatients: their PatientIDs differ, and that is not ``allowed``.
    """
    ids = {role: own.get("PatientID", "") for role, own in identity.items()}
    if ids.get("source") and ids.get("target") and ids["source"] != ids["target"]:
        if not allowed:
            raise DifferentPatients(
                "Source and target have different PatientIDs in their DICOM headers, so they seem to be of two "
                "patients; pair them only if you know that they are of one."
            )
        notes.append("Source and target have different PatientIDs; they were paired on request.")


def check_overlap(source: Volume, target: Volume, registered: bool, notes: list[str]) -> None:
    """The fields of view shall overlap, unless the images are registered, which moves them.

    Raises:
        InputError: they have no place in common and nothing would move them.
    """
    if 1 in source.grid_shape or 1 in target.grid_shape:
        return  # pictures: their sizes are compared when they are prepared
    share = max(shared_view(source, target), shared_view(target, source))
    if share == 0.0 and not registered:
        raise InputError(
            "The fields of view of source and target do not overlap; have the pairs registered, move one of them with "
            "a transform, or choose other volumes."
        )
    if share < LITTLE_OVERLAP:
        much = "do not overlap" if share == 0.0 else f"overlap by {share:.0%} only"
        notes.append(f"By their headers the fields of view of source and target {much}; look at the result.")


def shared_view(one: Volume, other: Volume) -> float:
    """Share of the box of ``one`` that lies in the box of ``other``, 0 to 1, by their grids alone."""
    steps = [np.linspace(-0.5, size - 0.5, _LATTICE) for size in one.grid_shape[::-1]]
    points = np.stack([*np.meshgrid(*steps, indexing="ij"), np.ones((_LATTICE,) * 3)]).reshape(4, -1)
    index = np.linalg.solve(other.geometry.ijk_to_ras, one.geometry.ijk_to_ras @ points)[:3]
    limit = np.array(other.grid_shape[::-1])[:, np.newaxis] - 0.5
    return float(np.mean(((index >= -0.5) & (index <= limit)).all(axis=0)))


def dicom_identity(path: Path, series: str | None = None) -> dict[str, str]:
    """PatientID and the UIDs of study and series of a DICOM file or folder; empty of anything else.

    Raises:
        InputError: it is DICOM that cannot be read, or holds several series and none is named.
    """
    from .dicom_series import choose_series, find_series, is_dicom

    if not path.is_dir() and not is_dicom(path):
        return {}
    import pydicom

    chosen = choose_series(find_series(path)[0], series, str(path))
    tags: list[Any] = list(IDENTIFIERS)
    header = pydicom.dcmread(chosen.slices[0].path, stop_before_pixels=True, force=True, specific_tags=tags)
    return {tag: str(header.get(tag) or "").strip() for tag in IDENTIFIERS}


def affine_matrix(transform: Any) -> np.ndarray:
    """A transform that a person set, as 4x4.

    Raises:
        InputError: it is no 4x4 matrix, or none of an invertible affine transform.
    """
    try:
        matrix = np.array(transform, np.float64).reshape(4, 4)
    except (TypeError, ValueError):
        matrix = np.zeros((4, 4))
    if (
        not np.isfinite(matrix).all()
        or not np.allclose(matrix[3], (0, 0, 0, 1))
        or abs(np.linalg.det(matrix[:3, :3])) < 1e-6
    ):
        raise InputError("The transform is no 4x4 matrix that can be inverted; use a linear transform.")
    return matrix
