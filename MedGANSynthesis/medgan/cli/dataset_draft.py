"""``medgan dataset draft``: prepare the cases of a draft, list them, and write its dataset."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, InputError
from .console import Progress, note

if TYPE_CHECKING:
    from ..draft import Draft

_HELP = """\
A draft is a dataset in the making, begun in Slicer's module MedGANTraining or with medgan.draft.Draft. Here its cases
are prepared (registered, resampled, degraded, masked), listed, and written as a dataset. What is prepared is kept when
this is stopped; the same command goes on.
"""

_EXAMPLES = """\
examples:
  medgan dataset draft heads --build
  medgan dataset draft heads --build --case case-003
  medgan dataset draft heads --list --json
  medgan dataset draft heads --build --finish
"""


def add_parser(actions: Any) -> None:
    """Register the action among those of ``medgan dataset``."""
    draft = actions.add_parser(
        "draft",
        help="prepare, list or finish a dataset in the making",
        description=_HELP,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    draft.add_argument("path", metavar="DRAFT", type=Path, help="the draft's folder")
    draft.add_argument("--build", action="store_true", help="prepare the waiting cases")
    draft.add_argument("--case", metavar="ID", action="append", help="prepare this case only, whatever its state")
    draft.add_argument("--list", action="store_true", help="print the cases and what is wrong with them")
    draft.add_argument("--json", action="store_true", help="print the list as JSON")
    draft.add_argument("--finish", action="store_true", help="write dataset.json of the accepted cases")
    draft.add_argument("--quiet", action="store_true", help="print nothing but errors and what --list asks for")
    draft.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do what is asked for, in the order build, finish, list."""
    from ..draft import Draft

    if not (arguments.build or arguments.list or arguments.finish):
        raise InputError("Say what to do with the draft: --build, --list or --finish.")
    if arguments.case and not arguments.build:
        raise InputError("--case says which case to prepare; it needs --build.")
    draft = Draft.load(arguments.path)
    if arguments.build:
        _build(draft, arguments)
    if arguments.finish:
        dataset = draft.finish()
        note(f"{len(dataset.cases)} cases are in the dataset {dataset.folder}.", arguments.quiet)
    if arguments.list:
        _print_json(draft) if arguments.json else _print_table(draft)


def _build(draft: Draft, arguments: argparse.Namespace) -> None:
    try:
        with Progress(arguments.quiet) as progress:
            if arguments.case:
                built = [draft.build(id, progress) for id in arguments.case]
            else:
                built = draft.build_all(progress)
            progress(1.0, "Done")
    except KeyboardInterrupt as stop:
        raise Cancelled("Cancelled; what is prepared is kept, and the same command goes on.") from stop
    for case in built:
        if case.state == "failed":
            note(f"{case.id} could not be prepared: {case.reason}", arguments.quiet)


def _print_json(draft: Draft) -> None:
    content = {
        "folder": str(draft.folder),
        "settings": draft.settings.to_dict(),
        "cases": [asdict(case) for case in draft.cases],
        "obstacles": draft.obstacles(),
        "problems": draft.problems(),
    }
    print(json.dumps(content, indent=2, ensure_ascii=False))


def _print_table(draft: Draft) -> None:
    for case in draft.cases:
        quality = "" if case.quality is None else f"quality {case.quality:.2f}"
        use = "used" if case.used else "not used"
        print(f"{case.id:<16}{case.patient:<24}{case.state:<10}{use:<10}{case.split or '-':<12}{quality}".rstrip())
        for sentence in filter(None, (case.reason, *case.problems)):
            print(f"    {sentence}")
    for sentence in draft.problems():
        print(sentence)
