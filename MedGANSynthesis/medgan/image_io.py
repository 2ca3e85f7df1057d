"""Read any image file or DICOM folder as a Volume, and write a Volume without ever leaving half a file behind.

What a file says about itself is believed, nothing is guessed: units and modality come from DICOM, from the metadata
MedGAN wrote, or from the caller.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .file_check import alone, check_file
from .files import file_sha256, replacing, write_json
from .slide_io import is_slide, read_slide
from .volume import Geometry, Volume

PREFIX = "MedGAN."
"""Every metadata key that MedGAN writes starts with this."""

_METADATA_FORMATS = (".nrrd", ".mha")
_SIDECAR_FORMATS = (".nii.gz", ".nii", ".tiff", ".tif", ".png")
_PICTURE_FORMATS = (".tiff", ".tif", ".png")


def read_volume(path: str | Path, series: str | None = None, modality: str | None = None) -> tuple[Volume, list[str]]:
    """Read an image file (any format of SimpleITK), a whole-slide file (of OpenSlide) or a DICOM folder.

    Args:
        path: file or folder.
        series: number, UID or description of the DICOM series, where a folder holds several.
        modality: DICOM modality code (``"CT"``, ``"MR"``) of a file that does not state its own; ``"CT"`` also means
            that the values are Hounsfield units.

    Returns:
        the volume, and one sentence each on what the user should know. Units and modality are ``""`` if unknown.

    Raises:
        InputError: there is no such file, it cannot be read, or it is no 2-D or 3-D image.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file or folder {path}.")
    from .dicom import read_dicom
    from .dicom_series import is_dicom

    if path.is_dir() or is_dicom(path):
        image = read_dicom(path, series)
        if modality is None or modality.upper() == image.volume.modality:
            return image.volume, image.notes  # the header knows best whether the values are HU
        return _with_modality(image.volume, image.notes, modality)
    if series is not None:
        raise InputError(f"{path.name} is not DICOM, so it has no series to choose; leave the series out.")
    volume, notes = read_slide(path) if is_slide(path) else _read_file(path)
    return _with_modality(volume, notes, modality)


def write_volume(
    volume: Volume, path: str | Path, provenance: Mapping[str, str] | None = None, source: str | Path | None = None
) -> Path:
    """Write a volume; the file appears complete under its name, or not at all.

    NRRD and MHA keep units, modality, provenance and the grid to the last bit as ``MedGAN.<key>`` in their header. The
    other formats cannot; for them a ``<name>.medgan.json`` lies beside, with the SHA-256 of its image.

    Args:
        path: ``.nrrd``, ``.mha``, ``.nii``, ``.nii.gz``, ``.tif``, ``.tiff`` or ``.png`` (one slice of 8 or 16 bit).
        provenance: how the image was made, see ``Result.provenance``.
        source: the input, which is never overwritten.

    Returns:
        the path written.

    Raises:
        InputError: the format is unknown or cannot hold this image, the path is the input or a folder, the disk is
            full or the folder may not be written to.
    """
    path = Path(path)
    extension = check_output(path, source)
    check_format(path, volume.array.shape, volume.array.dtype.name, volume.geometry)
    facts = {"Units": volume.units, "Modality": volume.modality, **(provenance or {})}
    grid = volume.geometry.to_dict()
    with replacing(path) as beside:
        if extension in _METADATA_FORMATS:
            _write_checked(volume, beside, {**facts, "Geometry": json.dumps(grid)})
        else:
            _write_checked(volume, beside, {})
            write_json(sidecar_path(path), {"ImageSHA256": file_sha256(beside), "Geometry": grid, **facts})
    return path


def check_output(path: str | Path, source: str | Path | None = None) -> str:
    """The file extension of an output path, after checking that it can be written (call before a long computation).

    Raises:
        InputError: the format is unknown, the folder does not exist, or the path is a folder or the input itself.
    """
    path = Path(path)
    known = _METADATA_FORMATS + _SIDECAR_FORMATS
    extension = next((path.name[-len(e) :] for e in known if path.name.lower().endswith(e) and path.name != e), None)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file to write, such as {path / 'result.nrrd'}.")
    if extension is None:
        raise InputError(f"{path.name} has no extension MedGAN writes; use one of {', '.join(known)}.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; make it first.")
    if source is not None and path.exists() and path.samefile(source):
        raise InputError(f"{path} is the input itself; choose another name for the output.")
    return extension.lower()


def sidecar_path(path: Path) -> Path:
    """Where the metadata of an image lies whose format cannot hold it."""
    return path.with_name(path.name + ".medgan.json")


def _read_file(path: Path) -> tuple[Volume, list[str]]:
    import SimpleITK as sitk

    try:
        with alone(path) as readable:
            image = sitk.ReadImage(str(readable))
    except RuntimeError as error:
        raise InputError(
            f"{path.name} cannot be read as an image: it is damaged or of an unknown format; use NRRD, NIfTI, MHA, "
            "PNG, TIFF or DICOM."
        ) from error
    check_file(path)  # what ITK can read, but not as it is
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    if image.GetDimension() > 3:
        raise InputError(f"{path.name} holds {image.GetSize()[3]} volumes in one file; extract one of them first.")
    facts = {key[len(PREFIX) :]: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith(PREFIX)}
    if "Modality" not in facts and image.HasMetaDataKey("modality"):
        facts["Modality"] = image.GetMetaData("modality").strip()
    facts = facts or _read_sidecar(path)
    volume = Volume.from_sitk(image, str(facts.get("Units", "")), str(facts.get("Modality", "")))
    volume, notes = _without_alpha(_with_exact_grid(volume, facts), path)
    if "Model" in facts:
        notes.append(f"The image is itself synthetic: made by the MedGAN model {facts['Model']}.")
    return volume, notes


def _with_exact_grid(volume: Volume, facts: Mapping[str, Any]) -> Volume:
    """The grid as MedGAN wrote it: NRRD multiplies spacing into the axes, NIfTI rounds to float32, pictures have none.

    A header key counts only while it agrees with the header's own grid, which another program may have changed since.
    """
    grid = facts.get("Geometry")
    try:
        exact = Geometry(**(json.loads(grid) if isinstance(grid, str) else grid))
    except (TypeError, ValueError, InputError):  # absent, or written by hand
        return volume
    if "ImageSHA256" not in facts and not exact.is_close(volume.geometry, 1e-6):
        return volume
    return volume.with_array(volume.array, geometry=exact)


def _read_sidecar(path: Path) -> dict[str, Any]:
    """What MedGAN noted beside the image, if the image is still the one it was noted for."""
    try:
        facts = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and facts.get("ImageSHA256") == file_sha256(path) else {}


def _without_alpha(volume: Volume, path: Path) -> tuple[Volume, list[str]]:
    """Color without its transparency; only pictures and 8-bit images carry one."""
    picture = path.suffix.lower() in _PICTURE_FORMATS or volume.array.dtype == np.uint8
    if volume.channels not in (2, 4) or not picture or volume.array.dtype.kind != "u":
        return volume, []
    opaque = volume.array[..., -1] == np.iinfo(volume.array.dtype).max
    notes = [] if opaque.all() else ["The transparency of the picture was dropped; only its colors are used."]
    colors = volume.array[..., 0] if volume.channels == 2 else volume.array[..., :3]
    return volume.with_array(np.ascontiguousarray(colors)), notes


def _with_modality(volume: Volume, notes: list[str], modality: str | None) -> tuple[Volume, list[str]]:
    if not modality:
        return volume, notes
    modality = modality.upper()
    if volume.modality not in ("", modality):
        notes = [*notes, f"The file says {volume.modality}; it is taken as {modality}, as asked."]
    return volume.with_array(volume.array, modality=modality, units="HU" if modality == "CT" else ""), notes


def check_format(path: str | Path, shape: tuple[int, ...], dtype: str, geometry: Geometry) -> None:
    """Raise InputError if the format of ``path`` cannot hold an array of ``(k, j, i[, c])`` on this grid."""
    path, kind = Path(path), np.dtype(dtype)
    extension = check_output(path)
    if extension == ".png" and (shape[0] != 1 or kind not in (np.uint8, np.uint16)):
        raise InputError(f"{path.name}: PNG holds a single slice of 8 or 16 unsigned bits, this is {kind}; use .nrrd.")
    if extension in (".tif", ".tiff") and kind not in (np.uint8, np.int8, np.uint16, np.int16, np.float32):
        raise InputError(f"{path.name}: TIFF files here hold 8 or 16 bit or float32 values, not {kind}; use .nrrd.")
    directions = geometry.directions
    if extension.startswith(".nii") and np.abs(directions.T @ directions - np.eye(3)).max() > 1e-4:
        raise InputError(f"{path.name}: NIfTI cannot hold a grid with skewed axes; use .nrrd.")


def _write_checked(volume: Volume, path: Path, facts: Mapping[str, str]) -> None:
    """Write, then read back and compare: NIfTI writing in ITK reports success on a full disk."""
    import SimpleITK as sitk

    array = volume.array.astype(np.float32) if volume.array.dtype == np.float16 else volume.array
    image = volume.with_array(array).to_sitk()
    if volume.grid_shape[0] == 1 and path.suffix.lower() in _PICTURE_FORMATS:
        image = image[:, :, 0]
    for key, value in facts.items():
        image.SetMetaData(PREFIX + key, " ".join(str(value).split()))
    try:
        sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=1)
        written = Volume.from_sitk(sitk.ReadImage(str(path))).array
    except RuntimeError as error:
        raise OSError(errno.EIO, "writing stopped half way") from error
    if written.dtype != array.dtype or not np.array_equal(written, array, equal_nan=array.dtype.kind == "f"):
        raise OSError(errno.EIO, "the file does not read back as it was written")
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())
