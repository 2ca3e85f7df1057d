"""``medgan models``: what is installed, and how well it does."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..model_store import Installed


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "models",
        help="list the installed models",
        description="List the models shipped with MedGAN, those in the folders of $MEDGAN_MODELS and your own. "
        "Use a name or a task of this table as MODEL in medgan apply; medgan bundle install adds one.",
    )
    parser.add_argument("--task", help="only models of this task, such as denoise-ct")
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a table, or JSON, on stdout."""
    from ..model_store import installed

    entries = installed()
    if arguments.task is not None:
        entries = [entry for entry in entries if entry.bundle is not None and entry.bundle.task == arguments.task]
    rows = [describe(entry) for entry in entries]
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        what = f" for the task {arguments.task}" if arguments.task else ""
        print(f"There is no model{what}; set MEDGAN_MODELS to a folder of models, or give a path to medgan apply.")
    else:
        print(format_table(rows))


def describe(entry: Installed) -> dict[str, str]:
    """One row of the table."""
    place = {
        "origin": f"{entry.origin}, hidden by another" if entry.shadowed else entry.origin,
        "size": f"{entry.bytes / 1e6:.1f} MB",
        "path": str(entry.path),
    }
    bundle = entry.bundle
    if bundle is None:
        return {
            "name": entry.name,
            "task": "",
            "version": "",
            "licence": "",
            "gain": f"DAMAGED: {entry.error}",
            **place,
        }
    return {
        "name": bundle.name,
        "task": bundle.task,
        "version": bundle.version,
        "licence": bundle.licence or "not stated",
        "gain": measured_gain(bundle.manifest.results),
        **place,
    }


MEASURES = (
    ("mae_hu_body", "regression", "HU MAE {} than an intensity regression"),
    ("mae_hu_body", "input", "HU MAE {} than its input"),
    ("psnr_db_head", "bspline", "dB PSNR over B-spline"),
    ("psnr_db", "input", "dB PSNR"),
)
"""Metric, method to compare with, and how to say it; the first that a model was measured by."""


def measured_gain(results: list[dict[str, Any]]) -> str:
    """A model's difference to its baseline, mean over the cases; patients it has learnt from do not count."""
    results = [row for row in results if not row.get("learnt_from")]
    for metric, baseline, words in MEASURES:
        pairs = [(row.get(f"output_{metric}"), row.get(f"{baseline}_{metric}")) for row in results]
        gains = [made - before for made, before in pairs if isinstance(made, float) and isinstance(before, float)]
        if gains:
            cases = "1 case" if len(gains) == 1 else f"{len(gains)} cases"
            gain = sum(gains) / len(gains)
            number = f"{gain:+.1f}" if "{}" not in words else f"{abs(gain):.1f}"
            return f"{number} {words.format('worse' if gain > 0 else 'better')} ({cases})"
    return "see its card" if results else "not measured"


def format_table(rows: list[dict[str, str]]) -> str:
    """Rows of equal keys as left-aligned columns under their names."""
    columns = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    lines = [{key: key.upper() for key in columns}, *rows]
    return "\n".join("  ".join(line[key].ljust(width) for key, width in columns.items()).rstrip() for line in lines)
