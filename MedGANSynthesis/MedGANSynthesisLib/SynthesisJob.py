"""SynthesisJob: one generator at work on one volume node, from the request to the node that holds the result."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from medgan.errors import InputError, WorkerError
from medgan.volume import Volume
from slicer.i18n import tr as _

from .Gate import REMOVED_ROLE, SPREAD_ROLE, Gate, removeWithDisplay
from .masks import Mask
from .nodes import nodeName, volumeFromNode
from .Prepared import Prepared

if TYPE_CHECKING:
    from medgan.options import ApplyOptions


@dataclass(frozen=True)
class Target:
    """Where a result goes.

    Attributes:
        title: appended to the name of the source for a new node, as in "CT denoised".
        node: an existing volume node that takes the result; None makes a new one.
        inPlace: write into the source itself.
        removedTitle: if given, a second new node gets what was removed, and this is appended to its name.
    """

    title: str
    node: object = None
    inPlace: bool = False
    removedTitle: str = ""


class SynthesisJob:
    """A running or finished synthesis.

    It keeps no node alive: if the source or the output is deleted, or the scene closed, before the result comes, the
    result is dropped and the job fails with one sentence. Jobs that wait for each other are independent.

    Attributes:
        sourceName: name of the source when the job was made.
        effectKey: of the effect it was started for. bundle: the model.
        applicability: ways in which the source is unlike the training data, one sentence each, once the job is done.
        notes: what went other than planned, one sentence each, once the job is done.

    Raises:
        InputError: the result cannot go where it is meant to go, or cannot be masked or compared.
    """

    def __init__(
        self,
        gate: Gate,
        sourceNode,
        effectKey: str,
        bundle,
        options: ApplyOptions,
        target: Target,
        mask: Mask | None = None,
    ):
        self.sourceName, self.effectKey, self.bundle = nodeName(sourceNode), effectKey, bundle
        self.applicability: list[str] = []
        self.notes: list[str] = []
        self._gate, self._options, self._target, self._mask = gate, options, target, mask
        self._source, self._into = _weak(sourceNode), _weak(sourceNode if target.inPlace else target.node)
        self._writesInto = target.inPlace or target.node is not None
        self._sameKind = self._check(sourceNode)
        # Whether the voxels of the source are needed again when the result comes.
        needsSource = target.inPlace or bool(target.removedTitle) or mask is not None
        self._checksum = _checksum(sourceNode) if needsSource else None
        self._output = self._removed = self._spread = None
        self._clientJob = None

    def _check(self, sourceNode) -> bool:
        """Refuse now what could not be written later. Returns whether the model keeps unit and meaning."""
        volume = volumeFromNode(sourceNode)
        spec = self.bundle.outputs(volume, self._options)["image"]
        empty = np.broadcast_to(np.zeros((), spec.dtype), spec.shape)  # takes no memory
        result = Volume(empty, spec.geometry, spec.units, spec.modality)
        expected = Prepared(sourceNode, volume, result, {}, sameKind=spec.keeps_source)
        if self._mask is not None:
            expected.checkMask()
        if self._target.removedTitle:
            expected.checkRemoved()
        if self._writesInto:
            self._gate.checkTarget(self._into.Get(), expected)
        return spec.keeps_source

    def start(
        self,
        client,
        device: str,
        onProgress: Callable[[SynthesisJob], None] | None = None,
        onDone: Callable[[SynthesisJob], None] | None = None,
    ) -> None:
        """Queue the job. Raises MedGANError: the engine cannot take this volume or cannot be started."""

        def progress(clientJob) -> None:
            self._clientJob = clientJob
            if onProgress is not None:
                onProgress(self)

        def done(clientJob) -> None:
            self._clientJob, self._mask = clientJob, None  # a finished job may be kept, its mask is large
            if clientJob.detail and isinstance(clientJob.error, WorkerError):  # the other errors explain themselves
                logging.error(clientJob.detail)
            if onDone is not None:
                onDone(self)

        self._clientJob = client.apply(
            volumeFromNode(self._source.Get()),
            self.bundle,
            device=device,
            options=self._options,
            consume=self._write,
            on_progress=progress,
            on_done=done,
        )

    @property
    def state(self) -> str:
        """ "queued", "running", "done", "failed" or "cancelled"."""
        return self._clientJob.state

    @property
    def finished(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self._clientJob.finished

    @property
    def progress(self) -> float:
        """How much is computed, 0 to 1."""
        return self._clientJob.fraction

    @property
    def remainingSeconds(self) -> float | None:
        """Seconds left as estimated so far; None while unknown."""
        return self._clientJob.remaining_s

    @property
    def message(self) -> str:
        """What is being done."""
        return self._clientJob.message

    @property
    def sourceNode(self):
        """The node it works on; None if it is gone."""
        return _alive(self._source)

    @property
    def removedNode(self):
        """The node that holds what was removed; None if it was not asked for or is gone."""
        return _alive(self._removed)

    @property
    def spreadNode(self):
        """The node that holds the spread; None if it was not asked for or is gone."""
        return _alive(self._spread)

    def cancel(self) -> None:
        """Stop it; nothing is written. No effect once it is finished."""
        self._clientJob.cancel()

    def result(self):
        """The output node (None if it was deleted since). Raises MedGANError: what went wrong, or Cancelled."""
        self._clientJob.result()
        return _alive(self._output)

    def wait(self):
        """Wait for the end, windows are repainted but take no input meanwhile, and return ``result()``."""
        self._clientJob.wait()
        return self.result()

    def _write(self, result) -> None:
        """Take the result while it lies in shared memory and put it into the scene: all of it or nothing."""
        sourceNode = self._findNodes()
        prepared = Prepared.of(sourceNode, result.volume, result.provenance, self._mask, self._sameKind)
        removedNode = spreadNode = None
        try:
            if self._target.removedTitle:
                removedNode = self._gate.writeNew(prepared.removed(), self._target.removedTitle)
            if result.spread is not None:
                spreadNode = self._gate.writeNew(prepared.spread(result.spread, self._mask), _("spread"))
            if self._writesInto:
                outputNode = self._into.Get()
                self._gate.writeInto(outputNode, prepared)
            else:
                outputNode = self._gate.writeNew(prepared, self._target.title)
        except Exception:
            for node in filter(None, (removedNode, spreadNode)):
                removeWithDisplay(node)
            raise
        for role, node in ((REMOVED_ROLE, removedNode), (SPREAD_ROLE, spreadNode)):
            outputNode.SetNodeReferenceID(role, node.GetID() if node is not None else None)
        self._output, self._removed, self._spread = _weak(outputNode), _weak(removedNode), _weak(spreadNode)
        self.applicability, self.notes = list(result.applicability), list(result.notes)

    def _findNodes(self):
        node = _alive(self._source)
        if node is None:
            message = _("'{name}' was deleted or its scene closed while the result was computed, so it was dropped.")
            raise InputError(message.format(name=self.sourceName))
        if self._writesInto and _alive(self._into) is None:
            raise InputError(_("The output volume was deleted while the result was computed, so it was dropped."))
        if self._checksum is not None and self._checksum != _checksum(node):
            message = _("'{name}' was changed while the result was computed, so it was left as it is; apply again.")
            raise InputError(message.format(name=nodeName(node)))
        return node


def _weak(node):
    if node is None:
        return None
    reference = vtk.vtkWeakReference()
    reference.Set(node)
    return reference


def _alive(reference):
    node = reference.Get() if reference is not None else None
    return node if node is not None and node.GetScene() is not None else None


def _checksum(node) -> int:
    image = node.GetImageData()
    if image is None:
        return 0
    array = np.ascontiguousarray(slicer.util.arrayFromVolume(node))
    return zlib.crc32(array.reshape(-1).view(np.uint8), hash((array.shape, array.dtype.str)) & 0xFFFFFFFF)
