"""``medgan apply``: run a generator on one image."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .console import Progress, note

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..volume import Volume

_HELP = """\
Run a generator on one image and write the result, on the same grid as the input.

INPUT is an image file (NRRD, NIfTI, MHA, PNG, TIFF, ...), a DICOM file or a folder with a DICOM series.
OUTPUT is a .nrrd, .mha, .nii, .nii.gz, .tif or .png file. NRRD and MHA keep where the image came from in their header;
for the other formats it is written to OUTPUT.medgan.json.
"""

_EXAMPLES = """\
examples:
  medgan apply denoise-ct scan.nrrd clean.nrrd
  medgan apply denoise-ct exported_study clean.nrrd --series 4 --device cuda
  medgan apply denoise-ct scan.nii.gz clean.nii.gz --modality CT --strength 0.7
  medgan apply superres-mr-1x1x4 thick.nii.gz thin.nii.gz --target-spacing 1 1 1
  medgan apply my_models/liver scan.nrrd clean.nrrd --second-output removed.nrrd

exit codes:
  0 done   2 wrong usage, input or output   3 model missing or damaged   4 the computation failed   130 cancelled
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "apply",
        help="run a model on one image",
        description=_HELP,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="task (such as denoise-ct), name of a model, or its folder")
    parser.add_argument("input", metavar="INPUT", type=Path, help="image file or DICOM folder")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="file to write; replaced if it exists")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument(
        "--strength", type=float, default=1.0, help="0 = input unchanged, 1 = the model's result (default: 1)"
    )
    parser.add_argument(
        "--target-spacing", metavar="MM", nargs=3, type=float,
        help="spacing of a super-resolved result along i j k (default: that of the input over the model's factor)",
    )  # fmt: skip
    parser.add_argument("--series", help="number, UID or description of the DICOM series, if INPUT holds several")
    parser.add_argument(
        "--modality", metavar="CODE", help="CT, MR, ... for files that do not say; CT means values are in HU"
    )
    parser.add_argument(
        "--second-output", metavar="FILE", type=Path, help="also write what was removed (input - result)"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Apply a model to a file; every check that needs no computing comes first."""
    from ..image_io import check_output, read_volume, write_volume

    if not 0.0 <= arguments.strength <= 1.0:
        raise InputError(f"--strength is {arguments.strength:g}, but must lie between 0 and 1.")
    outputs = [path for path in (arguments.output, arguments.second_output) if path is not None]
    for path in outputs:
        check_output(path, arguments.input if arguments.input.exists() else None)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError("OUTPUT and --second-output are the same file; give two names.")
    from ..bundle import resolve

    bundle = resolve(arguments.model)
    volume, notes = read_volume(arguments.input, arguments.series, arguments.modality)
    for text in notes:
        note(text, arguments.quiet)
    _check_formats(bundle, volume, arguments)
    from ..synthesizer import Synthesizer

    synthesizer = Synthesizer(bundle, device=arguments.device)
    with Progress(arguments.quiet) as progress:
        result = synthesizer(
            volume, strength=arguments.strength, target_spacing_mm=arguments.target_spacing, progress=progress
        )
    for text in result.applicability:
        note(f"warning: {text}", arguments.quiet)
    for text in result.notes:
        note(text, arguments.quiet)
    provenance = {**result.provenance, "Source": arguments.input.resolve().name}
    write_volume(result.volume, arguments.output, provenance, source=arguments.input)
    if arguments.second_output is not None:
        write_volume(result.removed, arguments.second_output, provenance, source=arguments.input)
    note(f"wrote {' and '.join(str(path) for path in outputs)} ({result.compute_seconds:.1f} s).", arguments.quiet)


def _check_formats(bundle: Bundle, volume: Volume, arguments: argparse.Namespace) -> None:
    """Refuse formats that cannot hold what will be computed, before it is."""
    from ..image_io import check_format

    spec = bundle.outputs(volume, arguments.target_spacing)["image"]
    check_format(arguments.output, spec.shape, spec.dtype, spec.geometry)
    if arguments.second_output is not None:
        if not spec.keeps_source or spec.shape != volume.array.shape:
            raise InputError(
                f"'{bundle.title}' makes another kind of image, so nothing is removed; leave --second-output out."
            )
        check_format(arguments.second_output, spec.shape, "float32", spec.geometry)
