"""Find the image series in a folder of DICOM files, from the headers alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .dicom_geometry import Slice
from .errors import InputError

_NOT_IMAGES = {"SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "SR", "PR", "KO", "REG", "FID", "AU", "DOC", "PLAN"}

_HEADER_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation",
    "BitsAllocated", "BitsStored", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "ImagerPixelSpacing", "SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "LossyImageCompression", "LossyImageCompressionRatio", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


@dataclass
class Series:
    """The images of one series: headers without pixels, in file order."""

    uid: str
    number: str
    description: str
    modality: str
    header: Any
    slices: list[Slice] = field(default_factory=list)

    @property
    def label(self) -> str:
        """How messages name the series, e.g. ``Series 4 "Thorax B30f" (CT, 120 images)``."""
        title = f' "{self.description}"' if self.description else ""
        images = "1 image" if len(self.slices) == 1 else f"{len(self.slices)} images"
        return f"Series {self.number or self.uid}{title} ({self.modality or 'no modality'}, {images})"


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: the standard prefix, or (old exports) a data set that starts with group 0002 or 0008."""
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    return start[128:] == b"DICM" or (start[:2] in (b"\x08\x00", b"\x02\x00") and start[3:4] == b"\x00")


def read_header(path: Path) -> Any:
    """pydicom data set of the tags MedGAN needs, without pixels; no patient's name or ID is read."""
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_HEADER_TAGS)
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        raise InputError(f"The DICOM file {path.name} is damaged ({error}); copy or export it again.") from error


def find_series(path: Path) -> tuple[list[Series], list[str]]:
    """All image series of a DICOM file or of a folder and its sub-folders.

    Returns:
        the series in the order of their number, and notes on what was left out (localizers, objects without an image).

    Raises:
        InputError: nothing there is a DICOM image, or a file is damaged.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    found: dict[str, Series] = {}
    localizers = others = 0
    for file in files:
        if file.name == "DICOMDIR" or not is_dicom(file):
            continue
        header = read_header(file)
        _require_whole(file, header)
        if "Rows" not in header or header.get("Modality") in _NOT_IMAGES:
            others += 1
        elif {"LOCALIZER", "SCOUT"} & {str(kind).upper() for kind in header.get("ImageType") or ()}:
            localizers += 1
        else:
            uid = str(header.get("SeriesInstanceUID") or "")
            if uid not in found:
                found[uid] = _new_series(uid, header)
            found[uid].slices.extend(_slices_of(file, header))
    notes = []
    if localizers:
        notes.append(f"{localizers} localizer image{'s were' if localizers > 1 else ' was'} ignored.")
    if others:
        notes.append(f"{others} DICOM objects without an image of their own (segmentations, reports) were ignored.")
    if not found:
        counts = ((localizers, "localizers"), (others, "segmentations, reports or other objects"))
        left_out = ", ".join(f"{count} {what}" for count, what in counts if count)
        left_out = f" (only {left_out})" if left_out else ""
        raise InputError(f"{path} holds no DICOM image that can be read as a volume{left_out}; choose another folder.")
    return sorted(found.values(), key=lambda s: (int(s.number) if s.number.isdigit() else 10**9, s.uid)), notes


def _require_whole(path: Path, header: Any) -> None:
    """Refuse a file that was cut short within its header; left out quietly, a slice would be missing."""
    kind = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
    is_image = kind is not None and "Image Storage" in getattr(kind, "name", "")
    if "Rows" not in header and is_image and header.get("Modality") not in _NOT_IMAGES:
        raise InputError(f"The DICOM file {path.name} ends before its pixels: it was cut short; copy it again.")


def choose_series(series: list[Series], wanted: str | None, place: str) -> Series:
    """The series whose number, UID or description is ``wanted``; without a wish, the only one there is.

    Raises:
        InputError: there are several and none is named, or none (or more than one) fits the name.
    """
    listing = _listing(series)
    if wanted is None:
        if len(series) == 1:
            return series[0]
        raise InputError(
            f"{place} holds {len(series)} series: {listing}; choose one by its number or UID (argument series, "
            "or --series on the command line)."
        )
    for attribute in ("uid", "number", "description"):
        fitting = [one for one in series if getattr(one, attribute) == str(wanted)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            uids = ", ".join(one.uid for one in fitting)
            raise InputError(f"{place} holds {len(fitting)} series called {wanted}; choose one by its UID: {uids}.")
    raise InputError(f"{place} holds no series {wanted}; there is: {listing}.")


def _listing(series: list[Series]) -> str:
    numbers = [one.number for one in series]
    labels = [
        f"{one.label} with UID {one.uid}" if numbers.count(one.number) > 1 and one.number else one.label
        for one in series[:8]
    ]
    return "; ".join(labels) + (f"; and {len(series) - 8} more" if len(series) > 8 else "")


def _new_series(uid: str, header: Any) -> Series:
    number = header.get("SeriesNumber")
    return Series(
        uid=uid,
        number="" if number is None else str(number),
        description=str(header.get("SeriesDescription") or "").strip(),
        modality=str(header.get("Modality") or ""),
        header=header,
    )


def _slices_of(path: Path, header: Any) -> list[Slice]:
    frames = int(header.get("NumberOfFrames") or 1)
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    if len(per_frame) != frames:
        per_frame = [None] * frames
    # the position in the header of a multi-frame image without per-frame groups belongs to no frame in particular
    own_position = frames == 1
    return [
        _slice(path, number, header, [group for group in (groups, shared) if group is not None], own_position)
        for number, groups in enumerate(per_frame)
    ]


def _slice(path: Path, frame: int, header: Any, groups: list[Any], own_position: bool) -> Slice:
    def value(keyword: str, macro: str) -> Any:
        for group in groups:
            items = group.get(macro)
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return header.get(keyword) if own_position or keyword != "ImagePositionPatient" else None

    def numbers(keyword: str, macro: str, count: int) -> np.ndarray | None:
        found = value(keyword, macro)
        try:
            array = np.atleast_1d(np.array(found, dtype=np.float64)) if found is not None else np.empty(0)
        except (TypeError, ValueError):
            array = np.empty(0)
        return array if array.size == count and np.isfinite(array).all() else None

    spacing = numbers("PixelSpacing", "PixelMeasuresSequence", 2)
    if spacing is None:
        spacing = numbers("ImagerPixelSpacing", "PixelMeasuresSequence", 2)
    distance = numbers("SpacingBetweenSlices", "PixelMeasuresSequence", 1)
    thickness = numbers("SliceThickness", "PixelMeasuresSequence", 1)
    thickness = distance if thickness is None else thickness
    slope = numbers("RescaleSlope", "PixelValueTransformationSequence", 1)
    intercept = numbers("RescaleIntercept", "PixelValueTransformationSequence", 1)
    orientation = numbers("ImageOrientationPatient", "PlaneOrientationSequence", 6)
    return Slice(
        path=path,
        frame=frame,
        instance_uid=str(header.get("SOPInstanceUID") or ""),
        rows=int(header.Rows),
        columns=int(header.get("Columns") or 0),
        position_mm=numbers("ImagePositionPatient", "PlanePositionSequence", 3),
        orientation=None if orientation is None else orientation.reshape(2, 3),
        spacing_mm=None if spacing is None or (spacing <= 0).any() else (float(spacing[0]), float(spacing[1])),
        thickness_mm=None if thickness is None else float(thickness[0]),
        slope=1.0 if slope is None else float(slope[0]),
        intercept=0.0 if intercept is None else float(intercept[0]),
        has_rescale=slope is not None and intercept is not None,
        rescale_type=str(value("RescaleType", "PixelValueTransformationSequence") or "").strip().upper(),
    )
