"""Which patients are learnt from, validated on and tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .errors import InputError

FRACTIONS = (0.7, 0.15, 0.15)
_NAMES = ("train", "validation", "test")


def split_patients(strata: Mapping[str, str], fractions: Sequence[float] = FRACTIONS, seed: int = 0) -> dict[str, str]:
    """Draw a split for each patient, alike within each stratum (scanner, field strength, slice distance, ...).

    Every split with a fraction above 0 gets at least one patient as long as there are enough, train first, then
    validation, then test. One patient alone goes to train: what is tested on one's own training tells nothing.

    Args:
        strata: stratum of each patient.
        fractions: shares of train, validation and test; they are scaled to a sum of 1.
        seed: the same seed gives the same split of the same patients, in whatever order they are given.

    Returns:
        "train", "validation" or "test" for each patient.

    Raises:
        InputError: the fractions are no three numbers of which the first is above and none is below 0.

    Example:
        >>> sorted(split_patients({"a": "", "b": "", "c": ""}).values())
        ['test', 'train', 'validation']
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not np.isfinite(shares).all() or shares.min() < 0 or shares[0] == 0:
        raise InputError(
            f"The fractions of the splits are {list(fractions)}; give three numbers such as 0.7, 0.15, 0.15, the first "
            "of them above 0."
        )
    counts = _counts(len(strata), shares / shares.sum())
    generator = np.random.default_rng(seed)
    order: list[str] = []
    for stratum in _shuffled(sorted(set(strata.values())), generator):
        order += _shuffled(sorted(patient for patient, own in strata.items() if own == stratum), generator)
    # Walking through the strata, each split is filled at its own steady pace, so it gets its share of every stratum.
    given = np.zeros(3)
    chosen = {}
    for position, patient in enumerate(order, start=1):
        owed = np.where(given < counts, counts * position / len(order) - given, -np.inf)
        chosen[patient] = _NAMES[owed.argmax()]
        given[owed.argmax()] += 1
    return {patient: chosen[patient] for patient in strata}


def _shuffled(names: list[str], generator: np.random.Generator) -> list[str]:
    return [names[n] for n in generator.permutation(len(names))]


def _counts(patients: int, shares: np.ndarray) -> np.ndarray:
    """Patients per split: rounded by largest remainder, at least one where a share is above 0 and they suffice."""
    wanted = shares * patients
    counts = np.floor(wanted).astype(int)
    for split in np.argsort(counts - wanted, kind="stable")[: patients - counts.sum()]:
        counts[split] += 1
    for split in np.flatnonzero(shares > 0)[:patients]:
        if counts[split] == 0:
            counts[counts.argmax()] -= 1
            counts[split] = 1
    return counts
