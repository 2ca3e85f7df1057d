"""Which methods stand beside a generator in a table of results, ready to be applied to any case of a dataset."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from . import baselines
from .dataset import Dataset
from .errors import InputError, MedGANError
from .volume import Volume

INPUT = "input"
_TUNING_CASES = 3
_MOST_TARGETS = 4


@dataclass(frozen=True)
class Baseline:
    """A method that needs no training of a network.

    Args:
        label: for people, with its setting. note: how it was set or fitted, for the footnotes.
        apply: makes the result from the source; of the truth it may only take the grid, except where ``note`` says so.
    """

    label: str
    note: str
    apply: Callable[[Volume, Volume], Volume]


def trivial(task: str) -> dict[str, Baseline]:
    """What there is without any method: the input itself, interpolated for super-resolution, water for MR to CT."""
    if task == "superres-mr":
        return {INPUT: Baseline("input, B-spline", "cubic, to the exact grid of the result.", _interpolated)}
    if task in ("mr-to-ct", "mr-to-ct-unpaired"):
        from .baselines_ct import water

        return {
            "water": Baseline(
                "water",
                "0 HU in the whole body found in the MR, -1024 HU around it.",
                lambda source, truth: water(source),
            )
        }
    if task == "stain":
        note = "the source as it is; in gray (BT.601) where source and truth are the same picture, as for the others."
        return {INPUT: Baseline("input", note, _slide_as_it_is)}
    return {INPUT: Baseline("input", "the source as it is.", _as_it_is)}


def for_task(task: str, dataset: Dataset) -> tuple[dict[str, Baseline], list[str]]:
    """The trivial and the classical methods for a task, and a sentence for each that cannot be had.

    Args:
        task: name of the task.
        dataset: whose ``validation`` split they are tuned on and whose ``train`` split they are fitted to.
    """
    methods, notes = trivial(task), []
    for build in _CLASSICAL.get(task, ()):
        try:
            methods.update(build(dataset))
        except MedGANError as error:
            notes.append(f"A classical baseline is missing: {error}")
    return methods, notes


def _denoisers(dataset: Dataset) -> dict[str, Baseline]:
    kinds = {
        "gaussian": ("Gaussian", "pixels", baselines.gaussian, baselines.GAUSSIAN_WIDTHS),
        "nlm": ("non-local means", "HU", baselines.non_local_means, baselines.NLM_NOISES_HU),
    }
    samples = [(source, truth) for source, truth, _ in _pairs(dataset, "validation", _TUNING_CASES)]
    found = {}
    for name, (label, unit, method, settings) in kinds.items():
        if samples:
            setting = baselines.tuned(method, settings, samples)
            found[name] = Baseline(
                f"{label}, {setting:g} {unit}",
                "the setting of the highest PSNR on the validation split.",
                functools.partial(_with_setting, method, setting),
            )
        else:
            found[name] = Baseline(
                label,
                "tuned in its favor on the truth of each case, as there is no validation split.",
                functools.partial(_tuned_on_truth, method, settings),
            )
    return found


def _interpolators(dataset: Dataset) -> dict[str, Baseline]:
    apply = functools.partial(_interpolated, linear=True)
    return {"linear": Baseline("linear", "to the exact grid of the result.", apply)}


def _regression(dataset: Dataset) -> dict[str, Baseline]:
    from .baselines_ct import IntensityRegression

    regression = IntensityRegression(_pairs(dataset, "train"))
    note = "the mean CT number of each MR intensity, learnt from the training split, inside the body found in the MR."
    return {"regression": Baseline("intensity regression", note, lambda source, truth: regression(source))}


def _normalizers(dataset: Dataset) -> dict[str, Baseline]:
    from .baselines_stain import StainNormalizer

    targets = [target for _, target in _volumes(dataset, "train") if target is not None and target.channels == 3]
    targets = targets[:: max(1, len(targets) // _MOST_TARGETS)][:_MOST_TARGETS]
    if not targets:
        raise InputError("the train split has no RGB slide to take the colors from.")
    found = {}
    for name, label in (("macenko", "Macenko"), ("reinhard", "Reinhard")):
        normalizer = StainNormalizer(name, targets)
        note = f"torchstain, fitted to {len(targets)} target slide(s) of the train split."
        found[name] = Baseline(label, note, functools.partial(_normalized, normalizer))
    return found


_CLASSICAL: dict[str, tuple[Callable[[Dataset], dict[str, Baseline]], ...]] = {
    "denoise-ct": (_denoisers,),
    "superres-mr": (_interpolators,),
    "mr-to-ct": (_regression,),
    "mr-to-ct-unpaired": (_regression,),
    "stain": (_normalizers,),
}


def _as_it_is(source: Volume, truth: Volume) -> Volume:
    return source


def _slide_as_it_is(source: Volume, truth: Volume) -> Volume:
    """The picture; in gray where it is the truth itself, whose colors are what has to be found again."""
    from .baselines_stain import picture_of
    from .metrics.staining import luma

    if source.array is not truth.array and np.array_equal(source.array, truth.array):
        source = source.with_array(luma(source.array))
    return source.with_array(picture_of(source))


def _interpolated(source: Volume, truth: Volume, linear: bool = False) -> Volume:
    from .working_grid import resampled

    return resampled(source, truth, linear=linear)


def _normalized(normalizer: Callable[[Volume], Volume], source: Volume, truth: Volume) -> Volume:
    return normalizer(_slide_as_it_is(source, truth))


def _with_setting(method: Callable[[Volume, float], Volume], setting: float, source: Volume, truth: Volume) -> Volume:
    return method(source, setting)


def _tuned_on_truth(
    method: Callable[[Volume, float], Volume], settings: tuple[float, ...], source: Volume, truth: Volume
) -> Volume:
    return baselines.best(method, settings, source, truth)[0]


def _volumes(dataset: Dataset, split: str) -> Iterator[tuple[Volume | None, Volume | None]]:
    return (dataset.volumes(case) for case in dataset.split(split))


def _pairs(dataset: Dataset, split: str, most: int | None = None) -> Iterator[tuple[Volume, Volume, np.ndarray | None]]:
    """Source, truth and mask of the cases of a split that have both."""
    for case in dataset.split(split)[:most]:
        source, truth = dataset.volumes(case)
        if source is not None and truth is not None:
            yield source, truth, dataset.mask(case)
