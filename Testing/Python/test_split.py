"""Patients are divided by patient, alike in every stratum, and the same way again."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medgan.errors import InputError
from medgan.splitting import split_patients

NAMES = ("train", "validation", "test")


def test_shares_of_the_whole_and_of_each_stratum():
    strata = {f"p{n}": "1.5 T" if n < 60 else "3 T" for n in range(100)}
    split = split_patients(strata, (0.7, 0.2, 0.1), seed=3)
    assert Counter(split.values()) == {"train": 70, "validation": 20, "test": 10}
    small = Counter(split[patient] for patient, stratum in strata.items() if stratum == "3 T")
    for name, expected in (("train", 28), ("validation", 8), ("test", 4)):
        assert abs(small[name] - expected) <= 1


def test_seed_and_order():
    strata = {f"p{n}": str(n % 3) for n in range(40)}
    first = split_patients(strata, seed=1)
    assert split_patients(dict(reversed(strata.items())), seed=1) == first
    assert split_patients(strata, seed=2) != first


def test_few_patients():
    assert split_patients({"a": ""}) == {"a": "train"}
    assert Counter(split_patients({"a": "", "b": ""}).values()) == {"train": 1, "validation": 1}
    assert Counter(split_patients({"a": "", "b": "", "c": ""}).values()) == dict.fromkeys(NAMES, 1)
    assert set(split_patients({"a": "", "b": "", "c": ""}, (1, 0, 0)).values()) == {"train"}
    assert split_patients({}) == {}


@given(st.dictionaries(st.text(min_size=1), st.sampled_from("xyz"), min_size=3), st.integers(0, 99))
def test_everyone_has_a_split_and_none_is_empty(strata, seed):
    split = split_patients(strata, seed=seed)
    assert split.keys() == strata.keys() and set(split.values()) == set(NAMES)


@pytest.mark.parametrize("fractions", [(0, 0.5, 0.5), (0.5, -0.1, 0.6), (0.5, 0.5), (float("nan"), 0.5, 0.5)])
def test_fractions_that_make_no_sense(fractions):
    with pytest.raises(InputError, match="give three numbers"):
        split_patients({"a": ""}, fractions)
