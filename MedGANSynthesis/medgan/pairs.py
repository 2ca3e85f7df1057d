"""Which images belong together: pairs found in folders by the names of their files, or listed in a CSV file."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import InputError
from .slide_io import SUFFIXES as SLIDES

EXTENSIONS = (
    ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".png", ".tiff", ".tif", ".jpg", ".jpeg", ".bmp",
    *SLIDES,
)  # fmt: skip
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Candidate:
    """Images that may become a case of a dataset.

    Args:
        id: name of the case, fit for a file name.
        patient: name or pseudonym of the patient.
        source, target: image file or DICOM folder; None where there is none (unpaired, or made from the other).
        mask: file of the body mask on the grid of the source.
        split: "train", "validation", "test", or "" to be drawn.
        stratum: what the draw is balanced by, "" for the slice distance.
        source_series, target_series: UID of the DICOM series, where a folder holds several.
    """

    id: str
    patient: str
    source: Path | None
    target: Path | None = None
    mask: Path | None = None
    split: str = ""
    stratum: str = ""
    source_series: str | None = None
    target_series: str | None = None


def from_folders(
    sources: Path, targets: Path | None = None, masks: Path | None = None, pattern: Sequence[str] = ()
) -> tuple[list[Candidate], list[str]]:
    """Pair the files of folders by their names.

    Without a pattern, files of the same name (whatever the extension) belong together, and each is a patient of its
    own. A pattern names files relative to their folder, with parts in braces that partners have in common;
    ``{patient}`` says whose image it is and ``*`` stands for anything: ``"{patient}/mr.nii.gz"`` and
    ``"{patient}/ct.nii.gz"``, or ``"{patient}_{scan}_low.nrrd"`` and ``"{patient}_{scan}_full.nrrd"``.

    Args:
        sources, targets, masks: folders; without ``targets`` each source stands alone.
        pattern: for the sources, targets and masks, in this order.

    Returns:
        the pairs, and a sentence for each side on files that have no partner.

    Raises:
        InputError: a folder is missing or holds no fitting file, two files fit one name, or none has a partner.
    """
    folders = {"source": sources, "target": targets, "mask": masks}
    patterns = dict(zip(("source", "target", "mask"), pattern, strict=False))
    found = {role: _files(folder, patterns.get(role, "")) for role, folder in folders.items() if folder is not None}
    shared = [key for key in found["source"] if key in found.get("target", found["source"])]
    if not shared:
        example = next(iter(found["source"].values())).name, next(iter(found["target"].values())).name
        raise InputError(
            f"No file in {sources} has a partner of the same name in {targets} (there is {example[0]} here and "
            f"{example[1]} there); rename them, or give a pattern such as {{patient}}_mr.nii.gz {{patient}}_ct.nii.gz."
        )
    candidates = [
        Candidate(
            id=file_name("-".join(value for _, value in key)),
            patient=dict(key).get("patient", "-".join(value for _, value in key)),
            source=found["source"][key],
            target=found["target"][key] if targets is not None else None,
            mask=found["mask"].get(key) if masks is not None else None,
        )
        for key in shared
    ]
    notes = []
    for role, files in found.items():
        alone = [path.name for key, path in files.items() if key not in shared]
        if alone:
            notes.append(f"{len(alone)} {role} files have no partner and are left out: {_some(alone)}.")
    unmasked = [one.id for one in candidates if masks is not None and one.mask is None]
    if unmasked:
        notes.append(f"{len(unmasked)} pairs have no mask: {_some(unmasked)}.")
    return _distinct(candidates), notes


def unpaired(sources: Path, targets: Path, pattern: Sequence[str] = ()) -> list[Candidate]:
    """Every file of both folders as a case of its own, for tasks that learn without pairs.

    Raises:
        InputError: as :func:`from_folders`.
    """
    one = from_folders(sources, pattern=pattern[:1])[0]
    other = from_folders(targets, pattern=pattern[1:2])[0]
    flipped = [replace(c, id=f"target-{c.id}", source=None, target=c.source) for c in other]
    return [replace(c, id=f"source-{c.id}") for c in one] + flipped


def from_csv(path: Path, needs_target: bool = True) -> list[Candidate]:
    """The pairs listed in a table with the columns ``patient, source, target`` (and ``id, mask, split, stratum``).

    Columns are separated by commas, semicolons or tabs; paths are relative to the folder of the table. Without
    ``needs_target`` the target column may be missing, and single sources or targets may be empty.

    Raises:
        InputError: the table cannot be read, lacks a column, names a file that is not there or an unknown split, or
            puts a patient into two splits; the message names the row.
    """
    rows = _rows(path)
    missing = [name for name in ("patient", "source", "target") if name not in rows[0][1]]
    if missing and (needs_target or missing != ["target"]):
        there = ", ".join(filter(None, rows[0][1]))
        raise InputError(f"{path} has no column {' and '.join(missing)} (there is {there}); name it in the first row.")
    candidates, split_of = [], {}
    for number, row in rows:
        files = {name: _listed_file(path, number, name, row.get(name, "")) for name in ("source", "target", "mask")}
        needed = {"patient": row["patient"], "source": files["source"], "target": files["target"]}
        if not needs_target and (files["source"] or files["target"]):
            del needed["source"], needed["target"]
        lacking = [name for name, value in needed.items() if not value]
        if lacking:
            raise InputError(f"Row {number} of {path.name} names no {' and no '.join(lacking)}; complete it.")
        split = row.get("split", "").lower()
        if split not in ("", *_SPLITS):
            raise InputError(f"Row {number} of {path.name} has the split '{split}'; it must be {', '.join(_SPLITS)}.")
        first, first_number = split_of.setdefault(row["patient"], (split, number))
        if first != split:
            raise InputError(
                f"Rows {first_number} and {number} of {path.name} put patient {row['patient']} into the splits "
                f"'{first}' and '{split}'; a patient may be in one only."
            )
        name = row.get("id") or f"{row['patient']}-{_stem(files['source'] or files['target'])}"
        candidates.append(
            Candidate(file_name(name), row["patient"], **files, split=split, stratum=row.get("stratum", ""))
        )
    return _distinct(candidates)


def _files(folder: Path, pattern: str) -> dict[tuple[tuple[str, str], ...], Path]:
    """The image files of a folder by what their names have in common with their partners'."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    if pattern:
        expression = _expression(pattern)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    else:
        expression = None
        files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(EXTENSIONS))
        files = [path for path in files if not path.name.startswith(".")]
    found: dict[tuple[tuple[str, str], ...], Path] = {}
    for path in files:
        if expression is None:
            key = (("id", _stem(path)),)
        else:
            match = expression.fullmatch(path.relative_to(folder).as_posix())
            if match is None:
                continue
            key = tuple(sorted(match.groupdict().items()))
        if key in found:
            raise InputError(f"{found[key]} and {path} have the same name; rename one of them or give a pattern.")
        found[key] = path
    if not found:
        what = f"no file that fits the pattern {pattern}" if pattern else "no image file"
        raise InputError(f"{folder} holds {what}{f' (but {_some([p.name for p in files])})' if files else ''}.")
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern with ``{name}`` and ``*``."""
    parts = re.split(r"(\{\w+\}|\*)", pattern)
    text = "".join(
        f"(?P<{part[1:-1]}>[^/]+?)" if part.startswith("{") else "[^/]*" if part == "*" else re.escape(part)
        for part in parts
    )
    try:
        expression = re.compile(text)
    except re.error:
        expression = None
    if expression is None or not expression.groupindex:
        raise InputError(
            f"The pattern {pattern} is not understood; write it like {{patient}}/mr.nii.gz, with each name in braces "
            "once."
        )
    return expression


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Number and content of the rows of a table; names of columns in small letters, no blanks around values."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a CSV file.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no table in UTF-8; save it as CSV (UTF-8).") from error
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    table = csv.reader(lines, delimiter=delimiter)
    names = [name.strip().lower() for name in next(table, [])]
    rows = [
        (table.line_num, dict(zip(names, (value.strip() for value in row), strict=False)))
        for row in table
        if any(value.strip() for value in row)
    ]
    if not rows:
        raise InputError(f"{path} lists no images; give a row of column names and a row per pair.")
    return [(number, {name: row.get(name, "") for name in names}) for number, row in rows]


def _listed_file(table: Path, number: int, column: str, text: str) -> Path | None:
    if not text:
        return None
    file = table.parent / text
    if not file.exists():
        raise InputError(f"Row {number} of {table.name} names the {column} {text}, which is not there.")
    return file


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """The same with ids that differ even where case does not count."""
    taken: set[str] = set()
    renamed = []
    for one in candidates:
        name, number = one.id, 2
        while name.lower() in taken:
            name, number = f"{one.id}-{number}", number + 1
        taken.add(name.lower())
        renamed.append(replace(one, id=name))
    return renamed


def _stem(path: Path) -> str:
    extension = next((e for e in EXTENSIONS if path.name.lower().endswith(e)), "")
    return path.name[: len(path.name) - len(extension)]


def file_name(text: str) -> str:
    """A text as a name that every file system takes."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "case"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
