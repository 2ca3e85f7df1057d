"""Training packages: a dataset and the plan for it in one file, packed in a process of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slicer
from medgan.dataset import Dataset

from ..EngineTask import EngineTask


def exportPackage(
    dataset, path: str | Path, plan, wait: bool = True, onProgress=None, onDone=None
) -> Path | EngineTask:
    """Pack a dataset and a plan.

    Args:
        dataset: a ``Dataset``, or its folder.
        path: of the zip file.
        plan: a ``PlanReport``, what its ``plan`` holds, the engine's ``Plan``, or the file of a plan.
        wait: return the path when it is there; False returns the ``EngineTask`` at once.

    Raises:
        MedGANError: dataset or plan cannot be used, or the disk is full.
    """
    dataset = Dataset.load(dataset if isinstance(dataset, str | Path) else dataset.folder)
    content = getattr(plan, "plan", plan)
    content = content.to_dict() if hasattr(content, "to_dict") else content
    folder = None
    if isinstance(content, Mapping):
        folder = tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath)
        content = _written(content, Path(folder.name) / "plan.json")

    def packed(task: EngineTask) -> Path:
        return Path(path)

    def done(task: EngineTask) -> None:
        if folder is not None:
            folder.cleanup()
        if onDone is not None:
            onDone(task)

    task = EngineTask(["package", dataset.folder, content, path], packed, onProgress, done)
    return task.wait() if wait else task


def _written(content: Mapping[str, Any], path: Path) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
