"""From a draft to its dataset: what stands in the way, what a person should know, and ``dataset.json``."""

from __future__ import annotations

from . import draft_problems
from .case_splits import Member, patient_groups
from .dataset import Case, Dataset
from .draft_case import DraftCase
from .draft_splits import completed, patient_ids
from .draft_view import DraftView
from .errors import InputError


def obstacles(draft: DraftView) -> list[str]:
    """What makes it impossible to write the dataset, one sentence each."""
    cases, settings = draft.cases, draft.settings
    factors = {one.id: draft.factor(one.id) for one in cases if one.used}
    found = draft_problems.obstacles(cases, settings, completed(draft))
    return found + draft_problems.factor_obstacles(factors, settings)


def remarks(draft: DraftView) -> list[str]:
    """What a person should know, and may leave as it is."""
    return draft_problems.remarks(draft.cases, completed(draft))


def dataset_of(draft: DraftView) -> Dataset:
    """The dataset of the cases that are used.

    Raises:
        InputError: the first of the :func:`obstacles`.
    """
    for sentence in obstacles(draft):
        raise InputError(sentence)
    settings, members = draft.settings, completed(draft)
    options, cases = settings.case_options(), draft.cases
    used = [one for one in cases if one.used]
    patients, splits = _patients(used, members), {one.id: one.split for one in members}
    return Dataset(
        folder=draft.folder,
        task=settings.task,
        modality=options.modality,
        units="HU" if options.modality == "CT" else "",
        description=settings.description,
        licence=settings.licence,
        cases=tuple(
            Case(
                id=one.id,
                patient=patients[one.id],
                source=one.source,
                target=one.target,
                split=splits[one.id],
                mask=one.mask,
                registration=one.registration,
                spacing_mm=one.spacing_mm,
                fingerprint=one.fingerprint,
                sha256=one.sha256,
            )
            for one in used
        ),
        target_modality=options.target_modality,
        target_units="HU" if options.target_modality == "CT" else "",
        paired=settings.paired,
        failed=tuple({"id": one.id, "reason": one.reason or _first(one)} for one in cases if not one.used),
    )


def _patients(cases: list[DraftCase], members: list[Member]) -> dict[str, str]:
    """One name for each patient, where a header names one the pseudonym: a name somebody typed may be the real one."""
    group, names = patient_groups(members), {}
    for one in cases:
        for id in patient_ids(one):
            names.setdefault(group[one.patient], id)
    return {one.id: names.get(group[one.patient], group[one.patient]) for one in cases}


def _first(case: DraftCase) -> str:
    return next(iter(case.problems), "It was not accepted.")
