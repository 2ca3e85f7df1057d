"""The model card of a bundle (``docs/README.md``), made from its manifest."""

from __future__ import annotations

import dataclasses
from typing import Any

from .manifest import Manifest

_FORMATS = {"torchscript": "TorchScript", "onnx": "ONNX"}


def model_card(manifest: Manifest, metadata: dict[str, Any]) -> str:
    """Markdown: what it is, what it was trained and measured on, what it is not for."""
    parts = [f"# {manifest.title}", "", metadata["description"], "", "## Use", "", manifest.intended_use, ""]
    parts += [f"* {limit}" for limit in manifest.limits]
    parts += ["", "The images it makes are synthetic: computed by a neural network, not acquired.", ""]
    if manifest.training:
        parts += ["## Trained on", "", *_facts(manifest.training), ""]
    if manifest.results:
        parts += ["## Measured", "", *_table(manifest.results), ""]
    if manifest.recipe:
        parts += ["## Parameters", "", f"Task `{manifest.task}`, preset `{manifest.preset}`.", ""]
        parts += [*_facts(manifest.recipe), ""]
    if manifest.is_foreign:
        known = {key: value for key, value in dataclasses.asdict(manifest.network).items() if value}
        parts += ["## Network", "", f"Made elsewhere and imported from {_FORMATS[manifest.generator]}.", ""]
        parts += [*_facts({"task": manifest.task, "intensity": manifest.intensity, **known}), ""]
    parts += ["## Licence", "", metadata.get("license") or "Not stated.", ""]
    return "\n".join(parts)


def _facts(values: dict[str, Any]) -> list[str]:
    return [f"* {key.replace('_', ' ')}: {value}" for key, value in values.items()]


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown; a row that holds several methods ("output_psnr_db", "input_psnr_db") becomes a line for each."""
    rows = [line for row in rows for line in _lines(row)]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(column.replace("_", " ") for column in columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(column, "")) for column in columns) + " |")
    return lines


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A line per method: what is measured, the method, its metrics."""
    metrics = [key.removeprefix("output_") for key in row if key.startswith("output_")]
    methods = [
        key.removesuffix(f"_{metrics[0]}") for key in row if metrics and key.endswith(f"_{metrics[0]}")
    ]  # fmt: skip
    shared = {key: value for key, value in row.items() if not any(key.startswith(f"{name}_") for name in methods)}
    if len(methods) < 2:
        return [row]
    own = [{metric: row[f"{name}_{metric}"] for metric in metrics if f"{name}_{metric}" in row} for name in methods]
    return [{**shared, "method": name, **values} for name, values in zip(methods, own, strict=True)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
