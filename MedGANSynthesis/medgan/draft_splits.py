"""The splits of a draft's cases, by patient: who belongs together, and who is drawn into which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .case_splits import Member, patient_groups, split_cases
from .draft_case import DraftCase
from .draft_view import DraftView
from .splitting import FRACTIONS


def members(draft: DraftView) -> list[Member]:
    """What a draw has to know of each case that may become part of the dataset."""
    sha256 = draft.raw_sha256()
    return [
        Member(
            one.id,
            one.patient,
            one.split,
            spacing_mm=one.spacing_mm or (1.0,),
            sha256=sha256.get(one.id, {}),
            marks=(one.patient, *patient_ids(one)),
        )
        for one in draft.cases
        if one.raw
    ]


def patient_ids(case: DraftCase) -> list[str]:
    """Pseudonyms of the PatientIDs in the headers of a case."""
    return sorted({own["PatientID"] for own in case.identity.values() if own.get("PatientID")})


def same_patient(draft: DraftView, id: str) -> list[str]:
    """The cases of the patient of a case, itself included."""
    own = members(draft)
    group = patient_groups(own)
    wanted = {group[one.patient] for one in own if one.id == id}
    return [one.id for one in own if group[one.patient] in wanted]


def drawn(draft: DraftView, seed: int | None = None, fractions: Sequence[float] = FRACTIONS) -> dict[str, str]:
    """A split for each case, drawn anew."""
    return _drawn(draft, [replace(one, split="") for one in members(draft)], seed, fractions)


def completed(draft: DraftView) -> list[Member]:
    """The members with a split each: as set by a person, else drawn."""
    own = members(draft)
    splits = _drawn(draft, own, None, FRACTIONS)
    return [replace(one, split=splits[one.id]) for one in own]


def _drawn(draft: DraftView, own: Sequence[Member], seed: int | None, fractions: Sequence[float]) -> dict[str, str]:
    """Drawn among what is used or may still be, so that no split fills with what is left out; the rest follows."""
    seed = draft.settings.seed if seed is None else seed
    group = patient_groups(own)
    fixed = {group[one.patient]: one.split for one in own if one.split}
    own = [replace(one, split=one.split or fixed.get(group[one.patient], "")) for one in own]
    kept = {one.id for one in draft.cases if one.used or one.state == "waiting"}
    splits = split_cases([one for one in own if one.id in kept], fractions, seed)
    of_group = {group[one.patient]: splits[one.id] for one in own if one.id in kept}
    rest = [replace(one, split=one.split or of_group.get(group[one.patient], "")) for one in own if one.id not in kept]
    return splits | split_cases(rest, fractions, seed)
