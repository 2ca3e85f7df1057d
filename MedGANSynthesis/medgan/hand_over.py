"""Hand-over: a bundle that was trained here joins the installed ones, with its card filled in."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

from . import model_store
from .bundle import Bundle
from .errors import InputError
from .evaluation_results import EvaluationResults
from .evaluation_table import AGAINST
from .files import replacing_folder, write_json
from .manifest import Manifest, is_folder_safe
from .model_card import model_card
from .verification import check_files

_LONGEST_NAME = 60


def hand_over(
    bundle: Bundle | str | Path,
    *,
    title: str = "",
    licence: str = "",
    results: EvaluationResults | None = None,
    replace: bool = False,
) -> Bundle:
    """Copy a trained bundle to the folder of those trained here, where it is found by its task.

    Args:
        bundle: the bundle of a run, or its folder; it stays as it is.
        title: what to call it; '' keeps its own, with a number if that is taken by other weights.
        licence: of the weights, as an SPDX identifier; '' keeps what the bundle says.
        results: of an evaluation of these weights; they take the place of those of the training. Patients are counted,
            not named: the card travels with the model.
        replace: put it in the place of a model that was trained here and has the same name. The same weights are
            replaced in any case.

    Returns:
        the installed bundle.

    Raises:
        BundleError: it is damaged. InputError: the name is taken, the results are those of other weights, or the folder
            cannot be written to.
    """
    bundle = Bundle.load(bundle.path if isinstance(bundle, Bundle) else bundle)
    check_files(bundle)
    if results is not None and results.content["models"].get("output", {}).get("sha256") != bundle.sha256:
        raise InputError(f"The results in {results.folder} are those of another model; evaluate this one again.")
    title, name = _name(bundle, title.strip(), replace)
    manifest = dataclasses.replace(bundle.manifest, name=name, title=title)
    if results is not None:
        manifest = dataclasses.replace(manifest, results=results_rows(results))
    licence = licence.strip() or bundle.licence
    description = f"{title}: image-to-image generator of the task {manifest.task}."
    metadata = {**bundle.metadata, "name": title, "description": description, "license": licence}
    place = model_store.trained_folder() / name
    with replacing_folder(place) as beside:
        shutil.copytree(bundle.path, beside, dirs_exist_ok=True)
        _fill_card(beside, manifest, metadata)
        if licence != bundle.licence:
            (beside / "LICENSE").write_text(f"{licence}\n", encoding="utf-8")
        check_files(Bundle.load(beside))
    return Bundle.load(place)


def results_rows(results: EvaluationResults) -> list[dict[str, Any]]:
    """The rows of the patients for a card, without their names and without a model that was compared."""
    rows, split = [], results.content["split"] or "test"
    for number, row in enumerate(results.content["patients"], start=1):
        values = {key: value for key, value in row.items() if isinstance(value, float) and math.isfinite(value)}
        values = {key: value for key, value in values.items() if not key.startswith(f"{AGAINST}_")}
        cases = row.get("cases", 1)
        who = f"{split} patient {number}" if cases == 1 else f"{split} patient {number} ({cases} cases)"
        rows.append({"case": who, "learnt_from": split == "train", **values})
    return rows


def folder_name(title: str) -> str:
    """A folder-safe name made of a title. Raises InputError: it has no letter or digit that could be kept.

    >>> folder_name("My CT denoiser, 2nd")
    'My-CT-denoiser-2nd'
    """
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", title)[:_LONGEST_NAME].strip("-._+")
    if not is_folder_safe(name) or name.lower() == model_store.trained_folder().name:
        raise InputError(f"'{title}' cannot be the name of a model; use letters and digits.")
    return name


def _name(bundle: Bundle, title: str, replace: bool) -> tuple[str, str]:
    """Title and name under which it is installed; a title that nobody chose is numbered where it is taken."""
    name = folder_name(title or bundle.name)
    for number in itertools.count(1):
        ending = ("", "") if number == 1 else (f" {number}", f"-{number}")
        taken = _taken(name + ending[1], bundle)
        if not taken or (replace and all(entry.origin == "trained" for entry in taken)):
            break
        if title:
            raise InputError(f"There is already a model named '{name}' ({taken[0].origin}); choose another name.")
    return (title or bundle.title) + ending[0], name + ending[1]


def _taken(name: str, bundle: Bundle) -> list[model_store.Installed]:
    """Models of this name (on a disk that may not tell upper from lower case) but those of the same weights."""
    named = [
        entry for entry in model_store.installed() if name.lower() in (entry.name.lower(), entry.path.name.lower())
    ]
    return [entry for entry in named if not (entry.origin == "trained" and _is_same(entry, bundle))]


def _is_same(entry: model_store.Installed, bundle: Bundle) -> bool:
    return entry.bundle is not None and entry.bundle.sha256 == bundle.sha256 != ""


def _fill_card(folder: Path, manifest: Manifest, metadata: dict[str, Any]) -> None:
    content = json.loads(json.dumps({**metadata, "medgan": manifest.to_dict()}))
    write_json(folder / "configs" / "metadata.json", content)
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "README.md").write_text(model_card(manifest, content), encoding="utf-8")
