"""Write a synthetic volume as a derived DICOM series, one file per slice."""

from __future__ import annotations

import contextlib
import copy
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .dicom_encoding import Encoded, encode, number, slice_order, window_of
from .dicom_header import reference, series_header
from .errors import InputError, missing_package
from .volume import Volume

_LPS = np.array([-1.0, -1.0, 1.0])


def write_derived_series(
    volume: Volume,
    folder: str | Path,
    provenance: Mapping[str, str],
    sources: Sequence[Any] = (),
    *,
    description: str = "",
    window: tuple[float, float] | None = None,
    tags: Mapping[str, str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """Write a derived series (CT, MR, or secondary capture for other images); all of it or nothing.

    Patient, study and frame of reference are those of the sources; series and images are new, marked DERIVED, SECONDARY
    and Synthetic Data, and tell how they were made. Every image names the source images at its place.

    Args:
        volume: on any grid with perpendicular axes; slices against DICOM's direction are written in reverse order.
        folder: does not exist yet, or is empty.
        provenance: of the result, see :class:`medgan.synthesizer.Result`.
        sources: headers (pydicom, pixels not needed) of the images it was made from.
        description: of the series, at most 64 characters count.
        window: center and width in units of the volume; by default a usual one.
        tags: values by DICOM keyword that go before those of the sources, such as PatientName or SeriesNumber.
        progress: called with the fraction done.

    Returns:
        the files, in the order of the slices along the normal.

    Raises:
        InputError: the image does not fit DICOM, the folder is in use or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder; choose another one for the DICOM files.")
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise InputError(missing_package(error)) from error
    order, encoded = slice_order(volume), encode(volume)
    header = series_header(volume.modality, provenance, sources, tags or {}, description)
    _add_pixel_description(header, volume, encoded, window)
    places = _Places(sources, volume)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); choose another folder.") from error
    try:
        names = []
        for instance, k in enumerate(order, start=1):
            image = _image(header, volume, encoded, k, instance)
            if references := [reference(source) for source in places.near(k)]:
                image.SourceImageSequence = references
            names.append(f"IMG{instance:04d}.dcm")
            image.save_as(beside / names[-1], enforce_file_format=True)
            if progress is not None:
                progress(instance / len(order))
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        beside.chmod(0o755)  # mkdtemp lets nobody else in
        beside.rename(folder)
    except OSError as error:
        raise InputError(f"The DICOM files could not be written ({error.strerror}); choose another folder.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [folder / name for name in names]


def _add_pixel_description(header: Any, volume: Volume, encoded: Encoded, window: tuple[float, float] | None) -> None:
    geometry = volume.geometry
    across, down, _through = (geometry.directions.T * _LPS).tolist()
    header.ImageOrientationPatient = [number(value) for value in (*across, *down)]
    header.PixelSpacing = [number(geometry.spacing_mm[1]), number(geometry.spacing_mm[0])]
    header.SliceThickness = number(geometry.spacing_mm[2])
    if volume.modality == "MR":
        header.SpacingBetweenSlices = number(geometry.spacing_mm[2])
    header.Rows, header.Columns = volume.grid_shape[1:]
    header.BitsAllocated = header.BitsStored = encoded.stored.dtype.itemsize * 8
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(encoded.stored.dtype.kind == "i")
    if volume.channels == 3:
        header.SamplesPerPixel, header.PhotometricInterpretation, header.PlanarConfiguration = 3, "RGB", 0
        return
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.RescaleSlope, header.RescaleIntercept = encoded.slope, encoded.intercept
    header.RescaleType = "HU" if volume.units == "HU" else "US"
    header.WindowCenter, header.WindowWidth = window_of(volume, window)


def _image(header: Any, volume: Volume, encoded: Encoded, k: int, instance: int) -> Any:
    """The data set of slice ``k``."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    image = copy.deepcopy(header)
    image.SOPInstanceUID = generate_uid(prefix=None)
    image.InstanceNumber = instance
    place = volume.geometry.ijk_to_lps @ (0.0, 0.0, k, 1.0)
    image.ImagePositionPatient = [number(value) for value in place[:3]]
    values = np.ascontiguousarray(encoded.stored[k])
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    data = values.tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    image["PixelData"].VR = "OB" if values.dtype.itemsize == 1 else "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image


class _Places:
    """Which source images lie at a slice of the result."""

    def __init__(self, sources: Sequence[Any], volume: Volume):
        self._sources = [source for source in sources if source.get("SOPInstanceUID") and source.get("SOPClassUID")]
        self._volume = volume
        self._normal = volume.geometry.directions[:, 2] * _LPS
        self._along = np.array([self._position(source) for source in self._sources])

    def near(self, k: int) -> list[Any]:
        """Those within half a slice of either, the nearest at least; all where their position is not known."""
        if not self._sources or np.isnan(self._along).any():
            return self._sources
        here = float((self._volume.geometry.ijk_to_lps @ (0.0, 0.0, k, 1.0))[:3] @ self._normal)
        distance_mm = np.abs(self._along - here)
        steps = np.diff(np.unique(self._along))
        own = float(self._volume.geometry.spacing_mm[2])
        reach = max(own, float(np.median(steps)) if steps.size else own) / 2 + 1e-3
        wanted = np.flatnonzero(distance_mm <= max(reach, float(distance_mm.min())))
        return [self._sources[index] for index in wanted]

    def _position(self, source: Any) -> float:
        try:
            position = [float(value) for value in source.get("ImagePositionPatient") or ()]
        except (TypeError, ValueError):  # an empty component, or what is no number
            return float("nan")
        return float(np.array(position) @ self._normal) if len(position) == 3 else float("nan")
