"""``medgan evaluate``: how good a model is on a dataset, beside the methods it has to beat."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from .console import Progress, note

_EXAMPLES = """\
examples:
  medgan evaluate my_model my_dataset
  medgan evaluate my_model my_dataset --out results      also results/report.html, table.csv and results.json
  medgan evaluate new_model my_dataset --against old_model --out results --error-maps
  medgan evaluate denoise-ct my_dataset --split validation --no-baselines

Rows are means over patients; the interval is a bootstrap over patients. What each metric means is in the report.
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on a dataset, beside its baselines",
        description="Measure MODEL on the images of DATASET that it has not seen, and the methods it has to beat.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="model folder, or the name of an installed model")
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder with dataset.json")
    parser.add_argument(
        "--split", default="test", help="test (default; validation if there is none), validation or train"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for report.html, table.csv, results.json and pictures"
    )
    parser.add_argument("--against", metavar="OTHER", help="another model to compare with on the same cases")
    parser.add_argument(
        "--error-maps", action="store_true", help="write output minus truth of each case to DIR/error-maps as NRRD"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare with classical methods as well (default: yes)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for scripts instead of the table")
    parser.add_argument("--quiet", action="store_true", help="print the table, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and print; the table goes to stdout, everything else to stderr."""
    from ..bundle_search import resolve
    from ..dataset import Dataset
    from ..evaluation import evaluate
    from ..evaluation_results import content_of
    from ..evaluation_table import AGAINST, OUTPUT
    from ..files import make_folder

    bundle = resolve(arguments.model)
    against = resolve(arguments.against) if arguments.against is not None else None
    if arguments.error_maps and arguments.out is None:
        raise InputError("Error maps need a folder to go to; name one with --out.")
    if not arguments.dataset.is_dir():
        raise InputError(f"There is no dataset folder {arguments.dataset}.")
    begun = arguments.out is not None and not arguments.out.exists()
    if arguments.out is not None:
        make_folder(arguments.out)  # not only after an hour of computing
    try:
        with Progress(arguments.quiet) as progress:
            table = evaluate(
                bundle,
                arguments.dataset,
                device=arguments.device,
                split=arguments.split,
                progress=progress,
                out_dir=arguments.out,
                baselines=arguments.baselines,
                against=against,
                error_maps=arguments.error_maps,
            )
    except BaseException:
        if begun:
            with contextlib.suppress(OSError):  # it is not empty
                arguments.out.rmdir()
        raise
    if arguments.json:
        content = content_of(table, {OUTPUT: bundle, AGAINST: against}, Dataset.load(arguments.dataset))
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        print(table)
        print(f"\n{table.verdict()}")
        if against is not None:
            print(table.comparison_verdict())
    for text in table.notes:
        note(text, arguments.quiet)
    if arguments.out is not None:
        note(f"the report is {arguments.out / 'report.html'}", arguments.quiet)
