"""PreviewController: follows views, source and options, and shows in the slice views what Apply would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import slicer
import vtk
from medgan.errors import Cancelled, InputError, MedGANError
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..engineClient import engineClient
from ..Prepared import Prepared
from ..SynthesisParameterNode import PreviewMode
from .PreviewContext import PreviewContext, roiEvents
from .PreviewInput import PreviewInput, stampOf
from .PreviewLayers import ROI_KEY, PreviewLayers
from .PreviewRequest import PreviewRequest
from .PreviewRequirements import PreviewRequirements
from .PreviewSchedule import PreviewSchedule
from .RegionMask import RegionMask
from .SliceRegion import roiRegion, sliceRegion
from .SliceViews import allSliceNodes

MAX_VOXELS = 24_000_000  # of a preview; more take longer than one would call live


class PreviewController(VTKObservationMixin):
    """Shows the result of a generator for what is on the screen, before anything is applied.

    Off at first. Whatever it puts into the scene goes again when it is switched off, the source goes, the scene
    closes, or on ``cleanup``; the source itself is never touched.

    Args:
        logic: the ``SynthesisLogic``; makes masks and owns the write gate.
        onStatus: called with one line on how things stand, '' if all is well.
    """

    def __init__(self, logic, onStatus: Callable[[str], None]):
        VTKObservationMixin.__init__(self)
        self._logic, self._onStatus = logic, onStatus
        self._context: PreviewContext | None = None
        self._mode, self._roi = PreviewMode.Off, None
        self._refusal = ""
        self._layers = PreviewLayers()
        self._input = PreviewInput(logic)
        self._requirements = PreviewRequirements()
        self._schedule = PreviewSchedule(self._describe, self._start, self._isFree, self._report)

    @property
    def isIdle(self) -> bool:
        """Whether every view shows what it should, as far as that is possible."""
        return self._schedule.isIdle

    @property
    def isOn(self) -> bool:
        """Whether it previews anything: a mode and a volume are set and nothing has switched it off."""
        return self._mode != PreviewMode.Off and self._context is not None and not self._refusal

    def setContext(self, effect, bundle, volumeNode, options, mask: dict | None = None, device: str = "auto") -> None:
        """What would be applied; to be called again whenever something changes.

        Another model while it is on starts anew what was switched off by an error.

        Args:
            effect, bundle, volumeNode: what is chosen in the panel; without bundle or volume there is no preview.
            options: ``ApplyOptions``; no spread is computed for a preview.
            mask: the keywords of ``logic.mask``.
        """
        before, context = self._context, None
        if bundle is not None and volumeNode is not None and volumeNode.GetScene() is not None:
            options = replace(options, spread="none", ensemble=())  # neither changes the image
            context = PreviewContext(bundle, volumeNode, options, dict(mask or {}), device)
        volumes = [None if each is None else each.volumeNode for each in (before, context)]
        if volumes[0] is not volumes[1]:
            self._clear()
        maskChanged = context is not None and (before is None or before.mask != context.mask)
        if maskChanged:
            self._input.maskChanged()
        modelChanged = before is not None and context is not None and before.model != context.model
        if modelChanged and self._mode != PreviewMode.Off:
            self._refusal, self._requirements.mayAsk = "", True
        self._context = context
        if modelChanged or maskChanged or volumes[0] is not volumes[1]:
            self._observe()
        self._everythingChanged()

    def setMode(self, mode: PreviewMode, roiNode=None, byUser: bool = True) -> None:
        """Off, what the slice views show, or a markups ROI. What was switched off by an error starts anew.

        Args:
            byUser: the user has just chosen this, so he may be asked to install what is missing.
        """
        mode = PreviewMode(mode)
        if mode == PreviewMode.Off:
            self._context = None  # or its nodes would outlive their scene
        if (mode, roiNode) == (self._mode, self._roi):
            return
        self._clear()
        self._mode, self._roi, self._refusal = mode, roiNode, ""
        self._requirements.mayAsk = byUser
        self._observe()
        self._everythingChanged()
        self._report()

    def setOpacity(self, opacity: float) -> None:
        """How much of the preview is seen, 0 to 1."""
        self._layers.setOpacity(opacity)

    def showSource(self, shown: bool) -> None:
        """Before and after: hide the preview for the moment, or show it again; nothing is computed."""
        self._layers.showSource(shown)

    def suspend(self) -> None:
        """Compute nothing while the user's own jobs run."""
        self._schedule.suspend()

    def resume(self) -> None:
        """Go on after ``suspend``."""
        self._schedule.resume()

    def cleanup(self) -> None:
        """Leave no node, observer, timer or shared memory behind. The controller cannot be used any more."""
        self._onStatus = lambda text: None
        self.removeObservers()
        self._mode, self._context = PreviewMode.Off, None
        self._clear()
        self._schedule.cleanup()

    # What is observed.

    def _observe(self) -> None:
        self.removeObservers()
        if not self.isOn:
            return
        scene, modified = slicer.mrmlScene, vtk.vtkCommand.ModifiedEvent
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneClose)
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        for node in allSliceNodes():
            self.addObserver(node, modified, self._onSliceModified)
        for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.addObserver(node, modified, self._onCompositeModified)
        for node, event in self._context.sourceEvents() + roiEvents(self._roi):
            self.addObserver(node, event, self._everythingChanged)
        for node, event in self._context.maskEvents():
            self.addObserver(node, event, self._onMaskModified)

    def _onSceneClose(self, caller=None, event=None) -> None:
        self.setContext(None, None, None, None)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller, event, node) -> None:
        if node.IsA("vtkMRMLSliceNode") or node.IsA("vtkMRMLSliceCompositeNode"):
            self._observe()
            self._everythingChanged()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, caller, event, node) -> None:
        if self._context is not None and node is self._context.volumeNode:
            self.setContext(None, None, None, None)
        elif node is self._roi or node.IsA("vtkMRMLSliceNode"):
            self._everythingChanged()

    def _onSliceModified(self, caller, event=None) -> None:
        if self._mode == PreviewMode.VisibleSlices:
            self._schedule.changed(caller.GetLayoutName())
        else:
            self._everythingChanged()

    def _onCompositeModified(self, caller, event=None) -> None:
        self._layers.compositeChanged(caller)
        self._everythingChanged()

    def _onMaskModified(self, caller=None, event=None) -> None:
        self._input.maskChanged()
        self._everythingChanged()

    def _everythingChanged(self, caller=None, event=None) -> None:
        if not self.isOn:
            return
        if self._mode == PreviewMode.Roi:
            self._schedule.changed(ROI_KEY)
        else:
            self._schedule.changed(*(node.GetLayoutName() for node in allSliceNodes()))

    # What the schedule asks for.

    def _isFree(self) -> bool:
        return not engineClient().busy

    def _describe(self, key: str) -> PreviewRequest | None:
        try:
            request = self._request(key)
        except Exception:
            self._layers.remove(key)
            raise
        if request is None:
            self._layers.remove(key)
        else:
            self._layers.show(key, self._context.volumeNode)
        return request

    def _request(self, key: str) -> PreviewRequest | None:
        """What a view wants to show now; None if nothing. Raises MedGANError: it cannot."""
        context = self._context
        if not self.isOn or context.volumeNode.GetImageData() is None:
            return None
        if key == ROI_KEY:
            region = self._regionOfRoi()
        else:
            sliceNode = self._layers.views(context.volumeNode).get(key)
            if sliceNode is None:
                return None
            region = sliceRegion(sliceNode, context.volumeNode)
        if region is None:
            return None
        if region.voxels > MAX_VOXELS:
            message = _(
                "This view would need {count} million voxels: rotate it to the volume plane, zoom in, or preview a ROI."
            )
            raise InputError(message.format(count=round(region.voxels / 1e6)))
        subject = (*context.model, stampOf(context.volumeNode))
        return PreviewRequest(region, subject, (context.options, context.device, self._input.maskVersion))

    def _regionOfRoi(self):
        if self._roi is None or self._roi.GetScene() is None:
            raise InputError(_("Choose or create the ROI to preview."))
        region = roiRegion(self._roi, self._context.volumeNode)
        if region is None:
            raise InputError(_("The ROI lies outside of the source volume; move it onto the volume."))
        return region

    def _start(self, key: str, request: PreviewRequest):
        context = self._context
        self._checkRequirements(context.bundle)
        mask = self._input.mask(context.volumeNode, context.mask)
        regionMask = RegionMask(mask, request.region) if mask is not None else None
        keepsSource = context.bundle.manifest.result().keeps_source
        job = engineClient().apply(
            self._input.held(context.volumeNode),
            context.bundle,
            device=context.device,
            options=context.options,
            region=request.region,
            consume=partial(self._take, key, request, regionMask, keepsSource),
            on_done=partial(self._onDone, key, request),
        )
        if regionMask is not None:
            regionMask.weight  # noqa: B018 - computed now, while the worker is busy
        return job

    def _checkRequirements(self, bundle) -> None:
        try:
            self._requirements.check(bundle)
        except MedGANError as error:
            self._clear()
            self._refusal = str(error)
            raise

    def _take(self, key: str, request: PreviewRequest, mask, keepsSource: bool, result) -> bool:
        """Show a result while it lies in shared memory. Returns whether it is shown."""
        wanted = self._request(key)
        if wanted is None or not request.meets(wanted):
            return False
        source = self._context.volumeNode
        prepared = Prepared.of(source, result.volume, {}, mask, keepsSource, region=request.region)
        self._layers.write(key, source, self._logic.gate, prepared.image, prepared.sameUnits)
        return True

    def _onDone(self, key: str, request: PreviewRequest, job) -> None:
        if job.error is not None and not isinstance(job.error, Cancelled):
            self._layers.remove(key)
        self._schedule.finished(key, request, job.error, shown=job.error is None and job.result())

    def _report(self) -> None:
        self._onStatus(self._refusal or (self._schedule.status if self.isOn else ""))

    def _clear(self) -> None:
        """Nothing is shown, computed or kept in memory any more."""
        self._schedule.forget()
        self._layers.clear()
        self._input.release()
