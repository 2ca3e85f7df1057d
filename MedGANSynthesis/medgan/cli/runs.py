"""``medgan runs``: the trainings on this computer; pausing, going on, stopping."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from .console import note

_EXAMPLES = """\
examples:
  medgan runs                     where every training is
  medgan runs pause my_model      it waits, with everything in memory
  medgan runs resume my_model     it goes on, from the last checkpoint if its process has ended
  medgan runs stop my_model       it ends; the last checkpoint is kept
  medgan runs forget my_model     it is no longer listed; its folder stays
"""
_DONE = {
    "pause": "is asked to pause",
    "resume": "goes on",
    "stop": "is asked to stop",
    "forget": "is no longer listed",
}


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "runs",
        help="list the trainings on this computer; pause, resume or stop one",
        description="List the trainings on this computer with where they are, or ask one of something.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", metavar="ACTION", nargs="?", choices=("list", *_DONE), default="list",
                        help="list (default), pause, resume, stop or forget")  # fmt: skip
    parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="folder of the training")
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a table, or JSON, on stdout; or do what is asked."""
    from ..errors import InputError
    from ..run_folder import Run
    from ..runs import known_runs

    if arguments.action == "list":
        listed = known_runs() if arguments.folder is None else [Run(arguments.folder)]
        print(json.dumps([describe(one) for one in listed], indent=2) if arguments.json else _table(listed))
        return
    if arguments.folder is None:
        raise InputError(f"Which training? Say medgan runs {arguments.action} FOLDER.")
    ask(Run(arguments.folder), arguments.action)
    note(f"the training in {arguments.folder} {_DONE[arguments.action]}")


def ask(chosen: Any, action: str) -> None:
    """Pause, resume (starting its process again if that has ended), stop or forget a run."""
    from ..runs import forget

    if action == "forget":
        forget(chosen)
    elif action == "resume" and not chosen.status.live:
        chosen.start()
    else:
        getattr(chosen, action)()


def describe(one: Any) -> dict[str, Any]:
    """A run with its status, JSON-ready."""
    status = one.status
    content = {field.name: getattr(status, field.name) for field in dataclasses.fields(status)}
    request = None if status.request is None else status.request.to_dict()
    return {"folder": str(one.folder), **content, "request": request}


def _table(listed: list[Any]) -> str:
    from ..training_console import duration
    from .models import format_table

    if not listed:
        return "No training is known on this computer; medgan train begins one."
    rows = []
    for one in listed:
        status = one.status
        left = "" if status.remaining_s is None else duration(status.remaining_s)
        rows.append(
            {
                "state": status.state, "done": f"{status.fraction:.0%}", "epoch": f"{status.epoch}/{status.epochs}",
                "left": left, "task": status.request.task if status.request else "", "folder": str(one.folder),
                "message": status.message,
            }
        )  # fmt: skip
    return format_table(rows)
