"""The folder of a draft: what is written where, so that whatever stops a program, the draft it leaves is whole.

::

    draft.json                  settings and a secret for pseudonyms
    cases/<id>/case.json        what a person added and decided; the folder appears whole, by one rename
    cases/<id>/source.nrrd ...  the images as they were added
    cases/<id>/result.json      what preparing gave; written last, after the images it names
    images/<id>/...             prepared images; their names change with what they were made from
    thumbnails/<id>.png
    dataset.json                the finished dataset, which names images

Every JSON file is replaced as a whole. Who changes one reads it under a lock that dies with its process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .file_lock import locked
from .files import make_folder, replacing, write_json
from .volume import Volume

SCHEMA = 1
HEAD, CASE, RESULT = "draft.json", "case.json", "result.json"
_LEFTOVER = re.compile(r"\.\d+-")
_LEFTOVER_S = 3600.0
"""Unfinished files of this age belong to a process that was killed."""


class DraftStore:
    """Reads and writes the files of a draft.

    Args:
        folder: of the draft.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._read: dict[Path, tuple[tuple[int, ...], Any]] = {}

    def head(self) -> dict[str, Any]:
        """Content of ``draft.json``.

        Raises:
            InputError: there is none, it is damaged or of a newer MedGAN.
        """
        file = self.folder / HEAD
        try:
            return dict(self._content(file))
        except FileNotFoundError:
            finished = (self.folder / "dataset.json").exists()
            what = "is a finished dataset that was not made from a draft" if finished else f"holds no {HEAD}"
            raise InputError(f"{self.folder} is no draft of a dataset: it {what}.") from None

    def write_head(self, content: Mapping[str, Any]) -> None:
        """Replace ``draft.json``."""
        write_json(self.folder / HEAD, {"schema": SCHEMA, **content})

    def change_head(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Read ``draft.json``, change it, write it; no other process comes between."""
        with self._lock():
            content = self.head()
            change(content)
            self.write_head(content)

    def ids(self) -> list[str]:
        """The cases there are, in the order of their names."""
        folders = [path for path in _entries(self.folder / "cases") if path.is_dir()]
        return [path.name for path in folders if not path.name.startswith(".")]

    def case(self, id: str) -> dict[str, Any]:
        """Content of a ``case.json``.

        Raises:
            InputError: there is no such case, or the file is damaged or of a newer MedGAN.
        """
        try:
            return dict(self._content(self.folder / "cases" / id / CASE))
        except FileNotFoundError:
            if id in self.ids():
                raise InputError(f"cases/{id}/{CASE} is missing; remove the case and add it again.") from None
            raise InputError(f"The draft {self.folder} has no case {id}.") from None

    def result(self, id: str) -> dict[str, Any] | None:
        """Content of a ``result.json``; None if there is none that can be read, since it can be made again."""
        try:
            return dict(self._content(self.folder / "cases" / id / RESULT))
        except (OSError, InputError):
            return None

    def whole_result(self, id: str) -> dict[str, Any] | None:
        """Content of a ``result.json`` all of whose images are there."""
        result = self.result(id)
        if result is None:
            return None
        images = (result.get("images") or {}).values()
        return result if all((self.folder / path).is_file() for path in images) else None

    def sha256(self, id: str) -> dict[str, str]:
        """Hashes of the voxels of a case as it was added, by role; of a damaged case none."""
        try:
            return dict(self.case(id)["sha256"])
        except (InputError, KeyError, TypeError, ValueError):
            return {}

    def next_id(self) -> str:
        """A number for the next case."""
        numbers = [int(id[5:]) for id in self.ids() if id.startswith("case-") and id[5:].isdigit()]
        return f"case-{max(numbers, default=0) + 1:03d}"

    def add(self, wanted: str, content: Mapping[str, Any], images: Mapping[str, Volume]) -> str:
        """A new case, whole from the moment it is there.

        Args:
            wanted: its id if that is free; else a number is added.
            content: of ``case.json``. images: stored as ``<role>.nrrd``.

        Returns:
            the id it has got.
        """
        from .image_io import write_volume

        cases = self.folder / "cases"
        beside = cases / f".{os.getpid()}-{secrets.token_hex(4)}"
        try:
            make_folder(beside)
            for role, volume in images.items():
                write_volume(volume, beside / f"{role}.nrrd")
            write_json(beside / CASE, {"schema": SCHEMA, **content})
            with self._lock():
                id = self._free(wanted)
                beside.rename(cases / id)
            return id
        except OSError as error:
            raise InputError(f"{cases} could not be written ({error.strerror}); choose another folder.") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def change_case(self, id: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Read ``case.json``, change it, write it; no other process comes between."""
        with self._lock():
            content = self.case(id)
            change(content)
            write_json(self.folder / "cases" / id / CASE, {**content, "schema": SCHEMA})

    def add_mask(self, id: str, mask: Volume) -> str:
        """Store a mask beside the others of a case; returns the name of its file."""
        from .image_io import write_volume

        name = f"mask-{secrets.token_hex(4)}.nrrd"
        if id not in self.ids():
            raise InputError(f"The draft {self.folder} has no case {id}.")
        write_volume(mask, self.folder / "cases" / id / name)
        return name

    def drop_masks(self, id: str, keep: str) -> None:
        """Delete the masks of a case but one."""
        for file in _files(self.folder / "cases" / id):
            if file.name.startswith("mask") and file.name != keep:
                with contextlib.suppress(OSError):
                    file.unlink()

    def write_result(self, id: str, result: Mapping[str, Any], still_wanted: Callable[[], bool]) -> bool:
        """Note what preparing a case gave, unless something else is wanted by now; False if so."""
        with self._lock():
            if not (self.folder / "cases" / id).is_dir() or not still_wanted():
                return False
            write_json(self.folder / "cases" / id / RESULT, {"schema": SCHEMA, **result})
            return True

    def remove(self, id: str) -> None:
        """Take a case out, at one stroke; images that the finished dataset names stay."""
        away = self.folder / "cases" / f".{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with self._lock():
                (self.folder / "cases" / id).rename(away)
        except FileNotFoundError:
            raise InputError(f"The draft {self.folder} has no case {id}.") from None
        except OSError as error:
            raise InputError(f"The case {id} cannot be removed ({error.strerror}); close what uses it.") from error
        shutil.rmtree(away, ignore_errors=True)
        self.drop_unused(id)

    @contextlib.contextmanager
    def unless_removed(self, id: str) -> Iterator[None]:
        """Let work on a case fail if the case was removed meanwhile."""
        try:
            yield
        except InputError:
            if id in self.ids():
                raise

    def drop_unused(self, id: str) -> None:
        """Delete prepared images of a case that neither its result nor the finished dataset names."""
        folder = self.folder / "images" / id
        named = {*((self.result(id) or {}).get("images") or {}).values(), *self._dataset_images()}
        for file in _files(folder):
            if f"images/{id}/{file.name}" not in named:
                with contextlib.suppress(OSError):
                    file.unlink()
        with contextlib.suppress(OSError):
            if id not in self.ids():
                (self.folder / "thumbnails" / f"{id}.png").unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()

    def drop_all_unused(self) -> None:
        """As :meth:`drop_unused`, of all cases and those that are gone."""
        for folder in _entries(self.folder / "images"):
            self.drop_unused(folder.name)

    def tidy(self) -> None:
        """Delete what killed processes left half-written."""
        below = [path for name in ("cases", "images") for path in _entries(self.folder / name) if path.is_dir()]
        for folder in (self.folder, self.folder / "cases", self.folder / "thumbnails", *below):
            for path in _entries(folder):
                with contextlib.suppress(OSError):
                    if _LEFTOVER.match(path.name) and time.time() - path.stat().st_mtime > _LEFTOVER_S:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextlib.contextmanager
    def writing(self, relative: str) -> Iterator[Path]:
        """A temporary path that becomes ``relative`` when the block ends without error."""
        with replacing(self.folder / relative) as beside:
            yield beside

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return locked(self.folder / ".lock")

    def _free(self, wanted: str) -> str:
        """Differs from all there are even where case does not count."""
        taken, name, number = {id.lower() for id in self.ids()}, wanted, 2
        while name.lower() in taken:
            name, number = f"{wanted}-{number}", number + 1
        return name

    def _dataset_images(self) -> set[str]:
        try:
            content = json.loads((self.folder / "dataset.json").read_text(encoding="utf-8"))
            return {case.get(role) for case in content["cases"] for role in ("source", "target", "mask")}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return set()

    def _content(self, file: Path) -> dict[str, Any]:
        """A JSON object, read again only if the file was replaced since."""
        facts = file.stat()
        mark = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        known = self._read.get(file)
        if known is not None and known[0] == mark:
            return known[1]
        where = file.relative_to(self.folder).as_posix()
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            schema = int(content["schema"])
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror}); check its permissions.") from error
        except (ValueError, KeyError, TypeError) as error:
            help = "begin a new draft" if file.name == HEAD else "remove the case and add it again"
            raise InputError(f"{where} is damaged ({error}); restore it from a copy, or {help}.") from error
        if schema > SCHEMA:
            raise InputError(f"{where} was written by a newer MedGAN (schema {schema}); update MedGAN to use it.")
        self._read[file] = mark, content
        return content


def _entries(folder: Path) -> list[Path]:
    """What is in a folder; nothing if it is not there, or not any more."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_file() and not path.name.startswith(".")]
