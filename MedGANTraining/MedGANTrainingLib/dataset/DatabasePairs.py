"""DatabasePairs: the pairs of the studies in Slicer's DICOM database."""

from __future__ import annotations

import os
from pathlib import Path

import slicer
from medgan.draft import Draft
from medgan.draft_case import DraftCase
from medgan.errors import InputError
from medgan.pairs import Candidate
from slicer.i18n import tr as _


def addDatabase(
    draft: Draft, sourceSeries: str, targetSeries: str = "", onProgress=None, **answers: bool
) -> tuple[list[DraftCase], list[dict[str, str]]]:
    """Add a pair of series from each study of the DICOM database.

    Args:
        sourceSeries, targetSeries: a modality or a part of the series description, in any case; the latter is not
            needed where the dataset makes one image from the other.
        onProgress: called with (fraction, message).
        answers: ``assume_hu``, ``allow_different_patients``.

    Returns:
        the new cases, and ``{"id", "reason"}`` of each study that has a source but no case could be made of.

    Raises:
        InputError: there is no database, or no study has such a series.
    """
    try:
        database = slicer.dicomDatabase
    except AttributeError:
        database = None
    if database is None or not database.isOpen:
        raise InputError(_("Slicer's DICOM database is not open; open the DICOM module once."))
    single = bool(draft.settings.degrade)
    if not sourceSeries.strip() or not (single or targetSeries.strip()):
        raise InputError(_("Say which series to take, by modality or a part of their description, such as MR and CT."))
    candidates, failed, number = [], [], 0
    for patient in database.patients():
        for study in database.studiesForPatient(patient):
            series = {uid: _words(database, uid) for uid in database.seriesForStudy(study) if _files(database, uid)}
            sources = _fitting(series, sourceSeries)
            if not sources:
                continue
            number += 1
            targets = [] if single else _fitting(series, targetSeries)
            name = f"study-{number:03d}"
            if len(sources) == 1 and (single or (len(targets) == 1 and targets != sources)):
                try:
                    candidates.append(_candidate(draft, database, name, sources[0], targets[0] if targets else None))
                except InputError as error:
                    failed.append({"id": name, "reason": str(error)})
            else:
                reason = _("{sources} series may be the source and {targets} the target; describe them more closely.")
                failed.append({"id": name, "reason": reason.format(sources=len(sources), targets=len(targets))})
    if not number:
        raise InputError(_("No study of the DICOM database has a series '{text}'.").format(text=sourceSeries))
    cases, refused = draft.add_candidates(candidates, onProgress, **answers)
    return list(cases), [*refused, *failed]


def _words(database, series: str) -> tuple[str, str]:
    """Modality and description of a series, in small letters."""
    modality = database.fileValue(_files(database, series)[0], "0008,0060")
    return modality.strip().lower(), (database.descriptionForSeries(series) or "").lower()


def _files(database, series: str) -> list[str]:
    """The files of a series; none, or nameless ones, if it was only found on a server."""
    return [file for file in database.filesForSeries(series) if file]


def _fitting(series: dict[str, tuple[str, str]], text: str) -> list[str]:
    wanted = text.strip().lower()
    exact = [uid for uid, (modality, _description) in series.items() if modality == wanted]
    return exact or [uid for uid, (_modality, description) in series.items() if wanted in description]


def _candidate(draft: Draft, database, name: str, source: str, target: str | None) -> Candidate:
    first = _files(database, source)
    patientID = database.fileValue(first[0], "0010,0020")
    return Candidate(
        id=name,
        patient=draft.pseudonym(patientID or database.studyForSeries(source)),
        source=_folder(first),
        target=None if target is None else _folder(_files(database, target)),
        source_series=source,
        target_series=target,
    )


def _folder(files) -> Path:
    """The folder with all files of a series, which the engine then picks by its UID. Raises InputError: none has."""
    try:
        return Path(os.path.commonpath([str(Path(file).parent) for file in files]))
    except ValueError:
        message = _("The files of a series have no folder in common, they are on two drives; import the study again.")
        raise InputError(message) from None
