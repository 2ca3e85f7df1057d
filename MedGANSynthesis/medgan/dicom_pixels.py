"""Decode the pixels of DICOM files to physical values, whatever their transfer syntax."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .dicom_geometry import Slice
from .errors import InputError

_PIXEL_TAGS = [
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
]  # fmt: skip


def read_pixels(slices: Sequence[Slice]) -> np.ndarray:
    """Rescaled values of slices in the given order.

    Each slice's own slope and intercept are applied (PET and some CT change them from slice to slice). Integers stay
    integers where every slope and intercept is a whole number; otherwise the result is float32.

    Returns:
        ``(k, j, i)``, or ``(k, j, i, 3)`` for color images.

    Raises:
        InputError: a file is damaged or compressed in a way nothing here can decode.
    """
    whole = all(s.slope.is_integer() and s.intercept.is_integer() for s in slices)
    decoded: dict[Path, np.ndarray] = {}
    uses = {path: sum(1 for s in slices if s.path == path) for path in {s.path for s in slices}}
    planes = []
    for one in slices:
        if one.path not in decoded:
            decoded[one.path] = read_stored(one.path)
        frames = decoded[one.path]
        if one.frame >= len(frames) or frames[one.frame].shape[:2] != (one.rows, one.columns):
            raise InputError(f"{one.path.name} holds fewer pixels than its header states; copy or export it again.")
        planes.append(_rescaled(frames[one.frame], one, whole))
        uses[one.path] -= 1
        if not uses[one.path]:
            del decoded[one.path]
    if len({plane.ndim for plane in planes}) > 1:
        raise InputError("The series mixes gray and color images; keep only the images of one volume.")
    return np.stack(planes).astype(_common_type(planes), copy=False)


def _rescaled(stored: np.ndarray, one: Slice, whole: bool) -> np.ndarray:
    if stored.ndim == 3 or (one.slope == 1.0 and one.intercept == 0.0):
        return stored
    if not whole:
        return (stored * np.float64(one.slope) + one.intercept).astype(np.float32)
    values = stored.astype(np.int64) * int(one.slope) + int(one.intercept)
    return values.astype(_smallest_type(int(values.min()), int(values.max())))


def _smallest_type(low: int, high: int) -> np.dtype:
    for kind in (np.int16, np.uint16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def _common_type(planes: list[np.ndarray]) -> np.dtype:
    kinds = {plane.dtype for plane in planes}
    if len(kinds) == 1:
        return kinds.pop()
    if any(kind.kind == "f" for kind in kinds):
        return np.dtype(np.float32)
    return _smallest_type(min(int(p.min()) for p in planes), max(int(p.max()) for p in planes))


def read_stored(path: Path) -> np.ndarray:
    """Stored values of one file, not rescaled: ``(frame, row, column)`` or, for color, ``(frame, row, column, 3)``.

    pydicom decodes what needs no plug-in (and JPEG 2000 where Pillow is there); the rest (JPEG lossless, JPEG-LS) goes
    through the GDCM inside SimpleITK.
    """
    import pydicom
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        dataset = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:  # files without the standard prefix
            implicit, little_endian = dataset.original_encoding
            plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = plain if little_endian else ExplicitVRBigEndian
        compressed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        raise InputError(f"The DICOM file {path.name} is damaged ({error}); copy or export it again.") from error
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise InputError(f"{path.name} stores colors through a palette, which is not supported; convert it to RGB.")
    try:
        array = dataset.pixel_array
    except Exception as error:  # a missing plug-in and a damaged file raise the same exceptions
        if not compressed:
            raise InputError(f"The pixels of {path.name} are damaged or cut short; copy or export it again.") from error
        array = _decode_with_gdcm(dataset, path)
    frames = int(dataset.get("NumberOfFrames") or 1)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    shape = (frames, int(dataset.Rows), int(dataset.Columns)) + ((samples,) if samples > 1 else ())
    if array.size != np.prod(shape):
        raise InputError(f"{path.name} holds fewer pixels than its header states; copy or export it again.")
    return _without_unused_bits(np.asarray(array, dtype=array.dtype.newbyteorder("=")).reshape(shape), dataset)


def _without_unused_bits(array: np.ndarray, dataset: Any) -> np.ndarray:
    """Clear the bits above Bits Stored (old files keep overlays there) and extend the sign of signed values."""
    unused = array.dtype.itemsize * 8 - int(dataset.get("BitsStored") or 0)
    ordinary = int(dataset.get("HighBit") or 0) == int(dataset.get("BitsStored") or 0) - 1
    if array.dtype.kind not in "iu" or not ordinary or not 0 < unused < array.dtype.itemsize * 8:
        return array
    return (array << unused) >> unused


def _decode_with_gdcm(dataset: Any, path: Path) -> np.ndarray:
    """Decode through SimpleITK, from a copy that holds the pixel description alone.

    SimpleITK applies the rescale of the header (for enhanced images it guesses which one), sometimes with loss; without
    those tags it returns the stored values. Nothing that tells who the patient is enters the copy.
    """
    import SimpleITK as sitk
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    bare = Dataset()
    for keyword in _PIXEL_TAGS:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory(prefix="medgan-") as folder:
        copy = Path(folder) / "image.dcm"
        bare.save_as(copy, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(copy))
        try:
            return sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            raise InputError(
                f"The pixels of {path.name} ({dataset.file_meta.TransferSyntaxUID.name}) cannot be decoded; copy the "
                "file again if it is damaged, or export the series uncompressed."
            ) from error
