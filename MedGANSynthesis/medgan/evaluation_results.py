"""The numbers of an evaluation on disk, ``results.json``: written for programs, read without anything heavy."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .dataset_check import image_hashes
from .errors import InputError
from .evaluation_table import Table
from .files import write_json
from .metrics.catalogue import CATALOGUE

if TYPE_CHECKING:
    from .bundle import Bundle
    from .dataset import Dataset

SCHEMA = 1
RESULTS = "results.json"


@dataclass(frozen=True, eq=False)
class EvaluationResults:
    """What an evaluation found.

    Args:
        folder: where it lies; all paths are relative to it.
        content: of ``results.json``: ``schema``, ``task``, ``split`` (what was measured on), ``primary`` (the metric
            that decides), ``methods`` (name to label; the generator is "output", the one it is compared with
            "against"), ``models`` (of these two: name, title, version, sha256, path), ``dataset`` (folder, description,
            licence, cases_sha256: see :func:`cases_sha256`), ``metrics`` (name to label, unit, better, definition),
            ``patients`` and ``cases`` (rows of ``<method>_<metric>``), ``summary`` and ``comparison`` (rows as in
            :class:`~.evaluation_table.Table`), ``verdict``, ``comparison_verdict``, ``notes``, ``error_maps`` (see
            :class:`~.error_maps.ErrorMaps`), ``pictures`` (title, path), ``report``, ``table``. What could not be
            measured is NaN.
    """

    folder: Path
    content: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path) -> EvaluationResults:
        """Read ``results.json``. Raises InputError: it is missing, damaged or of a newer schema."""
        file = Path(folder) / RESULTS
        try:
            content = _numbers(json.loads(file.read_text(encoding="utf-8")))
            schema = int(content["schema"])
            if schema > SCHEMA:
                raise InputError(
                    f"{file} was made by a newer MedGAN (schema {schema}); update MedGAN, or evaluate again."
                )
            content = {**{name: kind() for name, kind in _PARTS.items()}, **content}
            if any(not isinstance(content[name], kind) for name, kind in _PARTS.items()):
                raise TypeError("an entry is of the wrong kind")
        except OSError as error:
            raise InputError(f"There are no results in {folder} ({error.strerror}); evaluate again.") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file} is damaged ({error}); evaluate again.") from error
        return cls(Path(folder), content)

    def titled(self, metric: str) -> str:
        """Label of a metric with its unit, such as "MAE, body (HU)"."""
        facts = self.content["metrics"].get(metric, {"label": metric, "unit": ""})
        return f"{facts['label']} ({facts['unit']})" if facts["unit"] else facts["label"]

    def is_of(self, dataset: Dataset) -> bool:
        """Whether it was measured on these images, rather than on an earlier version of the dataset."""
        return self.content["dataset"].get("cases_sha256") == cases_sha256(dataset, self.content["split"])

    def path(self, name: str) -> Path:
        """The absolute path of "report" or "table"."""
        return self.folder / self.content[name]


_TEXTS = ("patient", "case", "metric", "method", "better")
_PARTS: dict[str, type] = {
    **dict.fromkeys(("task", "split", "primary", "verdict", "comparison_verdict", "report", "table"), str),
    **dict.fromkeys(("methods", "models", "dataset", "metrics"), dict),
    **dict.fromkeys(("patients", "cases", "summary", "comparison", "notes", "error_maps", "pictures"), list),
}


def content_of(table: Table, models: Mapping[str, Bundle | None], dataset: Dataset, /, **files: Any) -> dict[str, Any]:
    """What ``results.json`` holds, ready for JSON: NaN is null, infinite numbers are the texts "inf" and "-inf".

    Args:
        table: what was measured. models: "output", and "against" if two were compared.
        files: what was written, if anything: ``error_maps``, ``pictures``, ``report``, ``table``.
    """
    content = {
        "schema": SCHEMA,
        "task": table.task,
        "split": table.split,
        "primary": table.primary,
        "methods": table.methods,
        "models": {name: _model(bundle) for name, bundle in models.items() if bundle is not None},
        "dataset": {
            "folder": str(Path(dataset.folder).resolve()),
            "description": dataset.description,
            "licence": dataset.licence,
            "cases_sha256": cases_sha256(dataset, table.split),
        },
        "metrics": {name: _metric(name) for name in dict.fromkeys(row["metric"] for row in table.summary)},
        "patients": list(table),
        "cases": table.cases,
        "summary": table.summary,
        "comparison": table.comparison,
        "verdict": table.verdict(),
        "comparison_verdict": table.comparison_verdict(),
        "notes": table.notes,
        **files,
    }
    return _plain(content)


def cases_sha256(dataset: Dataset, split: str) -> str:
    """What the cases of a split are: a hash of their names and voxels, whatever their order."""
    cases = sorted((case.id, case.split, sorted(image_hashes(dataset, case).items())) for case in dataset.split(split))
    return hashlib.sha256(json.dumps(cases).encode()).hexdigest()


def write_results(folder: Path, content: dict[str, Any]) -> Path:
    """Write ``results.json``, all or nothing; last, for what it names has to be there."""
    write_json(folder / RESULTS, content)
    return folder / RESULTS


def _model(bundle: Bundle) -> dict[str, str]:
    facts = {"name": bundle.name, "title": bundle.title, "version": bundle.version, "sha256": bundle.sha256}
    return {**facts, "path": str(bundle.path.resolve())}


def _metric(name: str) -> dict[str, str]:
    facts = CATALOGUE[name]
    return {"label": facts.label, "unit": facts.unit, "better": facts.better, "definition": facts.definition}


def _plain(value: Any) -> Any:
    """JSON knows neither NaN nor infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else f"{value}"
    return value


def _numbers(content: dict[str, Any]) -> dict[str, Any]:
    """The rows of numbers as they were before ``_plain``."""
    for name in ("patients", "cases", "summary", "comparison"):
        content[name] = [{key: _number(key, value) for key, value in row.items()} for row in content.get(name, [])]
    return content


def _number(key: str, value: Any) -> Any:
    if key in _TEXTS:
        return value
    if value is None and key not in ("low", "high"):
        return math.nan
    return float(value) if value in ("inf", "-inf") else value
