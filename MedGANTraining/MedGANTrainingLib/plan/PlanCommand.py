"""What a training would be: planned and measured by ``medgan plan`` in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from medgan.dataset import Dataset
from medgan.plan_report import PlanReport

from ..dependencies import ensureTrainingDependencies
from ..EngineTask import EngineTask
from .overrides import settings


def plan(
    dataset: Dataset | str | Path,
    preset: str = "recommended",
    device: str = "auto",
    parameters: dict[str, Any] | None = None,
    wait: bool = True,
    onProgress: Callable[[EngineTask], None] | None = None,
    onDone: Callable[[EngineTask], None] | None = None,
    startFrom: Any = None,
) -> PlanReport | EngineTask:
    """Plan a training on this computer and measure some of its steps.

    Args:
        dataset: what would be learned from, or its folder.
        parameters: of the recipe, by name; they stand whatever the images say.
        wait: return the ``PlanReport`` when it is there; False returns the ``EngineTask`` at once, whose ``result``
            it will be.
        startFrom: a model (bundle, its folder or name) whose generator would be the start; None for a new one.

    Raises:
        MedGANError: the dataset or a parameter cannot be used, or PyTorch is missing; in one sentence.
    """
    ensureTrainingDependencies()
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    arguments = ["plan", dataset.task, dataset.folder, "--preset", preset, "--device", device, "--json"]
    if startFrom:
        arguments += ["--start-from", getattr(startFrom, "path", startFrom)]
    task = EngineTask([*arguments, *settings(parameters or {})], _report, onProgress, onDone)
    return task.wait() if wait else task


def _report(task: EngineTask) -> PlanReport:
    return PlanReport.parse("\n".join(task.lines))
