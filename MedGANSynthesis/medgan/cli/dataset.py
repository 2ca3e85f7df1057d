"""``medgan dataset``: build a dataset from images, and check one."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, InputError
from . import dataset_draft
from .console import Progress, note

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..dataset_builder import BuildOptions
    from ..pairs import Candidate

_HELP = """\
Make the folder OUT, from which TASK can be trained: the images on common grids, body masks, how well each pair lies on
each other, and the split by patient into train, validation and test, all listed in OUT/dataset.json.

Images come from ONE of:
  --sources and --targets   two folders; files of the same name belong together (or see --pattern)
  --csv                     a table with the columns patient, source, target (and, if wanted, id, mask, split, stratum)
  --studies                 a folder with a sub-folder of DICOM series per case
  --single                  a folder of good images, from which the sources are made (--degrade)
"""

_EXAMPLES = """\
examples:
  medgan dataset build denoise-ct low_dose_ds --sources quarter --targets full
  medgan dataset build denoise-ct simulated_ds --single scans --degrade low-dose --dose 0.25
  medgan dataset build superres-mr fine_ds --single t1 --degrade low-resolution --factor 1x1x4
  medgan dataset build stain tissue_ds --single slides --degrade grey
  medgan dataset build mr-to-ct brain_ds --sources Task1 --targets Task1 --masks Task1 \\
      --pattern "{patient}/mr.nii.gz" "{patient}/ct.nii.gz" "{patient}/mask.nii.gz"
  medgan dataset build mr-to-ct pelvis_ds --studies export --source-series MR --target-series CT --register rigid
  medgan dataset build mr-to-ct-unpaired any_ds --unpaired --sources mr --targets ct
  medgan dataset build contrast-ct chest_ds --csv pairs.csv
  medgan dataset check brain_ds

A build that was stopped goes on where it was when the same command is given again.
"""


def add_parser(commands: Any) -> None:
    """Register the sub-command and its own sub-commands."""
    parser = commands.add_parser(
        "dataset",
        help="build or check a dataset to train from",
        description="Build or check a dataset to train from.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build",
        help="make a dataset from folders, a table or DICOM studies",
        description=_HELP,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("task", metavar="TASK", help="what it is for, such as denoise-ct")
    build.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    _add_inputs(build.add_argument_group("where the images are"))
    _add_making(build.add_argument_group("how sources and targets are made to fit"))
    _add_facts(build.add_argument_group("what is noted, and how it is divided"))
    build.add_argument("--quiet", action="store_true", help="print nothing but errors")
    build.set_defaults(run=run_build)
    check = actions.add_parser(
        "check",
        help="read every image of a dataset and see whether it is as it was built",
        description="Read every image of a dataset: grids, values, masks, leakage between the splits.",
    )
    check.add_argument("path", metavar="PATH", type=Path, help="the dataset's folder")
    check.add_argument("--quiet", action="store_true", help="print nothing but errors")
    check.set_defaults(run=run_check)
    dataset_draft.add_parser(actions)


def _add_inputs(group: Any) -> None:
    group.add_argument("--sources", metavar="DIR", type=Path, help="folder of what the generator will be given")
    group.add_argument("--targets", metavar="DIR", type=Path, help="folder of what it shall give")
    group.add_argument("--masks", metavar="DIR", type=Path, help="folder of body masks on the grids of the sources")
    group.add_argument("--csv", metavar="FILE", type=Path, help="table of images; paths relative to its folder")
    group.add_argument("--studies", metavar="DIR", type=Path, help="folder with a sub-folder of DICOM series per case")
    group.add_argument("--single", metavar="DIR", type=Path, help="folder of images to make the sources from")
    group.add_argument(
        "--pattern",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names of sources, targets and masks, such as {patient}_mr.nii.gz {patient}_ct.nii.gz",
    )
    group.add_argument("--source-series", metavar="TEXT", help="modality of the source series, or part of its name")
    group.add_argument("--target-series", metavar="TEXT", help="modality of the target series, or part of its name")
    group.add_argument("--unpaired", action="store_true", help="sources and targets are of different patients")


def _add_making(group: Any) -> None:
    group.add_argument(
        "--register", metavar="KIND", default="", help="rigid, affine or bspline: lay targets on sources"
    )
    group.add_argument(
        "--degrade",
        metavar="KIND",
        default="",
        help="low-dose, low-resolution, grey or none: make sources from targets",
    )
    group.add_argument("--dose", type=float, default=0.25, help="fraction of the dose to simulate (default: 0.25)")
    group.add_argument("--factor", default="2x2x2", help="how much coarser, i x j x k, such as 1x1x4 (default: 2x2x2)")
    group.add_argument("--resolution-kind", default="kspace", help="kspace (default) or blur")
    group.add_argument("--grey", default="luma", help="luma (default), optical-density or haematoxylin")
    group.add_argument("--no-masks", action="store_true", help="do not look for the body")


def _add_facts(group: Any) -> None:
    group.add_argument("--modality", metavar="CODE", default="", help="of the sources, by default that of the task")
    group.add_argument("--target-modality", metavar="CODE", default="", help="of the targets; CT means values in HU")
    group.add_argument("--description", default="", help="what the images are, for the model card")
    group.add_argument("--licence", default="", help="licence of the images, for the model card")
    group.add_argument(
        "--fractions",
        nargs=3,
        type=float,
        default=(0.7, 0.15, 0.15),
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="shares of the patients (default: 0.7 0.15 0.15)",
    )
    group.add_argument("--seed", type=int, default=0, help="of the split and of simulated noise (default: 0)")


def run_build(arguments: argparse.Namespace) -> None:
    """Find the images, build and say what came of it."""
    from ..dataset_builder import build_dataset

    options = _options(arguments)
    candidates, failed = _candidates(arguments)
    try:
        with Progress(arguments.quiet) as progress:
            dataset = build_dataset(
                arguments.out,
                candidates,
                options,
                failed,
                progress,
                lambda text: note(text, arguments.quiet),
            )
    except KeyboardInterrupt as stop:
        raise Cancelled("Cancelled; the same command goes on after the last finished case.") from stop
    _print_summary(dataset, arguments.quiet)


def run_check(arguments: argparse.Namespace) -> None:
    """Check the whole content; what is wrong is raised as an ``InputError``."""
    from ..dataset import Dataset
    from ..dataset_check import check_content

    dataset = Dataset.load(arguments.path)
    with Progress(arguments.quiet) as progress:
        check_content(dataset, progress)
    _print_summary(dataset, arguments.quiet)


def _options(arguments: argparse.Namespace) -> BuildOptions:
    from .. import recipes
    from ..dataset_builder import BuildOptions, case_options
    from ..degrade_mr import parse_factor

    if arguments.task not in recipes.names():
        raise InputError(f"There is no task '{arguments.task}'; the tasks are {', '.join(recipes.names())}.")
    cases = case_options(
        arguments.task,
        modality=arguments.modality.upper(),
        target_modality=arguments.target_modality.upper(),
        degrade=arguments.degrade,
        dose=arguments.dose,
        factor=parse_factor(arguments.factor),
        resolution_kind=arguments.resolution_kind,
        grey_kind=arguments.grey,
        register=arguments.register,
        find_masks=not arguments.no_masks,
        seed=arguments.seed,
    )
    return BuildOptions(
        task=arguments.task,
        cases=cases,
        fractions=tuple(arguments.fractions),
        seed=arguments.seed,
        description=arguments.description,
        licence=arguments.licence,
        paired=not arguments.unpaired,
    )


def _candidates(arguments: argparse.Namespace) -> tuple[list[Candidate], list[dict[str, str]]]:
    """What the chosen kind of input holds, and what of it could not be understood."""
    from .. import pairs, studies
    from ..dataset_builder import dataset_salt

    chosen = [name for name in ("sources", "csv", "studies", "single") if getattr(arguments, name) is not None]
    if len(chosen) != 1:
        raise InputError("Say where the images are with one of --sources, --csv, --studies and --single.")
    kind, degrade = chosen[0], arguments.degrade
    if kind == "single" and not degrade:
        raise InputError("--single needs --degrade, which says how the sources are made from the images.")
    if degrade and (kind == "sources" or arguments.register or arguments.unpaired):
        raise InputError("--degrade makes the sources itself; leave --sources, --register and --unpaired out.")
    if kind == "sources" and arguments.targets is None:
        raise InputError("--sources needs --targets; to make sources from good images use --single with --degrade.")
    if kind == "studies" and (not arguments.source_series or not (arguments.target_series or degrade)):
        raise InputError("--studies needs --source-series and --target-series (or --degrade), such as MR and CT.")
    if kind == "studies":
        found = studies.from_studies(
            arguments.studies,
            arguments.source_series,
            None if degrade else arguments.target_series,
            dataset_salt(arguments.out),
        )
        for one in found[1]:
            note(f"{one['id']} is set aside: {one['reason']}", arguments.quiet)
        return found
    if kind == "csv":
        return pairs.from_csv(arguments.csv, needs_target=not (degrade or arguments.unpaired)), []
    if arguments.unpaired:
        return pairs.unpaired(arguments.sources, arguments.targets, arguments.pattern), []
    folders = (arguments.single,) if degrade else (arguments.sources, arguments.targets, arguments.masks)
    candidates, notes = pairs.from_folders(*folders, pattern=arguments.pattern)
    for text in notes:
        note(text, arguments.quiet)
    return candidates, []


def _print_summary(dataset: Dataset, quiet: bool) -> None:
    """Counts per split on stdout."""
    if quiet:
        return
    cases = Counter(case.split for case in dataset.cases)
    patients = Counter(split for split, _ in {(case.split, case.patient) for case in dataset.cases})
    for split in ("train", "validation", "test"):
        print(f"{split:<11}{cases[split]:>5} cases of {patients[split]} patients")
    for one in dataset.failed:
        print(f"set aside: {one['id']}: {one['reason']}")
    qualities = [case.registration["quality"] for case in dataset.cases if "quality" in case.registration]
    if qualities:
        middle = sorted(qualities)[len(qualities) // 2]
        print(f"alignment  quality {min(qualities):.2f} to {max(qualities):.2f}, median {middle:.2f}")
    print(f"The dataset is in {dataset.folder}.")
