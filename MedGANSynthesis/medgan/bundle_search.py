"""Where bundles lie, and which one is meant by a name."""

from __future__ import annotations

import os
from pathlib import Path

from .bundle import Bundle
from .errors import BundleError

TRAINED = "trained"
"""Folder within a user's folder of models that holds those trained here."""


def user_folders() -> list[Path]:
    """Where the user's own are: ``$MEDGAN_MODELS`` (several, separated as in PATH), then ``~/.medgan/models``."""
    named = [Path(entry) for entry in os.environ.get("MEDGAN_MODELS", "").split(os.pathsep) if entry]
    return [*named, Path.home() / ".medgan" / "models"]


def search_folders() -> list[Path]:
    """Where bundles are looked for: the user's folders, each with what was trained here, then the shipped ones."""
    package = Path(__file__).resolve().parent
    own = [path for folder in user_folders() for path in (folder, folder / TRAINED)]
    return [*own, package.parent / "Resources" / "Models", package / "models"]


def bundle_folders(folder: Path) -> list[Path]:
    """The folders in a search folder that are meant to be bundles; hidden ones are still being written."""
    found = (metadata.parent.parent for metadata in folder.glob("*/configs/metadata.json"))
    return sorted(path for path in found if not path.name.startswith("."))


def find_bundles(task: str | None = None) -> list[Bundle]:
    """All bundles in the search folders that can be read, of one task or of all; the first of a name wins."""
    found: dict[str, Bundle] = {}
    for folder in search_folders():
        for path in bundle_folders(folder):
            try:
                bundle = Bundle.load(path)
            except BundleError:
                continue  # a damaged bundle must not hide the others; naming it by path tells what is wrong
            if task in (None, bundle.task):
                found.setdefault(bundle.name, bundle)
    return list(found.values())


def resolve(name_or_path: str | Path) -> Bundle:
    """The bundle meant by a folder, a bundle's name, or a task (its first bundle).

    Raises:
        BundleError: nothing fits, or what is meant is damaged.
    """
    text = str(name_or_path)
    if os.sep in text or "/" in text or Path(text).is_dir():
        return Bundle.load(text)
    bundles = find_bundles()
    for bundle in bundles:
        if text in (bundle.name, bundle.task):
            return bundle
    for folder in search_folders():
        if (folder / text / "configs" / "metadata.json").exists():
            return Bundle.load(folder / text)  # it was not listed because it is damaged: this says how
    known = ", ".join(bundle.name for bundle in bundles) or "none"
    raise BundleError(f"There is no model '{text}'; installed are: {known}. A folder can be given as well.")
