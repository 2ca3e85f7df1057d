"""``medgan plan``: what a training would do on this machine, and how long it would take."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from .console import Progress, note
from .settings import add_settings, minutes, overrides_of

_EXAMPLES = """\
examples:
  medgan plan denoise-ct my_dataset
  medgan plan denoise-ct my_dataset --set batch_size=4 --save plan.json
  medgan train denoise-ct my_dataset my_model --plan plan.json

A few steps are taken to see how long they take and how much memory; nothing of them is kept.
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "plan",
        help="show what a training would do, how long it takes and how much memory",
        description="Settle every parameter of a training of TASK on DATASET, with the reason of each, and measure it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", metavar="TASK", help="what to train, such as denoise-ct")
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder with the training images")
    add_settings(parser)
    parser.add_argument("--minutes", type=minutes, help="shorten the schedule so that the training takes so long here")
    parser.add_argument("--save", metavar="FILE", type=Path, help="write the plan, for medgan train --plan")
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.add_argument("--quiet", action="store_true", help="print the plan, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Plan, measure and print; the plan goes to stdout, everything else to stderr."""
    from .. import recipes
    from ..dataset import Dataset
    from ..device import choose_device, require_torch
    from ..fine_tuning import inherited
    from ..plan import make_plan
    from ..plan_measure import plan_report

    recipe_class = recipes.recipe_class(arguments.task)
    overrides = overrides_of(recipe_class, arguments.settings, arguments.preset)
    if not arguments.dataset.is_dir():
        raise InputError(f"There is no dataset folder {arguments.dataset}; was it moved?")
    dataset = Dataset.load(arguments.dataset)
    if dataset.task != recipe_class.TASK:
        raise InputError(f"The dataset was made for the task {dataset.task}, not {recipe_class.TASK}; choose one.")
    require_torch()
    device, start = choose_device(arguments.device), arguments.start_from
    given = {} if start is None else inherited(start, recipe_class.TASK)
    with Progress(arguments.quiet) as progress, contextlib.redirect_stdout(sys.stderr):
        progress(0.0, "Reading the training images")
        plan = make_plan(
            recipe_class, dataset, arguments.preset or "recommended", overrides, device,
            minutes=arguments.minutes, inherited=given,
        )  # fmt: skip
        report = plan_report(plan, dataset, device, progress)
    if arguments.save is not None:
        plan.save(arguments.save)
        note(f"the plan is in {arguments.save}", arguments.quiet)
    print(json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False) if arguments.json else _readable(report))


def _readable(report: Any) -> str:
    from ..training_console import duration

    rows = [(one.name, f"{one.value}{' ' + one.unit if one.unit else ''}", one.reason) for one in report.parameters]
    rows += [(one["parameter"], str(one["value"]), one["reason"]) for one in report.notes]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:{widths[0]}}  {value:{widths[1]}}  {reason}".rstrip() for name, value, reason in rows]
    took = (
        f"An epoch takes {duration(report.seconds_per_epoch)} on {report.device}, the whole training "
        f"{duration(report.total_s)}; memory {report.memory_bytes / 2**30:.1f} GiB of "
        f"{report.free_bytes / 2**30:.1f} GiB free."
    )
    return "\n".join([*lines, "", took])
