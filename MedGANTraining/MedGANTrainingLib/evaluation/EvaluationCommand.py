"""Evaluating in a process of its own: ``medgan evaluate``, and what it wrote put into the scene."""

from __future__ import annotations

from pathlib import Path

from medgan.bundle import Bundle
from medgan.bundle_search import resolve
from medgan.dataset import Dataset
from medgan.errors import InputError
from medgan.evaluation_results import EvaluationResults
from slicer.i18n import tr as _

from ..dependencies import ensureTrainingDependencies
from ..EngineTask import EngineTask
from .EvaluationResult import EvaluationResult

EVALUATIONS = "evaluations"
"""Folder within that of a dataset that holds what was measured on it."""


def evaluate(
    bundle,
    dataset,
    against=None,
    device: str = "auto",
    baselines: bool = True,
    errorMaps: bool = True,
    wait: bool = True,
    onProgress=None,
    onDone=None,
) -> EvaluationResult | EngineTask:
    """See ``TrainingLogic.evaluate``."""
    task = measure(bundle, dataset, against, device, baselines, errorMaps, onProgress, onDone, EvaluationResult)
    return task.wait() if wait else task


def measure(
    bundle,
    dataset,
    against=None,
    device: str = "auto",
    baselines: bool = True,
    errorMaps: bool = True,
    onProgress=None,
    onDone=None,
    make=lambda results: results,
) -> EngineTask:
    """Start ``medgan evaluate``.

    Args:
        make: what becomes of the ``EvaluationResults`` that it has written; the ``result`` of the task.
    """
    bundle = modelOf(bundle)
    against = modelOf(against) if against is not None else None
    dataset = Dataset.load(dataset if isinstance(dataset, str | Path) else dataset.folder)
    for model in (bundle, against):
        if model is not None and not model.manifest.is_identity:
            ensureTrainingDependencies(model)
    folder = evaluationFolder(bundle, dataset.folder, against)
    arguments = ["evaluate", bundle.path, dataset.folder, "--out", folder, "--device", device]
    arguments += ["--against", against.path] if against is not None else []
    arguments += ["--error-maps"] if errorMaps else []
    arguments += [] if baselines else ["--no-baselines"]
    return EngineTask(arguments, lambda task: make(EvaluationResults.load(folder)), onProgress, onDone)


def modelOf(model) -> Bundle:
    """The bundle that is meant by a bundle, a run (``TrainingRun``, the engine's ``Run``), the folder of either, or the
    name of an installed model.

    Raises:
        MedGANError: there is none, or the run has not finished one yet.
    """
    if isinstance(model, Bundle):
        return model
    folder = getattr(model, "folder", model)
    if (inner := Path(folder) / "bundle").is_dir():
        return Bundle.load(inner)
    if folder is not model:
        message = _("The training in {folder} has no finished model yet; let it finish first.")
        raise InputError(message.format(folder=folder))
    return resolve(model)


def evaluationFolder(bundle: Bundle, dataset: Path, against: Bundle | None = None) -> Path:
    """Where the results of a model (compared with another) on a dataset go; each pair of weights has its own."""
    name = _label(bundle) if against is None else f"{_label(bundle)}-against-{_label(against)}"
    return Path(dataset).resolve() / EVALUATIONS / name


def _label(bundle: Bundle) -> str:
    return f"{bundle.name}-{bundle.sha256[:8]}" if bundle.sha256 else bundle.name
