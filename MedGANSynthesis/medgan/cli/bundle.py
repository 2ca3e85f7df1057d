"""``medgan bundle``: look after models on disk."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = """\
{
  "name": "my-denoiser",
  "title": "My CT denoiser",
  "task": "denoise-ct",
  "modality": "CT",
  "units": "HU",
  "intensity": {"kind": "fixed", "offset": 0.0, "divisor": 1000.0},
  "network": {"dimensions": 2, "multiple": [1, 16, 16]}
}
"""
"""The smallest manifest of an imported network."""

_IMPORT_HELP = """\
Make a model of a network that was trained elsewhere: NETWORK is a TorchScript file (.ts, .pt) or an ONNX file (.onnx;
needs the package onnxruntime) that takes images (batch, channels, [slices,] rows, columns) and gives the same.
MANIFEST describes it; the network is tried on small images before anything is written.
"""

_IMPORT_ENTRIES = """\
task        what it does: denoise-ct, contrast-ct, superres-mr, mr-to-ct, mr-to-ct-unpaired, stain, or custom
modality    of the images it takes: CT, MR, SM (slides), ... or "" for any;   units: HU or ""
intensity   how values become the numbers that the network sees:
            {"kind": "fixed", "offset": O, "divisor": D}      (value - O) / D
            {"kind": "percentiles", "low": 0.5, "high": 99.5} these percentiles of each volume to -1 and 1
            {"kind": "windows", "windows_hu": [[W, L], ...]}  CT windows of width W and level L to -1 and 1
            {"kind": "slice-statistics"}, {"kind": "slice-range"}, {"kind": "colour"}
network     dimensions  2 or 3
            multiple    sizes along k (slices), j (rows), i (columns) have to be multiples of this
            scale       output voxels per input voxel along k, j, i
            context     neighboring slices on each side that a 2-D network takes as further channels
            halo        voxels along k, j, i that a result depends on; left out: the whole image
            tile        the only size along k, j, i that it takes (of ONNX files found out), null for any

further entries, all of them free to leave out:
target      if the result is another kind of image than the source: {"modality": "CT", "units": "HU", "channels": 1,
            "scale": {"kind": "fixed", ...}};   "residual": true if the network gives the change to the source
channels    components of the source (3 for color);   licence, licence_text, authors, copyright, version
fingerprint spacing_mm, field_of_view_mm and percentiles of what it was trained on;   training, results
intended_use, limits
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command and its own sub-commands."""
    parser = commands.add_parser(
        "bundle", help="install, check, import or export a model", description="Look after models on disk."
    )
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
    _add_installing(actions)


def _add_installing(actions: Any) -> None:
    install = actions.add_parser(
        "install",
        help="add a model to those of medgan models",
        description="Copy, unpack or download a model into the first folder of $MEDGAN_MODELS, else ~/.medgan/models.",
    )
    install.add_argument("source", metavar="FOLDER|ZIP|URL", help="the model, packed or not, or its https address")
    install.add_argument("--sha256", metavar="HEX", help="checksum of the zip file; needed for an address")
    install.add_argument("--replace", action="store_true", help="put it in the place of a model of the same name")
    install.set_defaults(run=run_install)
    remove = actions.add_parser("remove", help="delete an installed model", description="Delete an installed model.")
    remove.add_argument("name", metavar="NAME", help="as medgan models lists it")
    remove.set_defaults(run=run_remove)
    importing = actions.add_parser(
        "import",
        help="make a model of a TorchScript or ONNX network",
        description=_IMPORT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"the smallest manifest:\n{EXAMPLE}\n{_IMPORT_ENTRIES}",
    )
    importing.add_argument("network", metavar="NETWORK", type=Path, help="TorchScript or ONNX file")
    importing.add_argument("manifest", metavar="MANIFEST", type=Path, help="JSON file that describes it, see below")
    importing.add_argument("folder", metavar="FOLDER", type=Path, help="folder of the model, to be made")
    importing.set_defaults(run=run_import)


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


def run_install(arguments: argparse.Namespace) -> None:
    """Install from whatever the source is, and say where."""
    from ..errors import InputError
    from ..model_store import install_folder, install_url, install_zip
    from .console import Progress

    source, replace = arguments.source, arguments.replace
    if "://" in source:
        if arguments.sha256 is None:
            raise InputError("A download needs --sha256, the checksum of the file; copy it from where the address is.")
        with Progress() as progress:
            entry = install_url(source, arguments.sha256, progress=progress, replace=replace)
    elif Path(source).is_dir():
        if arguments.sha256 is not None:
            raise InputError("--sha256 is the checksum of a zip file, and this is a folder; leave it out.")
        entry = install_folder(source, replace=replace)
    else:
        entry = install_zip(source, replace=replace, sha256=arguments.sha256)
    print(f"Installed: {entry.name} {entry.bundle.version} in {entry.path}")


def run_remove(arguments: argparse.Namespace) -> None:
    """Delete a model by its name."""
    from ..errors import BundleError
    from ..model_store import installed, remove

    found = [entry for entry in installed() if entry.name == arguments.name]
    if not found:
        raise BundleError(f"There is no model '{arguments.name}'; medgan models lists what is installed.")
    remove(next((entry for entry in found if entry.removable), found[0]))
    print(f"Removed: {arguments.name}")


def run_import(arguments: argparse.Namespace) -> None:
    """Write a network as a bundle and check it."""
    from ..bundle_import import import_network, read_description

    bundle = import_network(arguments.network, read_description(arguments.manifest), arguments.folder)
    bundle.verify()
    print(f"Written: {bundle.path}")
