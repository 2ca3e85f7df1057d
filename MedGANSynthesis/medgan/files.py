"""Writing files so that a reader never sees a half-written one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import InputError

_WAITS_S = (0.01, 0.05, 0.2, 0.5)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` (same suffix); it takes the place of ``path`` when the block ends without error.

    Raises:
        InputError: the disk is full or the folder cannot be written to; what was there before is untouched.
    """
    path = Path(path)
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _replace(beside, path)
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror or error}); free disk space or choose another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``; it takes the place of ``path`` when the block ends without error.

    Raises:
        InputError: the disk is full or the folder above cannot be written to; what was there before is untouched.
    """
    path = Path(path)
    beside, before = (path.with_name(f".{os.getpid()}-{word}{path.name}") for word in ("", "before-"))
    try:
        beside.mkdir(parents=True)
        yield beside
        if path.exists():
            os.replace(path, before)
        os.replace(beside, path)
    except OSError as error:
        if before.exists() and not path.exists():
            os.replace(before, path)
        raise InputError(
            f"{path} could not be written ({error.strerror or error}); free disk space or choose another folder."
        ) from error
    finally:
        for leftover in (beside, before):
            shutil.rmtree(leftover, ignore_errors=True)


def _replace(beside: Path, path: Path) -> None:
    """As ``os.replace``, but on Windows, where nothing can take the place of a file that somebody reads, try again."""
    for wait_s in _WAITS_S if sys.platform == "win32" else ():
        try:
            os.replace(beside, path)
            return
        except PermissionError:
            time.sleep(wait_s)
    os.replace(beside, path)


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, and see whether files can be written there.

    Raises:
        InputError: they cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"The folder {path} cannot be written to ({error.strerror}); choose another.") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, all or nothing."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
