"""Locks on files that the system itself lets go when their process ends, however it ends.

Unlike a process id that somebody wrote down, such a lock is never mistaken for another process, and a machine that was
switched off holds none.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

_RETRY_S = 0.05
_FAR = 1 << 30  # Windows forbids others to read the bytes that are locked: none that exist are


class FileLock:
    """A lock that one process at a time can have; the file stays, its content does not matter.

    Args:
        path: of the file, made if need be.
    """

    def __init__(self, path: Path):
        self._path = Path(path)
        self._descriptor: int | None = None

    def acquire(self, wait_s: float = 1.0) -> bool:
        """Take the lock, waiting a while for it; False if another has it.

        Where the disk knows no locks (some cluster disks) this is True for everybody.

        Raises:
            InputError: the file cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(
                f"{self._path} could not be written ({error.strerror or error}); choose another folder."
            ) from error
        until = time.monotonic() + wait_s
        while not _locked(descriptor, shared=False):
            if time.monotonic() > until:
                os.close(descriptor)
                return False
            time.sleep(_RETRY_S)  # somebody may be looking at this moment, see is_held
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let it go; nothing if it was not taken."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Whether a living process has the lock; False if there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _locked(descriptor, shared=True)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, wait_s: float = 10.0) -> Iterator[None]:
    """Hold a lock for a moment.

    Raises:
        InputError: another process has it all the time, or the file cannot be written.
    """
    lock = FileLock(path)
    if not lock.acquire(wait_s):
        raise InputError(f"{path} is in use by another process; try again.")
    try:
        yield
    finally:
        lock.release()


def _locked(descriptor: int, shared: bool) -> bool:
    """Try to lock an open file until it is closed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    except OSError:  # a disk without locks
        return True
    return True
