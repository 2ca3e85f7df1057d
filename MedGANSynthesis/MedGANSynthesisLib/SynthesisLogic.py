"""SynthesisLogic: applies generators to volume nodes; for the console, other modules and the panel alike.

Slicer's start waits for this file, so what does the work is imported when there is work.
"""

from __future__ import annotations

import logging
from pathlib import Path

from medgan.errors import InputError
from slicer.i18n import tr as _

_REQUIREMENTS = Path(__file__).parents[1] / "Resources" / "requirements.txt"


class SynthesisLogic:
    """Applies generators to volume nodes.

    Attributes:
        gate: writes the results; its ``history`` is what ``undo`` and ``redo`` walk.
    """

    def __init__(self):
        from .Gate import Gate

        self.gate = Gate()

    def models(self, task: str) -> list:
        """The installed bundles for a task ("denoise-ct"), the one taken by default first."""
        from medgan.bundle import find_bundles

        return find_bundles(task)

    def apply(
        self,
        task: str,
        volumeNode,
        *,
        model=None,
        device: str = "auto",
        strength: float = 1.0,
        segmentationNode=None,
        segmentID: str | None = None,
        maskMode: str = "inside",
        softEdgeMm: float = 0.0,
        outputNode=None,
        inPlace: bool = False,
        secondOutput: bool = False,
        wait: bool = True,
        onProgress=None,
        onDone=None,
    ):
        """Apply a generator to a volume node.

        Args:
            task: what to do, for example "denoise-ct".
            model: a bundle, its name or its folder; None takes the first one for the task.
            device: "auto", "cpu", "cuda", "cuda:1" or "mps".
            strength: 0 (source) to 1 (what the generator computed).
            segmentationNode, segmentID: mask with this segment; None applies everywhere.
            maskMode: "inside" or "outside" of the segment.
            softEdgeMm: width in mm of the band in which source and result fade into each other.
            outputNode: an existing volume node for the result; None creates one beside the source.
            inPlace: overwrite the source; ``undo`` takes it back.
            secondOutput: also create a node with what was removed; the output refers to it as "MedGAN.Removed".
            wait: return when it is done; windows are repainted meanwhile but take no input. False returns at once.
            onProgress, onDone: called with the ``SynthesisJob``.

        Returns:
            the output node, or a ``SynthesisJob`` with ``wait=False``.

        Raises:
            MedGANError: one sentence that says what is wrong and what to do.
        """
        from .dependencies import ensureEngineDependencies
        from .engineClient import engineClient
        from .nodes import nodeName, volumeFromNode
        from .segmentMask import maskFromSegment
        from .SynthesisJob import SynthesisJob, Target

        volume = volumeFromNode(volumeNode)
        if not 0.0 <= strength <= 1.0:
            raise InputError(_("The strength is {value}; give a number from 0 to 1.").format(value=strength))
        bundle = _bundle(model if model is not None else task)
        for warning in bundle.applicability(volume):
            logging.warning(f"{nodeName(volumeNode)}: {warning}")  # on the console; the panel shows them itself
        mask = None
        if segmentationNode is not None:
            mask = maskFromSegment(segmentationNode, segmentID, volumeNode, maskMode, softEdgeMm)
        if not bundle.manifest.is_identity:
            ensureEngineDependencies(str(_REQUIREMENTS))
        inPlace = inPlace or outputNode is volumeNode
        removedTitle = _("removed") if secondOutput else ""
        target = Target(_title(bundle.task), None if inPlace else outputNode, inPlace, removedTitle)
        job = SynthesisJob(self.gate, volumeNode, target, mask)
        job.start(engineClient(), bundle, device, strength, onProgress, onDone)
        return job.wait() if wait else job

    def undo(self, node=None):
        """Take back what was written over last (in this node, or in any). Returns the node.

        Raises:
            InputError: there is nothing to undo, or the volume was changed by something else since.
        """
        return self.gate.undo(node)

    def redo(self, node=None):
        """Write again what was undone last (in this node, or in any). Returns the node. Raises as ``undo``."""
        return self.gate.redo(node)

    def stopEngine(self) -> None:
        """End the process that computes, cancelling all jobs; the next call starts another."""
        from .engineClient import stopEngine

        stopEngine()


def _title(task: str) -> str:
    """What is appended to the name of a source, as in "CT denoised"."""
    titles = {
        "contrast-ct": _("contrast-enhanced"),
        "denoise-ct": _("denoised"),
        "mr-to-ct": _("synthetic CT"),
        "mr-to-ct-unpaired": _("synthetic CT"),
        "stain": _("stain-normalized"),
        "superres-mr": _("super-resolved"),
    }
    return titles.get(task, task)


def _bundle(model):
    if hasattr(model, "outputs"):
        return model
    from medgan.bundle import resolve

    return resolve(model)
