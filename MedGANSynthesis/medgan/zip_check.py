"""Names in a zip file of a stranger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from .errors import InputError


def refuse_outside(names: Iterable[str], source: str) -> None:
    """Refuse names that would lie outside of the folder that the zip file ``source`` is unpacked to.

    Raises:
        InputError: naming the first.
    """
    for name in names:
        if "\\" in name or ":" in name or name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise InputError(f"{source} holds a file that would lie outside of its folder ({name}); do not trust it.")
