"""``medgan package``: a dataset and the plan for it in one file, to train elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .console import Progress, note

_EXAMPLES = """\
examples:
  medgan plan denoise-ct my_dataset --save plan.json
  medgan package my_dataset plan.json package.zip
  medgan train --package package.zip my_model          on the GPU server
  medgan bundle install my_model/bundle                back here
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "package",
        help="pack a dataset and a plan to train on another machine",
        description="Write DATASET and PLAN to one zip file; medgan train --package trains what it holds.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder with dataset.json")
    parser.add_argument("plan", metavar="PLAN", type=Path, help="plan.json of medgan plan, or of a training")
    parser.add_argument("zip", metavar="ZIP", type=Path, help="file to write")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Pack."""
    from ..package import export_package

    with Progress(arguments.quiet) as progress:
        path = export_package(arguments.dataset, arguments.plan, arguments.zip, progress)
    note(f"the package is {path}; train it with: medgan train --package {path.name} OUT", arguments.quiet)
