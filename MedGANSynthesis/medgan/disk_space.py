"""Is there room on the disk? Asked before something is written, since a full disk harms every program on it."""

from __future__ import annotations

import shutil
from pathlib import Path

from .errors import InputError

MARGIN_BYTES = 256 * 2**20
"""Left to everything else that runs on the machine."""


class DiskFull(InputError):
    """Something would not fit on the disk."""


def require_space(folder: Path, needed_bytes: int) -> None:
    """Refuse to begin what would fill the disk.

    Args:
        folder: where it will be written; the nearest one that exists is asked.

    Raises:
        DiskFull: less than ``needed_bytes`` and a margin of 256 MB are free.
    """
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free, needed = shutil.disk_usage(there).free, needed_bytes + MARGIN_BYTES
    if free < needed:
        raise DiskFull(
            f"The disk of {folder} has {free / 1e6:.0f} MB left, but {needed / 1e6:.0f} MB are needed; free disk space "
            "or choose another folder."
        )
