"""Hand-over: a trained model becomes one of those that MedGAN Synthesis lists, from here or from another computer."""

from __future__ import annotations

import contextlib
from pathlib import Path

from medgan import model_store
from medgan.bundle import Bundle
from medgan.bundle_search import search_folders
from medgan.dataset import Dataset
from medgan.errors import MedGANError
from medgan.evaluation_results import RESULTS, EvaluationResults
from medgan.hand_over import hand_over
from MedGANSynthesisLib.models import modelChanges

from .EvaluationCommand import evaluationFolder, modelOf

LICENCES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "Apache-2.0", "MIT")
"""SPDX identifiers that are proposed; any other text is taken as well."""


def install(run, name: str | None = None, licence: str | None = None, dataset=None, replace: bool = False) -> Bundle:
    """See ``TrainingLogic.install``."""
    bundle = modelOf(run)
    results = lastResults(bundle, getattr(dataset, "folder", dataset) or _dataset(run))
    installed = hand_over(bundle, title=name or "", licence=licence or "", results=results, replace=replace)
    modelChanges.notify()
    return installed


def importBundle(path: str | Path, replace: bool = False) -> Bundle:
    """See ``TrainingLogic.importBundle``."""
    path = Path(path)
    if path.is_dir():
        inner = path / "bundle"  # what a training brings back is its whole folder
        entry = model_store.install_folder(inner if inner.is_dir() else path, replace=replace)
    else:
        entry = model_store.install_zip(path, replace=replace)
    modelChanges.notify()
    return entry.bundle


def isInstalled(folder: str | Path) -> bool:
    """Whether a folder is one of those in which installed models are looked for."""
    return Path(folder).resolve().parent in {place.resolve() for place in search_folders()}


def lastResults(bundle: Bundle, dataset: str | Path | None) -> EvaluationResults | None:
    """What was measured last of a model on a dataset as it is now, alone or beside another; None if nothing was."""
    if not dataset:
        return None
    alone = evaluationFolder(bundle, Path(dataset))
    files = [*alone.parent.glob(f"{alone.name}/{RESULTS}"), *alone.parent.glob(f"{alone.name}-against-*/{RESULTS}")]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        with contextlib.suppress(MedGANError):  # damaged
            results = EvaluationResults.load(file.parent)
            same = results.content["models"].get("output", {}).get("sha256") == bundle.sha256
            if same and results.is_of(Dataset.load(dataset)):
                return results
    return None


def _dataset(run) -> str | None:
    """Folder of the dataset that a run learns from, as far as that is known."""
    request = getattr(getattr(run, "status", None), "request", None)
    return getattr(request, "dataset", None)
