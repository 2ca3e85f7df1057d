"""Build a dataset folder from candidates: every case is written whole or not at all, and a stopped build goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .alignment import GOOD_QUALITY
from .case_builder import DEGRADATIONS, BuiltCase, CaseOptions, build_case
from .case_splits import Member, split_cases
from .dataset import Case, Dataset
from .errors import InputError
from .files import make_folder, write_json
from .modalities import MODALITIES
from .pairs import Candidate
from .registration import KINDS
from .splitting import FRACTIONS, split_patients
from .studies import without_path
from .volume import Volume

IN_PROGRESS = ".building"

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class BuildOptions:
    """What a dataset is for and how it is divided; see :class:`~medgan.case_builder.CaseOptions` for its cases.

    Args:
        task: a task; it decides the modalities where ``cases`` names none, and whether targets are finer.
        cases: how cases are made from files.
        fractions: shares of train, validation and test.
        seed: of the split.
        description, licence: of the images, for the model card.
        paired: False for tasks that learn from sources and targets of different patients.
    """

    task: str
    cases: CaseOptions
    fractions: Sequence[float] = FRACTIONS
    seed: int = 0
    description: str = ""
    licence: str = ""
    paired: bool = True


def case_options(task: str, **settings: Any) -> CaseOptions:
    """The options of a task's cases, with its modalities unless others are given.

    Raises:
        InputError: the degradation or kind of registration is unknown, or the task is none and no modality is given.
    """
    modality, target_modality = MODALITIES.get(task, ("", ""))
    modality = settings.pop("modality", "") or modality
    target_modality = settings.pop("target_modality", "") or target_modality or modality
    options = CaseOptions(modality, target_modality, super_resolution=task.startswith("superres"), **settings)
    if not modality:
        raise InputError(f"{task} is none of the tasks {', '.join(MODALITIES)}; say what the images are (--modality).")
    if options.degrade not in ("", *DEGRADATIONS):
        raise InputError(f"There is no degradation {options.degrade}; choose one of {', '.join(DEGRADATIONS)}.")
    if options.register not in ("", *KINDS):
        raise InputError(f"There is no registration {options.register}; choose one of {', '.join(KINDS)}.")
    return options


def build_dataset(
    out: Path,
    candidates: Sequence[Candidate],
    options: BuildOptions,
    failed: Sequence[dict[str, str]] = (),
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Dataset:
    """Write the images of all candidates into a folder, draw the splits and write ``dataset.json``.

    Given the same folder again, a build that was stopped goes on after its last whole case.

    Args:
        out: folder to make; it must not hold a dataset yet.
        failed: what was set aside before, ``{"id", "reason"}`` each.
        progress: called with (fraction, message); an exception it raises stops the build.
        note: called with a sentence for the user.

    Raises:
        InputError: ``out`` holds a dataset or cannot be written to, no candidate can be used, or fixed splits leak.
    """
    tell, say = progress or (lambda fraction, message: None), note or (lambda text: None)
    split_patients({}, options.fractions)  # wrong fractions are to be known before the work, not after it
    _begin(out)
    for leftover in (out / "images").glob(".[0-9]*-*"):  # of a build that was killed while it wrote
        leftover.unlink()
    finished, set_aside = [], list(failed)
    for number, candidate in enumerate(candidates):
        where = f"{candidate.id} ({number + 1} of {len(candidates)})"

        def case_progress(fraction: float, message: str, number: int = number, where: str = where) -> None:
            tell((number + fraction) / len(candidates), f"{message}: {where}")

        case_progress(0.0, "Reading")
        record = _finished(out, candidate, options.cases)
        if record is None:
            try:
                built = build_case(candidate, options.cases, case_progress)
            except InputError as error:
                reason = str(error)
                if candidate.source_series is not None:  # folders of DICOM studies often are named after the patient
                    reason = without_path(reason, candidate.source, candidate.id)
                set_aside.append({"id": candidate.id, "reason": reason})
                say(f"{candidate.id} is set aside: {error}")
                continue
            record = _write(out, candidate, built, options.cases)
        finished.append((candidate, record))
    if not finished:
        reason = f" ({set_aside[0]['id']}: {set_aside[0]['reason']})" if set_aside else ""
        shutil.rmtree(out / IN_PROGRESS)
        with contextlib.suppress(OSError):
            out.rmdir()
        raise InputError(f"None of the {len(set_aside)} cases can be used{reason}")
    dataset = _dataset(out, finished, set_aside, options, say)
    dataset.save()
    shutil.rmtree(out / IN_PROGRESS)
    tell(1.0, "Done")
    return dataset


def dataset_salt(out: Path) -> bytes:
    """Secret that makes the pseudonyms of one dataset; it lasts as long as the build and is in no dataset."""
    file = out / IN_PROGRESS / "salt.json"
    try:
        return bytes.fromhex(json.loads(file.read_text(encoding="utf-8"))["salt"])
    except (OSError, ValueError, KeyError, TypeError):
        import secrets

        salt = secrets.token_bytes(16)
        _begin(out)
        write_json(file, {"salt": salt.hex()})
        return salt


def _begin(out: Path) -> None:
    if (out / "dataset.json").exists():
        raise InputError(f"{out} already holds a dataset; choose another folder, or delete it first.")
    make_folder(out / IN_PROGRESS)


def _digest(candidate: Candidate, options: CaseOptions) -> str:
    """Changes with the options and with the input files, so that a case of another build is not taken for this one."""
    facts = [repr(asdict(candidate)), repr(options)]
    for path in filter(None, (candidate.source, candidate.target, candidate.mask)):
        facts += [f"{path.stat().st_size} {path.stat().st_mtime_ns}"]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _record_file(out: Path, candidate: Candidate) -> Path:
    return out / IN_PROGRESS / f"{candidate.id}.case.json"


def _finished(out: Path, candidate: Candidate, options: CaseOptions) -> dict[str, Any] | None:
    """What an earlier run noted about this case, if nothing has changed since."""
    try:
        record = json.loads(_record_file(out, candidate).read_text(encoding="utf-8"))
        whole = all((out / record["case"][role]).is_file() for role in ("source", "target") if record["case"][role])
        return record if whole and record["digest"] == _digest(candidate, options) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(out: Path, candidate: Candidate, built: BuiltCase, options: CaseOptions) -> dict[str, Any]:
    """Write the images of a case and, after them, the record that says they are whole."""
    from .image_io import write_volume

    def write(volume: Volume | None, role: str) -> str:
        if volume is None:
            return ""
        path = f"images/{candidate.id}-{role}.nrrd"
        write_volume(volume, out / path)
        return path

    make_folder(out / "images")
    target = write(built.target, "target")
    case = {
        "id": candidate.id,
        "patient": candidate.patient,
        "source": target if built.source is built.target else write(built.source, "source"),
        "target": target,
        "mask": "",
        "registration": built.registration,
        "spacing_mm": [float(f"{value:.6g}") for value in built.first.geometry.spacing_mm],
        "fingerprint": built.fingerprint(),
        "sha256": built.sha256(),
    }
    if built.mask is not None:
        case["mask"] = write(Volume(built.mask.astype(np.uint8), built.first.geometry), "mask")
    volumes = [volume for volume in (built.source, built.target) if volume is not None]
    units = {"source": volumes[0].units, "target": volumes[-1].units}
    record = {"digest": _digest(candidate, options), "case": case, "units": units, "notes": built.notes}
    write_json(_record_file(out, candidate), record)
    return record


def _dataset(
    out: Path,
    finished: list[tuple[Candidate, dict[str, Any]]],
    set_aside: list[dict[str, str]],
    options: BuildOptions,
    say: Callable[[str], None],
) -> Dataset:
    for text in sorted({text for _, record in finished for text in record["notes"]}):
        say(text)
    members = [
        Member(
            candidate.id,
            candidate.patient,
            candidate.split,
            candidate.stratum,
            tuple(record["case"]["spacing_mm"]),
            record["case"]["sha256"],
        )
        for candidate, record in finished
    ]
    splits = split_cases(members, options.fractions, options.seed, say)
    cases = tuple(
        Case(**{**record["case"], "spacing_mm": tuple(record["case"]["spacing_mm"])}, split=splits[candidate.id])
        for candidate, record in finished
    )
    doubtful = [case.id for case in cases if case.registration.get("quality", 1.0) < GOOD_QUALITY]
    if doubtful:
        say(
            f"{len(doubtful)} pairs do not seem to lie on each other ({', '.join(doubtful[:5])}); look at them, or "
            "register them (--register rigid)."
        )
    cases_options = options.cases
    return Dataset(
        folder=out,
        task=options.task,
        modality=cases_options.modality,
        units="HU" if cases_options.modality == "CT" else "",
        description=options.description,
        licence=options.licence,
        cases=cases,
        target_modality=cases_options.target_modality,
        target_units="HU" if cases_options.target_modality == "CT" else "",
        paired=options.paired,
        failed=tuple(set_aside),
    )
