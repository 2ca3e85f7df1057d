"""What stands between a draft and its dataset, and what a person should know of it, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .case_splits import Member, patient_groups
from .draft_case import DraftCase
from .draft_settings import DraftSettings

_LISTED = 3


def obstacles(cases: Sequence[DraftCase], settings: DraftSettings, drawn: Sequence[Member]) -> list[str]:
    """What makes it impossible to write the dataset.

    Args:
        cases: all of the draft. drawn: of all of them, with the splits that they would have.
    """
    found = []
    used = [one for one in cases if one.used]
    waiting = [one.id for one in cases if one.state == "waiting"]
    if waiting:
        are = _verb(waiting, "is", "are")
        found.append(f"{_named(waiting, 'case')} {are} not prepared yet; prepare or remove {_them(waiting)}.")
    if not used:
        found.append("No case is ready and accepted, so there is nothing to learn from; add images and prepare them.")
        return found
    split_of = {one.id: one.split for one in drawn}
    found += _leaks([one for one in drawn if one.id in {case.id for case in used}])
    train = [one for one in used if split_of[one.id] == "train"]
    if not train:
        found.append("No case is in the train split, so there is nothing to learn from; move a patient there.")
    elif not settings.paired:
        found += [
            f"No {role} image is in the train split; add some, or move a patient there."
            for role in ("source", "target")
            if not any(role in one.raw for one in train)
        ]
    return found


def factor_obstacles(factors: Mapping[str, tuple[int, ...] | None], settings: DraftSettings) -> list[str]:
    """Of super-resolution: every target has to be finer than its source, all by the same factor.

    Args:
        factors: along (k, j, i), of each case that is used.
    """
    if not settings.task.startswith("superres") or settings.degrade == "none":
        return []
    same = [id for id, factor in factors.items() if factor is not None and max(factor) == 1]
    if same:
        return [f"{_named(same, 'target')} {_verb(same, 'is', 'are')} not finer than the source; reject {_them(same)}."]
    kinds = sorted({factor for factor in factors.values() if factor is not None})
    if len(kinds) > 1:
        written = ", ".join("x".join(str(n) for n in factor[::-1]) for factor in kinds)
        return [f"The targets are finer than the sources by different factors ({written}); keep the cases of one."]
    return []


def remarks(cases: Sequence[DraftCase], drawn: Sequence[Member]) -> list[str]:
    """What a person should know, and may leave as it is."""
    found = []
    doubtful = [one.id for one in cases if one.state == "ready" and not one.used]
    failed = [one.id for one in cases if one.state == "failed"]
    if doubtful:
        found.append(
            f"{_named(doubtful, 'pair')} {_verb(doubtful, 'does', 'do')} not seem to fit and will be left out; look at "
            f"{_them(doubtful)}, then adjust, accept or reject {_them(doubtful)}."
        )
    if failed:
        found.append(f"{_named(failed, 'case')} could not be prepared and will be left out.")
    kept = {one.id for one in cases if one.used or one.state == "waiting"}
    if kept:
        found += _small_splits([one for one in drawn if one.id in kept])
    return found


def _small_splits(drawn: Sequence[Member]) -> list[str]:
    empty = [name for name in ("validation", "test") if name not in {one.split for one in drawn}]
    if not empty:
        return []
    patients = len(set(patient_groups(drawn).values()))
    what = " and the ".join(empty)
    few = f"there is only one patient; add {len(empty)} more" if patients == 1 else "move a patient there"
    if patients == 2:
        few = "there are only two patients; add one more"
    without = {"validation": "the best state of the network cannot be chosen", "test": "its quality cannot be told"}
    return [f"The {what} split stays empty, so {' and '.join(without[name] for name in empty)}: {few}."]


def _leaks(used: Sequence[Member]) -> list[str]:
    """Patients who are in two splits."""
    group, first, found = patient_groups(used), {}, {}
    for one in used:
        other = first.setdefault(group[one.patient], one)
        if other.split != one.split:
            shared = set(other.sha256.values()) & set(one.sha256.values())
            what = "use the same image" if shared else "are of the same patient"
            found.setdefault(
                group[one.patient],
                f"Cases {other.id} and {one.id} {what}, but are in the splits {other.split} and {one.split}; put both "
                "into one.",
            )
    return list(found.values())


def _named(ids: Sequence[str], noun: str) -> str:
    names = ", ".join(ids[:_LISTED]) + (", ..." if len(ids) > _LISTED else "")
    return f"{len(ids)} {noun}{'' if len(ids) == 1 else 's'} ({names})"


def _verb(ids: Sequence[str], one: str, several: str) -> str:
    return one if len(ids) == 1 else several


def _them(ids: Sequence[str]) -> str:
    return _verb(ids, "it", "them")
