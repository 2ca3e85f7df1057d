"""``medgan apply``: run a generator on one image."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..options import ApplyOptions
from .console import Progress, note

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..synthesizer import Result
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
  medgan apply denoise-ct scan.nrrd clean.nrrd --spread flips --spread-output unsure.nrrd
  medgan apply mr-to-ct head.nrrd ct.nrrd --spread ensemble --ensemble my_models/ct2 --spread-output unsure.nrrd
  medgan apply stain slide.png other.png --reference example_of_the_other_laboratory.png

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
    _add_options(parser)
    parser.add_argument("--series", help="number, UID or description of the DICOM series, if INPUT holds several")
    parser.add_argument(
        "--modality", metavar="CODE", help="CT, MR, ... for files that do not say; CT means values are in HU"
    )
    parser.add_argument(
        "--second-output", metavar="FILE", type=Path, help="also write what was removed (input - result)"
    )
    parser.add_argument("--spread-output", metavar="FILE", type=Path, help="where to write the spread; see --spread")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(run=run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    """One argument for each of the fields of :class:`~medgan.options.ApplyOptions`."""
    kinds: dict[str, dict[str, Any]] = {
        "strength": {"type": float},
        "target_spacing_mm": {"metavar": "MM", "nargs": 3, "type": float},
        "orientations": {},
        "enhancement_only": {"action": "store_true"},
        "spread": {},
        "spread_samples": {"metavar": "N", "type": int},
        "ensemble": {"metavar": "MODEL", "nargs": "+"},
        "reference": {"metavar": "FILE", "type": Path},
    }
    for field in dataclasses.fields(ApplyOptions):
        described, more = field.metadata, dict(kinds[field.name])
        text = described["help"]
        if described["choices"]:
            more["choices"] = described["choices"]
        if described["minimum"] is not None:
            text += f" From {described['minimum']:g} to {described['maximum']:g}."
        if field.default not in (None, False, ()):
            text += f" Default: {field.default}."
        name = field.name.removesuffix("_mm").replace("_", "-")
        parser.add_argument(f"--{name}", dest=field.name, default=field.default, help=text, **more)


def _options(arguments: argparse.Namespace) -> ApplyOptions:
    """What was asked for, models and images by their names still: they are found once the input is known to be one."""
    if (arguments.spread == "none") != (arguments.spread_output is None):
        raise InputError("--spread METHOD and --spread-output FILE belong together; give both or none.")
    if arguments.ensemble and arguments.spread != "ensemble":
        raise InputError("--ensemble is for --spread ensemble; give both or none.")
    names = [field.name for field in dataclasses.fields(ApplyOptions) if field.name != "reference"]
    return ApplyOptions(**{name: getattr(arguments, name) for name in names})


def run(arguments: argparse.Namespace) -> None:
    """Apply a model to a file; every check that needs no computing comes first."""
    from ..image_io import check_output, read_volume

    options = _options(arguments)
    outputs = [arguments.output, arguments.second_output, arguments.spread_output]
    outputs = [path for path in outputs if path is not None]
    for path in outputs:
        check_output(path, arguments.input if arguments.input.exists() else None)
        if arguments.reference is not None and arguments.reference.exists():
            check_output(path, arguments.reference)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError("Two of OUTPUT, --second-output and --spread-output are the same file; give other names.")
    from ..bundle_search import resolve

    bundle = resolve(arguments.model)
    volume, notes = read_volume(arguments.input, arguments.series, arguments.modality)
    for text in notes:
        note(text, arguments.quiet)
    ensemble = tuple(str(resolve(name).path) for name in options.ensemble)
    options = dataclasses.replace(options, ensemble=ensemble, reference=_reference(arguments))
    _check_formats(bundle, volume, options, arguments)
    from ..synthesizer import Synthesizer

    synthesizer = Synthesizer(bundle, device=arguments.device)
    with Progress(arguments.quiet) as progress:
        result = synthesizer(volume, options, progress=progress)
    for text in (*(f"warning: {text}" for text in result.applicability), *result.notes):
        note(text, arguments.quiet)
    _write(result, arguments)
    note(f"wrote {' and '.join(str(path) for path in outputs)} ({result.compute_seconds:.1f} s).", arguments.quiet)


def _write(result: Result, arguments: argparse.Namespace) -> None:
    from ..image_io import write_volume

    provenance = {**result.provenance, "Source": arguments.input.resolve().name}
    write_volume(result.volume, arguments.output, provenance, source=arguments.input)
    if arguments.second_output is not None:
        write_volume(result.removed, arguments.second_output, provenance, source=arguments.input)
    if arguments.spread_output is not None:
        write_volume(result.spread, arguments.spread_output, provenance, source=arguments.input)


def _reference(arguments: argparse.Namespace) -> tuple[float, ...] | None:
    """The colors of the image named as reference."""
    if arguments.reference is None:
        return None
    from ..image_io import read_volume
    from ..stain_reference import StainReference

    volume, _notes = read_volume(arguments.reference)
    return StainReference.of(volume)


def _check_formats(bundle: Bundle, volume: Volume, options: ApplyOptions, arguments: argparse.Namespace) -> None:
    """Refuse formats that cannot hold what will be computed, before it is."""
    from ..image_io import check_format

    specs = bundle.outputs(volume, options)
    spec = specs["image"]
    check_format(arguments.output, spec.shape, spec.dtype, spec.geometry)
    if arguments.spread_output is not None:
        check_format(arguments.spread_output, specs["spread"].shape, "float32", spec.geometry)
    if arguments.second_output is not None:
        if not spec.keeps_source or spec.shape != volume.array.shape:
            raise InputError(
                f"'{bundle.title}' makes another kind of image, so nothing is removed; leave --second-output out."
            )
        check_format(arguments.second_output, spec.shape, "float32", spec.geometry)
