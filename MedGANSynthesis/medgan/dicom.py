"""Read a DICOM series as a Volume: values in physical units, on a grid whose every slice was checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from .dicom_geometry import arrange
from .dicom_pixels import read_pixels
from .dicom_series import Series, choose_series, find_series
from .errors import InputError
from .volume import Volume


@dataclass(frozen=True)
class DicomImage:
    """A series read from disk.

    Args:
        volume: the image in RAS, slices in order of their position along the slice normal.
        notes: one sentence each on what the user should know (ignored localizers, values that look raw, ...).
        source: ``Modality``, ``SeriesInstanceUID`` and ``SeriesDescription``; nothing else of the header is kept.
    """

    volume: Volume
    notes: list[str]
    source: dict[str, str]


def read_dicom(path: str | Path, series: str | None = None) -> DicomImage:
    """Read one series from a folder (with sub-folders) or a single DICOM file.

    Args:
        path: folder or file; of a file only the frames in it are read, not its neighbors.
        series: number, UID or description of the series, needed where a folder holds several.

    Raises:
        InputError: there is no image, more than one series, or the slices form no regular grid (missing slices,
            duplicate positions, variable distances, gantry tilt, mixed orientations); the message names how much.

    Example:
        >>> read_dicom("/no/such/folder")
        Traceback (most recent call last):
        medgan.errors.InputError: There is no file or folder /no/such/folder.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file or folder {path}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom comments on every value that is not quite standard
        found, notes = find_series(path)
        chosen = choose_series(found, series, str(path))
        _require_planes(chosen)
        ordered, geometry, geometry_notes = arrange(chosen.slices, chosen.label)
        array = read_pixels(ordered)
    notes += geometry_notes
    units, unit_notes = _units(chosen)
    notes += unit_notes + _pixel_notes(chosen)
    if path.is_file() and len(ordered) == 1 and chosen.modality in ("CT", "MR", "PT"):
        notes.append("Only this one file was read; give its folder to read the whole series.")
    source = {
        "Modality": chosen.modality,
        "SeriesInstanceUID": chosen.uid,
        "SeriesDescription": chosen.description,
    }
    return DicomImage(Volume(array, geometry, units, chosen.modality), notes, source)


def _require_planes(series: Series) -> None:
    """Refuse images whose pixels are not one plane of the patient each."""
    kinds = {str(kind).upper() for kind in series.header.get("ImageType") or ()}
    if "MOSAIC" in kinds:
        raise InputError(
            f"{series.label} stores many slices as tiles of one picture (Siemens mosaic), whose positions are not in "
            "the standard header; convert it first (for example with dcm2niix)."
        )
    frames = int(series.header.get("NumberOfFrames") or 1)
    if frames > 1 and any(one.position_mm is None for one in series.slices):
        raise InputError(
            f"{series.label} is a multi-frame image that states no position for each of its frames, so it is no "
            "volume; export it as single slices or as an enhanced image with positions."
        )


def _units(series: Series) -> tuple[str, list[str]]:
    """``HU`` where the header makes the values Hounsfield units, else ``""``, with a note where a CT has none.

    In the CT image module the rescale type may be left out only if it is HU; other CT-derived maps (perfusion, material
    density) state another type. Stored values without a sign and without an offset cannot express air (-1000 HU).
    """
    if series.modality != "CT":
        return "", []
    kinds = {one.rescale_type for one in series.slices}
    if kinds - {"", "HU"}:
        kind = ", ".join(sorted(kinds - {"", "HU"}))
        return "", [f"The values are not Hounsfield units: the header states the rescale type {kind}."]
    unsigned = int(series.header.get("PixelRepresentation") or 0) == 0
    if not all(one.has_rescale for one in series.slices) or (unsigned and all(s.intercept >= 0 for s in series.slices)):
        return "", [
            "The CT states no offset to Hounsfield units, so its values look like raw scanner values, not HU; "
            "results of a CT model will be wrong unless they are converted to HU first."
        ]
    return "HU", []


def _pixel_notes(series: Series) -> list[str]:
    notes = []
    if str(series.header.get("LossyImageCompression") or "") == "01":
        ratio = series.header.get("LossyImageCompressionRatio")
        ratio = ratio[-1] if hasattr(ratio, "append") else ratio
        detail = f" (ratio {float(ratio):.3g})" if ratio else ""
        notes.append(
            f"The images were stored with lossy compression{detail}, which a model may not have been trained on."
        )
    if series.header.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append("The image is meant to be shown inverted (MONOCHROME1); its values are used as stored.")
    return notes
