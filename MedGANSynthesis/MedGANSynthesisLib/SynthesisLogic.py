"""SynthesisLogic: applies generators to volume nodes; for the console, other modules and the panel alike.

Slicer's start waits for this file, so what does the work is imported when there is work.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

from medgan.errors import BundleError, InputError
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from medgan.applicability import Verdict
    from medgan.options import ApplyOptions

    from .masks import Mask
    from .SynthesisJob import SynthesisJob


class SynthesisLogic:
    """Applies generators to volume nodes.

    Attributes:
        gate: writes the results; its ``history`` is what ``undo`` and ``redo`` walk.
    """

    def __init__(self):
        from .Gate import Gate
        from .NodeCache import NodeCache

        self.gate = Gate()
        self._jobs: list[weakref.ref] = []  # the engine keeps unfinished jobs alive, nobody the finished ones
        self._verdicts, self._references = NodeCache(), NodeCache()

    def models(self, effectOrTask: str | None = None) -> list:
        """The installed bundles, the one taken by default first: those of an effect or a task, or all."""
        from medgan.bundle_search import find_bundles

        from . import effects

        effect = effects.effect(effectOrTask) if effectOrTask is not None else None
        return effect.models() if effect is not None else find_bundles(effectOrTask)

    def apply(
        self,
        effectOrTask,
        volumeNode,
        *,
        model=None,
        device: str = "auto",
        strength: float = 1.0,
        targetSpacingMm: tuple[float, float, float] | None = None,
        orientations: str = "model",
        enhancementOnly: bool = False,
        referenceNode=None,
        spread: str = "none",
        spreadSamples: int = 8,
        ensemble: tuple = (),
        secondOutput: bool = False,
        segmentationNode=None,
        segmentID: str | None = None,
        maskMode: str = "inside",
        softEdgeMm: float = 0.0,
        intensityRange: tuple[float, float] | None = None,
        roiNode=None,
        outputNode=None,
        inPlace: bool = False,
        wait: bool = True,
        onProgress=None,
        onDone=None,
    ):
        """Apply a generator to a volume node.

        Args:
            effectOrTask: what to do: key of an effect ("denoise-ct", "custom"), a task ("mr-to-ct-unpaired"), or a
                bundle.
            model: a bundle, its name or its folder; None takes the first one there is.
            device: "auto", "cpu", "cuda", "cuda:1" or "mps".
            strength: 0 (source) to 1 (what the generator computed).
            targetSpacingMm: spacing of a super-resolved result along i, j, k; None for what the model makes of it.
            orientations: planes of a slice-wise model: "model", "axial", or "all" for the mean of all three.
            enhancementOnly: the result is nowhere below the source.
            referenceNode: a color volume whose staining the result of a stain transfer takes.
            spread: also create a node with the voxel-wise standard deviation over mirrored copies ("flips"), dropout
                samples ("dropout") or further models ("ensemble"); the output refers to it as "MedGAN.Spread".
            spreadSamples: how many dropout samples.
            ensemble: the further models, as ``model``; () takes all installed ones of the same task whose results lie
                on the same grid.
            secondOutput: also create a node with what was removed; the output refers to it as "MedGAN.Removed".
            segmentationNode, segmentID: mask with this segment; None applies everywhere.
            maskMode: "inside" or "outside" of the segment.
            softEdgeMm: width in mm of the band around the mask in which source and result fade into each other.
            intensityRange: lowest and highest value of the source where the result counts.
            roiNode: a vtkMRMLMarkupsROINode; the result counts inside its box.
            outputNode: an existing volume node for the result; None creates one beside the source.
            inPlace: overwrite the source; ``undo`` takes it back.
            wait: return when it is done; windows are repainted meanwhile but take no input. False returns at once, and
                jobs asked for meanwhile queue up.
            onProgress, onDone: called with the ``SynthesisJob``.

        Returns:
            the output node, or a ``SynthesisJob`` with ``wait=False``.

        Raises:
            MedGANError: one sentence that says what is wrong and what to do.
        """
        from .dependencies import ensureEngineDependencies
        from .engineClient import engineClient
        from .nodes import nodeName, volumeFromNode
        from .SynthesisJob import SynthesisJob, Target

        volume = volumeFromNode(volumeNode)
        effect, bundle = _chosen(effectOrTask, model)
        for warning in bundle.applicability(volume):
            logging.warning(f"{nodeName(volumeNode)}: {warning}")  # on the console; the panel shows them itself
        if spread == "ensemble" and not ensemble:
            ensemble = _companions(bundle, volume)
        ensemble = tuple(_bundle(other) for other in ensemble)
        options = self.applyOptions(
            strength=strength,
            targetSpacingMm=targetSpacingMm,
            orientations=orientations,
            enhancementOnly=enhancementOnly,
            referenceNode=referenceNode,
            spread=spread,
            spreadSamples=spreadSamples,
            ensemble=ensemble,
        )
        mask = self.mask(
            volumeNode,
            segmentationNode=segmentationNode,
            segmentID=segmentID,
            maskMode=maskMode,
            softEdgeMm=softEdgeMm,
            intensityRange=intensityRange,
            roiNode=roiNode,
        )
        inPlace = inPlace or outputNode is volumeNode
        removedTitle = _("removed") if secondOutput else ""
        target = Target(effect.outputTitle(bundle), None if inPlace else outputNode, inPlace, removedTitle)
        job = SynthesisJob(self.gate, volumeNode, effect.key, bundle, options, target, mask)
        for used in (bundle, *ensemble):
            if not used.manifest.is_identity:
                ensureEngineDependencies(bundle=used)
        job.start(engineClient(), device, onProgress, onDone)
        self._jobs.append(weakref.ref(job))
        return job.wait() if wait else job

    def applyOptions(
        self,
        *,
        strength: float = 1.0,
        targetSpacingMm: tuple[float, float, float] | None = None,
        orientations: str = "model",
        enhancementOnly: bool = False,
        referenceNode=None,
        spread: str = "none",
        spreadSamples: int = 8,
        ensemble: tuple = (),
        secondOutput: bool = False,
    ) -> ApplyOptions:
        """The engine's form of the same keyword arguments of ``apply``; what an effect's ``arguments`` gives fits.

        Args:
            ensemble: must be given for an ensemble here, for which models there are depends on the volume.
            secondOutput: has no bearing on what is computed.

        Raises:
            MedGANError: a value is out of range, or the reference image cannot be used.
        """
        from medgan.options import ApplyOptions

        return ApplyOptions(
            strength=strength,
            target_spacing_mm=targetSpacingMm,
            orientations=orientations,
            enhancement_only=enhancementOnly,
            reference=self._reference(referenceNode) if referenceNode is not None else None,
            spread=spread,
            spread_samples=spreadSamples,
            ensemble=tuple(str(_bundle(other).path) for other in ensemble),
        )

    def mask(self, volumeNode, **settings) -> Mask | None:
        """Where a result for this volume counts, None for everywhere; settings and errors as in ``masks.maskOf``."""
        from .masks import maskOf

        return maskOf(volumeNode, **settings)

    def verdict(self, bundle, node) -> Verdict:
        """How well a volume suits a model: ``level`` "good", "caution" or "unsuitable", with ``reasons``.

        Remembered until volume, units or modality change, for looking at a large volume takes time.
        """
        from medgan.applicability import Verdict
        from medgan.errors import MedGANError

        from .nodes import volumeFromNode

        try:
            volume = volumeFromNode(node)
        except MedGANError as error:
            return Verdict("unsuitable", [str(error)])
        key = (str(bundle.path), bundle.sha256, volume.units, volume.modality)
        return self._verdicts.value(node, key, lambda: bundle.judge(volume))

    @property
    def jobs(self) -> tuple[SynthesisJob, ...]:
        """The jobs that are not finished, the running one first, then in the order in which their turn comes."""
        alive = [job for job in (reference() for reference in self._jobs) if job is not None and not job.finished]
        self._jobs = [weakref.ref(job) for job in alive]
        return tuple(sorted(alive, key=lambda job: job.state != "running"))

    def cancelAll(self) -> None:
        """Cancel all jobs; nothing is written."""
        for job in reversed(self.jobs):  # the running one last, or the next would start in its place
            job.cancel()

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

    def _reference(self, node) -> tuple[float, ...]:
        """The staining of a reference image, measured once."""
        from medgan.stain_reference import StainReference

        from .nodes import volumeFromNode

        volume = volumeFromNode(node)
        return self._references.value(node, (), lambda: tuple(StainReference.of(volume)))


def _chosen(effectOrTask, model):
    """The effect and the bundle that are meant. Raises BundleError: there is no such model, or none for the effect."""
    from . import effects

    if hasattr(effectOrTask, "outputs"):
        model, effectOrTask = effectOrTask, effectOrTask.task
    effect = effects.effect(effectOrTask)
    if model is not None:
        bundle = _bundle(model)
    elif effect is not None:
        models = effect.models()
        if not models:
            message = _("No model for '{effect}' is installed; install one in the model manager.")
            raise BundleError(message.format(effect=effect.title))
        bundle = models[0]
    else:
        bundle = _bundle(effectOrTask)
    return effect or effects.effectOfTask(bundle.task), bundle


def _bundle(model):
    if hasattr(model, "outputs"):
        return model
    from medgan.bundle_search import resolve

    return resolve(model)


def _companions(bundle, volume) -> tuple:
    """All other installed models of the same task that make the same kind of image on the same grid.

    Raises:
        InputError: there is none.
    """
    from medgan.bundle_search import find_bundles
    from medgan.errors import MedGANError

    def isLike(other) -> bool:
        try:
            return other.outputs(volume)["image"].is_like(own)
        except MedGANError:
            return False

    own, path = bundle.outputs(volume)["image"], bundle.path.resolve()
    found = [other for other in find_bundles(bundle.task) if other.path.resolve() != path and isLike(other)]
    if not found:
        message = _("There is no other model for the task of '{model}' to compare with; choose another kind of spread.")
        raise InputError(message.format(model=bundle.title))
    return tuple(found)
