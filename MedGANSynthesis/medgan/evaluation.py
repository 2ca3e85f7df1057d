"""How good a generator is: one row per patient, the untouched input and classical methods beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .dataset import SPLITS, Case, Dataset
from .error_maps import ERROR_MAPS, ErrorMaps
from .errors import InputError
from .evaluation_results import content_of, write_results
from .evaluation_table import AGAINST, OUTPUT, Table
from .files import replacing_folder
from .intensity import Scale
from .metrics import perceptual, staining
from .metrics.judges import TASKS, Reference, TaskMetrics
from .network import NetworkSpec
from .target import Target
from .volume import Volume

if TYPE_CHECKING:
    from .baselines_tasks import Baseline
    from .bundle import Bundle
    from .report_cases import CaseRecord

Progress = Callable[[float, str], None]
Generator = Callable[[Volume], Volume]


def evaluate(
    bundle: Bundle | str | Path,
    dataset: Dataset | str | Path,
    device: str = "auto",
    split: str = "test",
    progress: Progress | None = None,
    out_dir: str | Path | None = None,
    baselines: bool = True,
    against: Bundle | str | Path | None = None,
    error_maps: bool = False,
) -> Table:
    """Measure a bundle on a split of a dataset, beside its baselines.

    Args:
        bundle: the generator, or its folder.
        dataset: pairs it has not seen, or their folder.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        split: "test" (the ``validation`` split where there is none), "validation" or "train".
        progress: called with (fraction, message); may raise to stop.
        out_dir: folder for ``report.html``, ``table.csv``, ``pictures`` and ``results.json`` (see
            :mod:`medgan.evaluation_results`); None writes nothing.
        baselines: compare with classical methods as well, tuned on ``validation`` and fitted to ``train``; without,
            only the trivial one (the input, for MR to CT water) is beside.
        against: another bundle to compare with on the same cases, see :attr:`.Table.comparison`.
        error_maps: also write output minus truth of each case to ``out_dir``, see :mod:`medgan.error_maps`.

    Returns:
        one row per patient (``patient``, ``cases``, ``output_<metric>``, ``<baseline>_<metric>``, cases of a patient
        averaged), with ``summary``, ``verdict()`` and ``notes``; :data:`medgan.metrics.catalogue.CATALOGUE` says what
        each metric is.

    Raises:
        InputError: the dataset was made for another task, the split is empty or has no case with both images, or the
            generator's grid is not that of the truth.
    """
    from .baselines_tasks import for_task, trivial

    dataset = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    models = {name: _loaded(model) for name, model in ((OUTPUT, bundle), (AGAINST, against)) if model is not None}
    bundle = models[OUTPUT]
    cases, notes, split = _cases(list(models.values()), dataset, split)
    tell = progress or (lambda fraction, message: None)
    generators = {name: _generator(model, device) for name, model in models.items()}
    tell(0.0, "Tuning the baselines")
    methods, missing = for_task(bundle.task, dataset) if baselines else (trivial(bundle.task), [])
    labels = {**_titles(models), **{name: baseline.label for name, baseline in methods.items()}}
    with contextlib.ExitStack() as stack:
        maps = None
        if error_maps and out_dir is not None:
            maps = ErrorMaps(stack.enter_context(replacing_folder(Path(out_dir) / ERROR_MAPS)), _titles(models))
        run = _Run(bundle.task, dataset, methods, keep=out_dir is not None, maps=maps)
        for number, case in enumerate(cases):

            def within(share: float, text: str, done: int = number) -> None:
                tell((done + share) / len(cases), f"{text}, case {done + 1} of {len(cases)}")

            run.add(case, generators, within)
        if not run.rows:
            raise InputError(f"No case of {dataset.folder} in this split has both images, so nothing can be compared.")
    notes += [*run.notes(), *missing, *(f"Baseline {own.label}: {own.note}" for own in methods.values())]
    table = Table(by_patient(run.rows), bundle.task, run.primary, labels, notes, run.distances())
    table.cases, table.split = run.rows, split
    if out_dir is not None:
        from .report import write_report

        files = write_report(Path(out_dir), table, run.records, bundle, dataset)
        files |= {"error_maps": maps.rows if maps is not None else []}
        write_results(Path(out_dir), content_of(table, models, dataset, **files))
    tell(1.0, "Done")
    return table


def evaluate_generator(
    generator: Any,
    spec: NetworkSpec,
    scale: Scale,
    target: Target,
    dataset: Dataset,
    cases: Sequence[Case],
    device: str = "auto",
) -> list[dict[str, Any]]:
    """A few fast metrics of a network in memory on chosen cases, for the validations of a training.

    Returns:
        one row per case that has both images: ``case``, ``patient``, and ``output_<metric>`` beside
        ``input_<metric>`` (for super-resolution of the B-spline interpolated input), or for MR to CT beside
        ``water_<metric>``. ``psnr_db``, ``ssim`` and ``rmse`` are always there.
    """
    from .baselines_tasks import trivial
    from .synthesizer import generate

    run = _Run(dataset.task, dataset, trivial(dataset.task), keep=False, fast=True)
    for case in cases:
        run.add(case, {OUTPUT: lambda source: generate(generator, spec, scale, target, source, device)})
    return run.rows


class _Run:
    """Cases measured so far."""

    def __init__(
        self,
        task: str,
        dataset: Dataset,
        methods: dict[str, Baseline],
        keep: bool,
        fast: bool = False,
        maps: ErrorMaps | None = None,
    ):
        self.metrics: TaskMetrics = TASKS[task]
        self.dataset, self.methods, self.keep, self.fast, self.maps = dataset, methods, keep, fast, maps
        self.rows: list[dict[str, Any]] = []
        self.records: list[CaseRecord] = []
        self.unpaired, self.skipped = 0, 0
        self._look: staining.Look | None = None
        self._features: dict[str, list[np.ndarray]] = {}

    @property
    def primary(self) -> str:
        """Metric that decides."""
        return self.metrics.unpaired[0] if self.unpaired and self.metrics.unpaired else self.metrics.primary

    def add(
        self, case: Case, generators: Mapping[str, Generator], tell: Progress = lambda fraction, text: None
    ) -> None:
        """Generate and measure one case, and apply and measure every baseline."""
        source, truth = self.dataset.volumes(case)
        if source is None or (truth is None and (self.fast or self.metrics.unpaired is None)):
            self.skipped += 1
            return
        tell(0.0, "Generating")
        made = {name: make(source) for name, make in generators.items()}
        for image in made.values() if truth is not None else ():
            _check_grid(case, image, truth)
        if truth is not None and self.maps is not None:
            self.maps.add(case, truth, made)
        self.unpaired += truth is None
        mask = None if truth is None else _mask_on(self.dataset.mask(case), truth)
        reference = Reference(source, truth if truth is not None else made[OUTPUT], mask, self._target_look(truth))
        prepare = self.metrics.fast if self.fast else self.metrics.full
        judge = (prepare if truth is not None else self.metrics.unpaired[1])(reference)
        row: dict[str, Any] = {"case": case.id, "patient": case.patient}
        names = [*generators, *self.methods]
        for number, name in enumerate(names):
            tell((number + 1) / (len(names) + 1), "Measuring")
            if name not in made:
                made[name] = self.methods[name].apply(source, source if truth is None else truth)
            row.update({f"{name}_{metric}": value for metric, value in judge(made[name].array).items()})
            self._collect(name, made[name], reference)
            if not self.keep:
                del made[name]
        self._collect("truth", reference.truth if truth is not None else None, reference)
        self.rows.append(row)
        if self.keep:
            from .report_cases import CaseRecord

            self.records.append(CaseRecord.of(case, reference, truth is not None, made, row))

    def notes(self) -> list[str]:
        """What the reader of the table has to know about the cases."""
        notes = []
        if self.skipped:
            notes.append(f"{self.skipped} case(s) lack one of their images and were left out.")
        if self.unpaired:
            notes.append(
                f"{self.unpaired} case(s) have no true image: only their colors are compared with those of the target "
                "slides of the train split."
            )
        return notes + [reason for reason in map(perceptual.missing, ("LPIPS", "FID")) if reason]

    def _collect(self, name: str, image: Volume | None, reference: Reference) -> None:
        """Keep the features that FID needs of all slices of all cases, where its weights are here."""
        if not self.fast and image is not None and perceptual.missing("FID") is None:
            features = perceptual.inception_features(image.array, reference.value_range)
            self._features.setdefault(name, []).append(features)

    def distances(self) -> dict[tuple[str, str], float]:
        """FID of every method: (metric, method) to value; empty where it cannot be computed."""
        features = {name: np.concatenate(parts) for name, parts in self._features.items()}
        truth = features.pop("truth", None)
        if truth is None:
            return {}
        return {("fid", name): perceptual.frechet_distance(truth, own) for name, own in features.items()}

    def _target_look(self, truth: Volume | None) -> staining.Look | None:
        """Colors of the target slides, where a slide has no truth of its own."""
        if truth is not None or self._look is not None:
            return self._look if truth is None else None
        from .body_mask import body_mask

        targets = [self.dataset.volumes(case)[1] for case in self.dataset.split("train")]
        pixels = [target.array[body_mask(target)] for target in targets if target is not None]
        if not pixels:
            raise InputError(f"{self.dataset.folder} has no target slide to compare colors with; add one.")
        self._look = staining.Look.of(np.concatenate(pixels))
        return self._look


def by_patient(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean of the cases of each patient, in order of appearance; what is NaN in a case does not count."""
    patients: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        patients.setdefault(row["patient"], []).append(row)
    result = []
    for patient, own in patients.items():
        names = dict.fromkeys(key for row in own for key in row if key not in ("case", "patient"))
        means = {name: _mean([row[name] for row in own if name in row]) for name in names}
        result.append({"patient": patient, "cases": len(own), **means})
    return result


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _loaded(bundle: Bundle | str | Path) -> Bundle:
    from .bundle import Bundle

    return bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)


def _generator(bundle: Bundle, device: str) -> Generator:
    from .synthesizer import Synthesizer

    synthesizer = Synthesizer(bundle, device)
    return lambda source: synthesizer(source).volume


def _titles(models: Mapping[str, Bundle]) -> dict[str, str]:
    """Titles that tell the models apart: two trainings of a task are often called the same."""
    alike = len({model.title for model in models.values()}) < len(models)
    return {
        name: f"{model.title} ({model.sha256[:8] or model.path.name})" if alike else model.title
        for name, model in models.items()
    }


def _cases(bundles: Sequence[Bundle], dataset: Dataset, split: str) -> tuple[list[Case], list[str], str]:
    """The cases to measure, a sentence where they are not what they should be, and the split they are of."""
    for bundle in bundles:
        if bundle.task not in TASKS or TASKS[bundle.task] is not TASKS.get(dataset.task):
            raise InputError(
                f"'{bundle.title}' is for the task {bundle.task}, the dataset for {dataset.task}; choose one that fits."
            )
    if split not in SPLITS:
        raise InputError(f"There is no split '{split}'; use one of {', '.join(SPLITS)}.")
    notes, cases = [], dataset.split(split)
    if not cases and split == "test":
        split, cases = "validation", dataset.split("validation")
        notes.append("There is no test split; measured on the validation split, by which the model may be chosen.")
    if not cases:
        raise InputError(f"{dataset.folder} has no case in its {split} split; choose another split.")
    if split == "train":
        notes.append("Measured on the images it may have been trained on, so the numbers do not hold for others.")
    return cases, notes, split


def _check_grid(case: Case, made: Volume, truth: Volume) -> None:
    if made.array.shape != truth.array.shape or not made.geometry.is_close(truth.geometry):
        raise InputError(
            f"Case {case.id}: the model makes an image of {made.array.shape} voxels from the source, but the truth has "
            f"{truth.array.shape}, or lies elsewhere; build the dataset for this model."
        )


def _mask_on(mask: np.ndarray | None, truth: Volume) -> np.ndarray | None:
    """A mask on the grid of the source, on the grid of the truth, which may be finer by whole factors."""
    if mask is None or mask.shape == truth.grid_shape:
        return mask
    factors = [fine // coarse for fine, coarse in zip(truth.grid_shape, mask.shape, strict=True)]
    for axis, factor in enumerate(factors):
        mask = np.repeat(mask, factor, axis)
    return mask if mask.shape == truth.grid_shape else None
