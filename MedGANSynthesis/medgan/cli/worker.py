"""``medgan worker``: the process that Slicer and the client talk to."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "worker",
        help="serve requests on standard input (started by Slicer, not by hand)",
        description="Serve requests, one JSON object per line on standard input, until it is closed. Slicer and "
        "medgan.client start this process; there is no need to start it by hand.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int | None:
    """Hand over to the worker's own loop."""
    from ..worker import main

    return main()
