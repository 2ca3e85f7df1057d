"""Pairs from DICOM: a folder of studies, each with the series that belong together."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from pathlib import Path

from .dicom_series import Series, find_series, is_dicom
from .errors import InputError
from .pairs import Candidate


def from_studies(
    folder: Path, source: str, target: str | None, salt: bytes
) -> tuple[list[Candidate], list[dict[str, str]]]:
    """One pair per sub-folder (or one in all, if the DICOM files lie in ``folder`` itself).

    Args:
        folder: each sub-folder holds the series of one patient that belong together, in any arrangement.
        source, target: which series: a modality (``"MR"``) or a part of the series description, in any case; there
            must be one such series in a sub-folder. ``target`` is None where it is made from the source.
        salt: secret of this dataset, mixed into the pseudonyms so that they cannot be guessed back.

    Returns:
        the pairs, and ``{"id", "reason"}`` of each sub-folder that has none. Neither holds a name or ID of a patient:
        cases are numbered, patients are hashes of their PatientID.

    Raises:
        InputError: there is no such folder, or it holds no files.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    studies = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if any(path.is_file() and path.name != "DICOMDIR" and is_dicom(path) for path in folder.iterdir()):
        studies = [folder]
    if not studies:
        raise InputError(
            f"{folder} holds no DICOM files and no sub-folders; give a folder with a sub-folder per study."
        )
    candidates, failed = [], []
    for number, study in enumerate(studies, start=1):
        name = f"study-{number:03d}"
        try:
            candidates.append(_pair(study, name, source, target, salt))
        except InputError as error:
            failed.append({"id": name, "reason": without_path(str(error), study, name)})
    return candidates, failed


def without_path(sentence: str, folder: Path, name: str) -> str:
    """A sentence without the path and name of a folder, which often is a patient's name."""
    sentence = sentence.replace(str(folder), name)
    return re.sub(rf"(?<!\w){re.escape(folder.name)}(?!\w)", name, sentence)


def _pair(study: Path, name: str, source: str, target: str | None, salt: bytes) -> Candidate:
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom comments on every value that is not quite standard
        series, _ = find_series(study)
        first = _only(series, source)
        second = None if target is None else _only(series, target)
        ids = set()
        for one in filter(None, (first, second)):
            header = pydicom.dcmread(
                one.slices[0].path, stop_before_pixels=True, force=True, specific_tags=["PatientID"]
            )
            ids.add(str(header.get("PatientID") or "").strip())
    if first is second:
        raise InputError(
            f"Source ({source}) and target ({target}) are the same series, {first.label}; tell them apart."
        )
    if len(ids) > 1:
        raise InputError("Source and target have different PatientIDs, so they are images of two patients.")
    patient = ids.pop() or str(study)
    return Candidate(
        id=name,
        patient="patient-" + hashlib.sha256(salt + patient.encode()).hexdigest()[:12],
        source=_folder(first),
        target=None if second is None else _folder(second),
        source_series=first.uid or None,
        target_series=None if second is None else second.uid or None,
    )


def _only(series: list[Series], wanted: str) -> Series:
    """The one series of this modality or with this text in its description."""
    fitting = [one for one in series if one.modality.lower() == wanted.lower()]
    fitting = fitting or [one for one in series if wanted.lower() in one.description.lower()]
    if len(fitting) == 1:
        return fitting[0]
    listing = "; ".join(one.label for one in (fitting or series)[:6])
    if fitting:
        raise InputError(f"{len(fitting)} series fit '{wanted}' ({listing}); give more of the description.")
    raise InputError(f"No series is of the modality or has the description '{wanted}' (there is {listing}).")


def _folder(series: Series) -> Path:
    """The folder that holds all files of a series."""
    return Path(os.path.commonpath([one.path.parent for one in series.slices]))
