"""``medgan models``: what is installed, and how well it does."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..bundle import Bundle


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "models",
        help="list the installed models",
        description="List the models shipped with MedGAN, those in the folders of $MEDGAN_MODELS and your own. "
        "Use a name or a task of this table as MODEL in medgan apply.",
    )
    parser.add_argument("--task", help="only models of this task, such as denoise-ct")
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a table, or JSON, on stdout."""
    from ..bundle import find_bundles

    rows = [describe(bundle) for bundle in find_bundles(arguments.task)]
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        what = f" for the task {arguments.task}" if arguments.task else ""
        print(f"There is no model{what}; set MEDGAN_MODELS to a folder of models, or give a path to medgan apply.")
    else:
        print(format_table(rows))


def describe(bundle: Bundle) -> dict[str, str]:
    """One row of the table."""
    return {
        "name": bundle.name,
        "task": bundle.task,
        "version": bundle.version,
        "licence": bundle.licence or "not stated",
        "gain": measured_gain(bundle.manifest.results),
        "path": str(bundle.path),
    }


def measured_gain(results: list[dict[str, Any]]) -> str:
    """Mean gain in PSNR (dB) over the untouched input, of the test cases a bundle was measured on."""
    pairs = [(row.get("output_psnr_db"), row.get("input_psnr_db")) for row in results]
    gains = [pair[0] - pair[1] for pair in pairs if all(isinstance(value, int | float) for value in pair)]
    if not gains:
        return "not measured"
    cases = "1 case" if len(gains) == 1 else f"{len(gains)} cases"
    return f"{sum(gains) / len(gains):+.1f} dB PSNR ({cases})"


def format_table(rows: list[dict[str, str]]) -> str:
    """Rows of equal keys as left-aligned columns under their names."""
    columns = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    lines = [{key: key.upper() for key in columns}, *rows]
    return "\n".join("  ".join(line[key].ljust(width) for key, width in columns.items()).rstrip() for line in lines)
