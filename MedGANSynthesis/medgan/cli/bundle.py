"""``medgan bundle``: look after models on disk."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Register the sub-command and its own sub-commands."""
    parser = commands.add_parser("bundle", help="check or export a model", description="Look after models on disk.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    verify = actions.add_parser(
        "verify",
        help="check that a model is complete, undamaged and computes what it should",
        description="Check a model folder: its description, the checksum of its weights, and its own self-test. "
        "The exit code is 3 if something is wrong.",
    )
    verify.add_argument("path", metavar="PATH", type=Path, help="the model's folder")
    verify.set_defaults(run=run_verify)
    export = actions.add_parser(
        "export",
        help="write the network for other software",
        description="Write the network of a model as TorchScript (.ts) or ONNX (.onnx; needs the packages onnx and "
        "onnxscript). Scaling and tiling are described by the model's configs/metadata.json.",
    )
    export.add_argument("path", metavar="PATH", type=Path, help="the model's folder")
    export.add_argument("output", metavar="OUTPUT", type=Path, help="file to write; ends in .ts or .onnx")
    export.set_defaults(run=run_export)


def run_verify(arguments: argparse.Namespace) -> None:
    """Print each check as it passes; a failing one is raised as a ``BundleError``."""
    from ..bundle import Bundle

    bundle = Bundle.load(arguments.path)
    bundle.verify(lambda check: print(f"ok  {check}", flush=True))
    print(f"{bundle.name} {bundle.version} is intact.")


def run_export(arguments: argparse.Namespace) -> None:
    """Write the network and say where."""
    from ..bundle import Bundle
    from ..export import export

    print(f"Written: {export(Bundle.load(arguments.path), arguments.output)}")
