"""Writing files so that a reader never sees a half-written one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import InputError


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
        os.replace(beside, path)
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror or error}); free disk space or choose another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


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
