"""FolderImport: pairs from folders of images, tables, and folders of DICOM studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medgan import pairs, studies
from medgan.draft import Draft
from medgan.draft_case import DraftCase


def addFolder(
    draft: Draft, source: str | Path, target: str | Path | None = None, **settings: Any
) -> tuple[list[DraftCase], list[dict[str, str]]]:
    """Add pairs of folders of images, of a table, or of DICOM studies.

    Args:
        source: folder of sources; a .csv file with the columns patient, source, target; or, with ``sourceSeries``, a
            folder with a sub-folder per DICOM study.
        target: folder of targets; None where the dataset makes one image from the other.
        settings: ``masks`` (folder), ``pattern`` (of the names of sources, targets and masks, see
            ``medgan.pairs.from_folders``), ``sourceSeries`` and ``targetSeries`` (which DICOM series: a modality or a
            part of its description), ``onProgress``, and the answers ``assume_hu`` and ``allow_different_patients`` of
            ``medgan.draft.Draft.add``.

    Returns:
        the new cases, and ``{"id", "reason"}`` of what was left out.

    Raises:
        InputError: there are no such folders, or no pairs in them.
    """
    onProgress, source = settings.pop("onProgress", None), Path(source)
    sourceSeries, targetSeries = settings.pop("sourceSeries", ""), settings.pop("targetSeries", "")
    single = bool(draft.settings.degrade)
    set_aside: list[dict[str, str]] = []
    if sourceSeries:
        candidates, set_aside = studies.from_studies(source, sourceSeries, None if single else targetSeries, draft.salt)
    elif source.suffix.lower() == ".csv":
        candidates = pairs.from_csv(source, needs_target=draft.settings.paired and not single)
    elif draft.settings.paired or target is None:
        target = Path(target) if target is not None else None
        candidates, notes = pairs.from_folders(
            source, target, _path(settings.get("masks")), settings.get("pattern", ())
        )
        set_aside = [{"id": source.name, "reason": note} for note in notes]
    else:
        candidates = pairs.unpaired(source, Path(target), settings.get("pattern", ()))
    answers = {name: settings[name] for name in ("assume_hu", "allow_different_patients") if name in settings}
    cases, failed = draft.add_candidates(candidates, onProgress, **answers)
    return list(cases), [*set_aside, *failed]


def _path(folder) -> Path | None:
    return Path(folder) if folder else None
