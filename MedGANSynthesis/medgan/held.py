"""Held: a volume whose voxels stay in shared memory, so that any number of jobs can use it without copying it again."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable

from .errors import InputError
from .protocol import VolumeRef
from .shared_array import SharedArrays
from .volume import Volume


class Keeping:
    """The memory behind a ``Held``: it goes when it was released and no job uses it any more.

    Args:
        ref: how the worker finds it.
        volume: the same volume here, a read-only view.
        arrays: the block of memory it lies in.
        forget: called with this once, when the memory may go.
    """

    def __init__(self, ref: VolumeRef, volume: Volume, arrays: SharedArrays, forget: Callable[[Keeping], None]):
        self.ref, self.arrays = ref, arrays
        self.volume: Volume | None = volume
        self.released = False
        self._forget = forget
        self._users = 0

    def enter(self) -> None:
        """A job uses it from now on."""
        self._users += 1

    def leave(self) -> None:
        """A job is done with it."""
        self._users -= 1
        self._forget_if_unused()

    def release(self) -> None:
        """Nobody will start another job on it."""
        if not self.released:
            self.released = True
            self._forget_if_unused()

    def _forget_if_unused(self) -> None:
        if self.released and not self._users:
            self.volume = None  # before its memory
            self._forget(self)


class Held:
    """A volume in shared memory that a worker, and each that comes after it, keeps at hand. Made by ``Client.hold``.

    Its memory is freed by ``release``, at the end of a ``with`` block, by ``Client.stop``, or, some time after nobody
    has it any more, by what is asked of the client next. Jobs that were made on it before end as if it were still
    held.
    """

    def __init__(self, keeping: Keeping, abandoned: deque[Keeping]):
        self._keeping = keeping
        # The garbage collector may run anywhere, in other threads too, so what is left to it is only noted here.
        self._finalizer = weakref.finalize(self, abandoned.append, keeping)
        self._finalizer.atexit = False

    @property
    def released(self) -> bool:
        """Whether it cannot be used any more."""
        return self._keeping.released

    @property
    def volume(self) -> Volume:
        """The volume as it was when it was held, read-only.

        Raises:
            InputError: it was released.
        """
        return self.keeping().volume

    def keeping(self) -> Keeping:
        """The memory, for the client.

        Raises:
            InputError: it was released.
        """
        if self.released:
            raise InputError("This held volume has been released; hold it again.")
        return self._keeping

    def release(self) -> None:
        """Free the memory here and in the worker as soon as no job uses it. No effect the second time."""
        self._finalizer.detach()
        self._keeping.release()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
