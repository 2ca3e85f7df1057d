"""The split of each case of a dataset: as fixed, else drawn by patient; patients who share an image stay together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .splitting import FRACTIONS, split_patients


@dataclass(frozen=True)
class Member:
    """What a draw has to know of a case.

    Args:
        id, patient: names of the case and the patient.
        split: "train", "validation" or "test" where it is fixed, "" to be drawn.
        stratum: what the draw is balanced by, "" for the slice distance.
        spacing_mm: along i, j, k.
        sha256: of its images by role; equal ones are one image.
        marks: what else is only of this patient, such as a pseudonym.
    """

    id: str
    patient: str
    split: str = ""
    stratum: str = ""
    spacing_mm: tuple[float, ...] = (1.0,)
    sha256: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[str, ...] = ()


def split_cases(
    members: Sequence[Member],
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """The split of each case by its id.

    Args:
        fractions, seed: as of :func:`~medgan.splitting.split_patients`.
        say: called with a sentence on what a person should know.
    """
    say = say or (lambda text: None)
    group = patient_groups(members, say)
    fixed = {group[one.patient]: one.split for one in members if one.split}
    strata: dict[str, str] = {}
    sides: dict[str, set[str]] = {}
    for one in members:
        patient = group[one.patient]
        strata.setdefault(patient, one.stratum or f"2^{round(np.log2(max(one.spacing_mm)))} mm")
        sides.setdefault(patient, set()).update(one.sha256)
    drawn: dict[str, str] = {}
    for side in sorted({tuple(sorted(own)) for own in sides.values()}):  # unpaired data need both in every split
        free = {p: stratum for p, stratum in strata.items() if p not in fixed and tuple(sorted(sides[p])) == side}
        drawn |= split_patients(free, fractions, seed)
    if len(strata) == 1 and not fixed:
        say(
            "All images are of one patient, so all go to train: what was tested on the patient who was learnt from "
            "would look better than it is; add other patients for validation and test."
        )
    return {one.id: one.split or fixed.get(group[one.patient]) or drawn[group[one.patient]] for one in members}


def patient_groups(members: Sequence[Member], say: Callable[[str], None] | None = None) -> dict[str, str]:
    """For each patient the first one with whom it shares an image or a mark: they are kept in one split."""
    group = {one.patient: one.patient for one in members}
    owner: dict[str, str] = {}
    for one in members:
        for mark in (*one.sha256.values(), *one.marks):
            first, second = group[owner.setdefault(mark, one.patient)], group[one.patient]
            if first != second:
                if say is not None and mark not in one.marks:
                    say(f"Patients {first} and {second} have an image in common; both are kept in one split.")
                group = {patient: first if own == second else own for patient, own in group.items()}
    return group
