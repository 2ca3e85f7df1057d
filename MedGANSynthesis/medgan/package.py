"""Training packages: a dataset and the plan for it in one zip file, to train on a GPU server and bring the model back.

    medgan package my_dataset plan.json package.zip        # here
    medgan train --package package.zip my_model            # there; my_model/bundle is the model

Nothing is compressed (images are already), everything is streamed, and the SHA-256 of every file goes along.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .dataset import Dataset
from .errors import InputError
from .files import replacing, replacing_folder
from .plan import Plan
from .zip_check import refuse_outside

SCHEMA = 1
CONTENTS = "medgan-package.json"
_PLAN, _README, _DATASET = "plan.json", "README.txt", "dataset/"
_PIECE = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
)
_WORDS = """\
Training package of MedGAN: {cases} cases for the task {task}.

On a machine with MedGAN (pip install "medgan[train]") and a GPU:

    medgan train --package {name} my_model

It may be stopped at any time; the same command goes on from the last checkpoint. Parameters can be changed with --set,
for example --set batch_size=16 where there is more memory than the plan was made for.
The finished model is the folder my_model/bundle. Bring it back and install it:

    medgan bundle install my_model/bundle

dataset/              the images and dataset.json, licence: {licence}
plan.json             every parameter of the training and its reason
medgan-package.json   the SHA-256 of every file
"""

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Package:
    """An unpacked training package.

    Args:
        dataset: folder. plan: file.
        task: of both.
    """

    dataset: Path
    plan: Path
    task: str


def export_package(
    dataset: Dataset | str | Path,
    plan: Plan | Mapping[str, Any] | str | Path,
    path: str | Path,
    progress: Progress | None = None,
) -> Path:
    """Write a training package.

    Args:
        dataset: or its folder; only the files that it names go along.
        plan: or its file, or its content (``PlanReport.plan``).
        path: of the zip file.
        progress: called with (fraction, message); may raise :class:`~medgan.errors.Cancelled`, which leaves nothing.

    Raises:
        InputError: dataset or plan cannot be used or do not belong together, or the disk is full.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    plan, path = _plan(plan), Path(path)
    _check_fit(dataset, plan)
    files = _files(dataset)
    sizes = {name: (dataset.folder / name).stat().st_size for name in files}
    _check_room(path.parent, sum(sizes.values()))
    words = _WORDS.format(
        cases=len(dataset.cases), task=dataset.task, name=path.name, licence=dataset.licence or "not stated"
    )
    with replacing(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        hashes, done = {}, 0
        for name, text in ((_README, words), (_PLAN, json.dumps(plan.to_dict(), indent=2))):
            archive.writestr(name, text)
            hashes[name] = hashlib.sha256(text.encode()).hexdigest()
        for name in files:
            if progress is not None:
                progress(done / sum(sizes.values()), f"Packing {name}")
            hashes[_DATASET + name] = _add(archive, dataset.folder / name, _DATASET + name)
            done += sizes[name]
        contents = {"medgan_package": SCHEMA, "task": dataset.task, "files": hashes}
        archive.writestr(CONTENTS, json.dumps(contents, indent=2))
    if progress is not None:
        progress(1.0, "Done")
    return path


def import_package(path: str | Path, folder: str | Path, progress: Progress | None = None) -> Package:
    """Unpack a training package into ``folder``, which appears whole or not at all; one that is there is kept if it is
    of the same package.

    Raises:
        InputError: it is no training package, damaged, altered or of a newer MedGAN, or does not fit on the disk.
    """
    path, folder = Path(path), Path(folder)
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            contents = _contents(archive, path.name)
            if not _same(folder, contents):
                if folder.exists():
                    raise InputError(f"{folder} holds another package already; train in another folder.")
                _check_room(folder.parent, sum(entry.file_size for entry in archive.infolist()))
                with replacing_folder(folder) as beside:
                    _unpack(archive, contents["files"], beside, path.name, progress)
    except _DAMAGED as error:
        raise InputError(f"{path.name} is no training package of MedGAN, or damaged; get it again.") from error
    dataset, plan = Dataset.load(folder / _DATASET), Plan.load(folder / _PLAN)
    _check_fit(dataset, plan)
    return Package(dataset.folder, folder / _PLAN, dataset.task)


def _plan(plan: Plan | Mapping[str, Any] | str | Path) -> Plan:
    if isinstance(plan, Plan):
        return plan
    return Plan.from_dict(plan) if isinstance(plan, Mapping) else Plan.load(plan)


def _check_fit(dataset: Dataset, plan: Plan) -> None:
    if dataset.task != plan.recipe.TASK:
        raise InputError(f"The plan is for the task {plan.recipe.TASK}, the dataset for {dataset.task}; choose one.")
    if not plan.is_for(dataset):
        raise InputError(f"The cases of {dataset.folder} are not those that the plan was made for; plan again.")


def _files(dataset: Dataset) -> list[str]:
    """What a dataset consists of, relative to its folder."""
    names = {path for case in dataset.cases for path in (*case.images().values(), case.mask) if path}
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{name} lies outside of {dataset.folder}; build the dataset in one folder.")
    return ["dataset.json", *sorted(names)]


def _check_room(folder: Path, needed: int) -> None:
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise InputError(
            f"The package takes {needed / 2**30:.2f} GiB, but the disk of {folder} has {free / 2**30:.2f} GiB free; "
            "free disk space or choose another folder."
        )


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> str:
    """Add a file; returns its SHA-256."""
    digest = hashlib.sha256()
    entry = zipfile.ZipInfo.from_file(file, name, strict_timestamps=False)
    with file.open("rb") as stream, archive.open(entry, "w", force_zip64=True) as packed:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            packed.write(piece)
    return digest.hexdigest()


def _contents(archive: zipfile.ZipFile, source: str) -> dict[str, Any]:
    """What the package says it holds, which has to be what it holds."""
    if CONTENTS not in archive.namelist():
        raise InputError(f"{source} is no training package of MedGAN; choose a file that medgan package wrote.")
    contents = json.loads(archive.read(CONTENTS))
    if int(contents["medgan_package"]) > SCHEMA:
        raise InputError(f"{source} was made by a newer MedGAN; update MedGAN to use it.")
    names = sorted(archive.namelist())
    refuse_outside(names, source)
    if names != sorted([*contents["files"], CONTENTS]):
        raise InputError(f"{source} was altered: it does not hold the files that it should; get it again.")
    return contents


def _same(folder: Path, contents: Mapping[str, Any]) -> bool:
    try:
        return json.loads((folder / CONTENTS).read_text(encoding="utf-8")) == contents
    except (OSError, ValueError):
        return False


def _unpack(
    archive: zipfile.ZipFile, hashes: Mapping[str, str], folder: Path, source: str, progress: Progress | None
) -> None:
    for number, name in enumerate(archive.namelist()):
        if progress is not None:
            progress(number / len(hashes), f"Unpacking {name}")
        digest, left = hashlib.sha256(), archive.getinfo(name).file_size
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as packed, (folder / name).open("wb") as stream:
            while piece := packed.read(_PIECE):
                left -= len(piece)
                if left < 0:  # the sizes that a zip states need not be true
                    raise zipfile.BadZipFile(name)
                digest.update(piece)
                stream.write(piece)
        if name != CONTENTS and digest.hexdigest() != hashes[name]:
            raise InputError(f"{source} was altered: {name} is not the file that was packed; get it again.")
