"""What was in a volume before it was written over: bounded in bytes, kept compressed, and never applied blindly.

The history only remembers. It keeps no node alive and writes none: the write gate takes a step from it and puts the
voxels back.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import vtk
from medgan.errors import InputError
from slicer.i18n import tr as _

from .nodes import Contents, nodeName

DEFAULT_LIMIT_BYTES = 1 << 30
_CHUNK_BYTES = 4 << 20
_WHOLE = (slice(None),) * 3


@dataclass(frozen=True)
class Packed:
    """A compressed array."""

    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: list[bytes] = field(repr=False)

    @classmethod
    def of(cls, array: np.ndarray) -> Packed:
        from concurrent.futures import ThreadPoolExecutor

        data = _bytesOf(array)
        pieces = [data[start : start + _CHUNK_BYTES] for start in range(0, len(data), _CHUNK_BYTES)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # zlib works without the interpreter lock
            chunks = list(pool.map(lambda piece: zlib.compress(piece, 1), pieces))
        return cls(array.shape, array.dtype, chunks)

    def array(self) -> np.ndarray:
        data = b"".join(zlib.decompress(chunk) for chunk in self.chunks)
        return np.frombuffer(data, self.dtype).reshape(self.shape)

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.chunks))


@dataclass(frozen=True)
class Step:
    """One write into one node.

    Attributes:
        box: where it happened; the whole image where the write changed grid or type (then ``whole`` is true).
        other: what the box holds on the other side of the step (before it to undo, after it to redo).
        facts: grid, attributes, units and parent on the other side; ``facts.array`` is None.
        moved: the write put the node under another parent transform.
        checksum, shape, dtype: what the box and the image must hold now for the step to apply.
    """

    nodeReference: Any
    whole: bool
    box: tuple[slice, ...]
    other: Packed
    facts: Contents
    moved: bool
    checksum: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def between(cls, node, other: Contents, present: Contents) -> Step:
        """The step that takes ``node`` from ``present`` to ``other``."""
        reference = vtk.vtkWeakReference()
        reference.Set(node)
        alike = (other.array.shape, other.array.dtype) == (present.array.shape, present.array.dtype)
        whole = not (alike and other.geometry.is_close(present.geometry, 0.0))
        box = _WHOLE if whole else changedBox(other.array, present.array)
        return cls(
            reference,
            whole,
            box,
            Packed.of(other.array[box]),
            replace(other, array=None),
            other.parentID != present.parentID,
            zlib.crc32(_bytesOf(present.array[box])),
            present.array.shape,
            present.array.dtype,
        )

    def node(self):
        """The node, or None once it was deleted or its scene was closed."""
        node = self.nodeReference.Get()
        return node if node is not None and node.GetScene() is not None else None

    def turned(self, present: Contents) -> Step:
        """The step that leads back from the other side to ``present``, what the node holds now."""
        other = self.other.array()
        return replace(
            self,
            other=Packed.of(present.array[self.box]),
            facts=replace(present, array=None),
            checksum=zlib.crc32(_bytesOf(other)),
            shape=other.shape if self.whole else self.shape,
            dtype=other.dtype,
        )

    def applies(self) -> bool:
        """Whether the node still holds what the write left there."""
        node = self.node()
        if node is None or node.GetImageData() is None:
            return False
        array = Contents.of(node).array
        if (array.shape, array.dtype) != (self.shape, self.dtype):
            return False
        return zlib.crc32(_bytesOf(array[self.box])) == self.checksum


class History:
    """Undo and redo of writes into volume nodes.

    Steps of one node apply in order; steps of different nodes do not touch each other. The oldest steps go first when
    the limit is reached; steps of deleted nodes go at the next look.

    Args:
        limitBytes: the most that compressed voxels may occupy.
    """

    def __init__(self, limitBytes: int = DEFAULT_LIMIT_BYTES):
        self.limitBytes = limitBytes
        self._undo: list[Step] = []
        self._redo: list[Step] = []

    @property
    def nbytes(self) -> int:
        """Bytes of compressed voxels held at present."""
        return sum(step.other.nbytes for step in self._undo + self._redo)

    def record(self, node, before: Contents, after: Contents) -> Step:
        """Remember that ``node`` goes from ``before`` to ``after``; what was undone on it can no longer be redone.

        The voxels before are packed at once, so ``before.array`` may be a view of what is about to be overwritten.
        """
        step = Step.between(node, before, after)
        self._undo.append(step)
        self._redo[:] = [step for step in self._redo if step.node() is not node]
        self._keepWithinLimit()
        return step

    def forget(self, step: Step) -> None:
        """Drop a recorded step, for the write did not happen."""
        self._undo[:] = [other for other in self._undo if other is not step]

    def canUndo(self, node=None) -> bool:
        """Whether there is a step to undo (of this node, or of any)."""
        return _last(self._undo, node) is not None

    def canRedo(self, node=None) -> bool:
        """Whether there is a step to redo (of this node, or of any)."""
        return _last(self._redo, node) is not None

    def takeUndo(self, node=None) -> Step:
        """The last step to undo. Raises InputError: there is none, or its volume was changed by something else."""
        return self._take(self._undo, node, _("There is nothing to undo."))

    def takeRedo(self, node=None) -> Step:
        """The last step to redo. Raises InputError: there is none, or its volume was changed by something else."""
        return self._take(self._redo, node, _("There is nothing to redo."))

    def putUndo(self, step: Step) -> None:
        """Give a redone step back, turned."""
        self._undo.append(step)
        self._keepWithinLimit()

    def putRedo(self, step: Step) -> None:
        """Give an undone step back, turned."""
        self._redo.append(step)
        self._keepWithinLimit()

    def drop(self, node) -> None:
        """Forget the steps of one node."""
        for steps in (self._undo, self._redo):
            steps[:] = [step for step in steps if step.node() is not node]

    def prune(self) -> None:
        """Forget the steps of nodes that no longer exist."""
        self.drop(None)

    def _take(self, steps: list[Step], node, nothingLeft: str) -> Step:
        self.prune()
        step = _last(steps, node)
        if step is None:
            raise InputError(nothingLeft)
        if not step.applies():
            node = step.node()
            self.drop(node)
            message = _("'{name}' was changed by something else meanwhile, so its undo steps were dropped.")
            raise InputError(message.format(name=nodeName(node)))
        steps.remove(step)
        return step

    def _keepWithinLimit(self) -> None:
        self.prune()
        while self.nbytes > self.limitBytes:
            (self._undo or self._redo).pop(0)


def changedBox(before: np.ndarray, after: np.ndarray) -> tuple[slice, ...]:
    """The smallest box along (k, j, i) outside of which both arrays are equal (NaN counts as equal to NaN)."""
    changed = before != after
    if before.dtype.kind == "f":
        changed &= ~(np.isnan(before) & np.isnan(after))
    box = []
    for axis in range(3):
        hit = np.flatnonzero(changed.any(axis=tuple(other for other in range(changed.ndim) if other != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
    return tuple(box)


def _last(steps: list[Step], node) -> Step | None:
    alive = (step for step in reversed(steps) if step.node() is not None)
    return next((step for step in alive if node is None or step.node() is node), None)


def _bytesOf(array: np.ndarray) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
