"""The preview in the scene: what it shows, that it follows, and that nothing of it is left behind."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import slicer
import vtk
from client_fixtures import shared_blocks
from medgan.errors import MedGANError
from medgan.options import ApplyOptions
from MedGANSynthesisLib import engineClient
from MedGANSynthesisLib.preview import PreviewController as controllerFile
from MedGANSynthesisLib.preview import PreviewRequirements as requirementsFile
from MedGANSynthesisLib.preview.PreviewLayers import PreviewLayers
from MedGANSynthesisLib.SynthesisParameterNode import PreviewMode
from preview_fixtures import TASK, PreviewCase, composite, pixels, showIn, sliceLogic, zoom
from slicer_fixtures import (
    addGridTransform,
    addLinearTransform,
    addSegment,
    addVolume,
    nodeIDs,
    obliqueGeometry,
    processEventsUntil,
    randomArray,
    voxels,
)

VIEWS = ("Red", "Green", "Yellow")


class PreviewTest(PreviewCase):
    def test_everyViewShowsItsPart(self):
        before = voxels(self.source).tobytes(), self.source.GetImageData().GetMTime()
        self.preview()
        for name in VIEWS:
            self.expect(name)
            self.assertEqual(composite(name).GetForegroundOpacity(), 1.0)
            self.assertEqual(composite(name).GetBackgroundVolumeID(), self.source.GetID())
            self.assertEqual(self.node(name).GetName(), f"MedGAN preview {name}")
            self.assertEqual(min(voxels(self.node(name)).shape), 1)
        self.assertEqual(before, (voxels(self.source).tobytes(), self.source.GetImageData().GetMTime()))
        self.assertEqual(self.statuses[-1], "")
        self.assertTrue(any("Computing" in status for status in self.statuses))

    def test_whatIsSeenIsWhatTheWholeResultShows(self):
        """The pixels of the foreground are those that the whole result has in the same view."""
        twist = addLinearTransform(np.block([[obliqueGeometry(3).directions, np.ones((3, 1))], [np.zeros(3), 1.0]]))
        for parent in (None, twist, addGridTransform(self.source)):
            self.source.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)
            output = self.logic.apply(TASK, self.source, model=self.bundles["negates"])
            for name in VIEWS:
                showIn(self.source)
                zoom(name, 1.7, (1.0, 2.0))
                self.preview()
                self.assertEqual(self.node(name).GetTransformNodeID(), self.source.GetTransformNodeID())
                seen = pixels(sliceLogic(name).GetForegroundLayer())
                self.controller.setMode(PreviewMode.Off)
                composite(name).SetForegroundVolumeID(output.GetID())
                np.testing.assert_allclose(seen, pixels(sliceLogic(name).GetForegroundLayer()), atol=100)

    def test_onlyViewsThatShowTheSource(self):
        showIn(self.source, names=("Green",))
        self.preview()
        self.expect("Green")
        self.assertIsNone(self.node("Red"))
        composite("Red").SetForegroundVolumeID(self.source.GetID())
        self.settle()
        self.expect("Red")
        composite("Green").SetBackgroundVolumeID(None)
        self.settle()
        self.assertIsNone(self.node("Green"))
        self.controller.setMode(PreviewMode.Off)
        self.assertIs(self.node("Red"), self.source)

    def test_allViewsIfNoneShowsTheSource(self):
        showIn(self.source)
        for name in VIEWS:
            composite(name).SetBackgroundVolumeID(None)
        self.preview()
        for name in VIEWS:
            self.expect(name)
            self.assertEqual(composite(name).GetBackgroundVolumeID(), self.source.GetID(), "to scroll through")
        self.controller.setMode(PreviewMode.Off)
        for name in VIEWS:
            self.assertIsNone(composite(name).GetBackgroundVolumeID())

    def test_viewsThatTheLayoutHidesAreLeftAlone(self):
        layout = slicer.app.layoutManager()
        before = layout.layout
        self.addCleanup(layout.setLayout, before)
        layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        self.preview()
        self.expect("Red")
        self.assertIsNone(self.node("Yellow"))
        layout.setLayout(before)
        self.settle()
        self.expect("Yellow")

    def test_scrollingZoomingPanning(self):
        self.preview()
        for layers in (1, 2, -4):
            self.scroll(layers)
            self.settle()
            self.expect()
        yellow = self.node("Yellow").GetImageData().GetMTime()
        zoom("Red", 2.0)
        self.scroll(1)
        zoom("Red", 1.0, (3.0, 2.0))
        self.settle()
        self.expect()
        self.assertEqual(self.node("Yellow").GetImageData().GetMTime(), yellow, "nothing has changed there")

    def test_zoomingInNeedsNothingNew(self):
        self.preview()
        before = self.node().GetImageData().GetMTime()
        zoom("Red", 3.0)
        self.settle()
        self.assertEqual(self.node().GetImageData().GetMTime(), before)

    def test_whatIsShownStaysUntilThereIsSomethingNewer(self):
        showIn(self.source, names=("Red",))
        self.preview("slow")
        node = self.node()
        for strength in (0.9, 0.8, 0.7):
            self.controller.setContext(None, self.bundles["slow"], self.source, ApplyOptions(strength=strength))
            self.assertTrue(processEventsUntil(lambda: "Computing" in self.statuses[-1]))
            self.assertIs(self.node(), node)
        self.controller.suspend()
        self.assertIs(self.node(), node)
        self.controller.resume()
        self.settle()
        self.assertIs(self.node(), node)
        self.expect(strength=0.7)

    def test_thirtyScrollsOfAHurry(self):
        showIn(self.source, names=("Red",))
        self.preview("slow")
        pid = engineClient.engineClient().worker_pid
        for step in range(30):
            self.scroll(1 if step % 12 < 6 else -1)
            slicer.app.processEvents()
        self.scroll(-2)
        self.settle()
        self.expect("Red")
        self.assertEqual(engineClient.engineClient().worker_pid, pid, "dropping ends no process")

    def test_aResultIsNotShownWhereTheViewIsNoMore(self):
        self.preview("slow")
        shown = self.node().GetImageData().GetMTime()
        self.scroll(1)
        self.assertTrue(processEventsUntil(lambda: "Computing" in self.statuses[-1]))
        request = self.controller._request("Red")
        self.scroll(3)
        self.assertFalse(self.controller._take("Red", request, None, True, None))
        self.assertEqual(self.node().GetImageData().GetMTime(), shown)
        self.settle()
        self.expect()

    def test_optionsAndModel(self):
        self.preview()
        for strength in (0.5, 0.25):
            self.preview(strength=strength)
            for name in VIEWS:
                self.expect(name, strength)
        self.preview("fails")
        self.assertIn("Refused", self.statuses[-1])
        self.assertIsNone(self.node())
        self.preview()
        self.assertEqual(self.statuses[-1], "")
        self.expect()

    def test_anErrorIsToldOnceAndNotTriedAgain(self):
        showIn(self.source, names=("Red",))
        self.preview("fails")
        self.assertEqual(self.statuses[-1], "Refused 1 times.")
        for _ in range(3):
            self.preview("fails")
            composite("Red").Modified()
            self.settle()
        self.assertEqual(self.statuses[-1], "Refused 1 times.")
        self.scroll(1)
        self.settle()
        self.assertEqual(self.statuses[-1], "Refused 2 times.")

    def test_editedSource(self):
        self.preview()
        held = shared_blocks()
        slicer.util.arrayFromVolume(self.source)[...] //= 2
        slicer.util.arrayFromVolumeModified(self.source)
        self.settle()
        self.expect()
        self.source.SetSpacing(1.0, 2.0, 3.0)
        self.settle()
        self.expect()
        self.assertLessEqual(len(shared_blocks()), len(held), "what was held before is released")

    def test_sourceThatIsMovedByATransform(self):
        self.preview()
        shift = addLinearTransform(np.array([[1.0, 0, 0, 2], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]]))
        self.source.SetAndObserveTransformNodeID(shift.GetID())
        self.settle()
        self.assertEqual(self.node().GetTransformNodeID(), shift.GetID())
        self.expect()
        self.source.SetAndObserveTransformNodeID(None)
        self.settle()
        self.assertIsNone(self.node().GetTransformNodeID())

    def test_colorVolumes(self):
        self.source = addVolume(randomArray((1, 30, 40, 3), np.uint8), hounsfield=False)
        showIn(self.source, names=("Red",))
        color = self.bundles["negates"].create_identity(Path(self.folder) / "color", task="stain", channels=3)
        self.preview(color)
        self.assertEqual(self.node().GetClassName(), "vtkMRMLVectorVolumeNode")
        self.assertEqual(voxels(self.node()).shape, (1, 30, 40, 3))


class PreviewOfRoiTest(PreviewCase):
    def test_oneNodeInAllViews(self):
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        bounds = [0.0] * 6
        self.source.GetRASBounds(bounds)
        roi.SetCenter([(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)])
        roi.SetSize(8.0, 9.0, 7.0)
        self.preview(mode=PreviewMode.Roi, roiNode=roi)
        node = self.node("Red")
        self.assertTrue(all(self.node(name) is node for name in VIEWS))
        region = self.controller._request("ROI").region
        np.testing.assert_array_equal(voxels(node), -voxels(self.source)[region.slices].astype(int).clip(-32767))
        before = node.GetImageData().GetMTime()
        self.scroll(2)
        self.settle()
        self.assertEqual(node.GetImageData().GetMTime(), before, "scrolling needs nothing new")
        roi.SetSize(12.0, 9.0, 9.0)
        self.settle()
        self.assertGreater(voxels(node).size, region.voxels)
        roi.SetCenter(1000.0, 0.0, 0.0)
        self.settle()
        self.assertIn("outside", self.statuses[-1])
        self.assertIsNone(self.node())
        slicer.mrmlScene.RemoveNode(roi)
        self.settle()
        self.assertIn("Choose or create", self.statuses[-1])


class PreviewMaskTest(PreviewCase):
    def mask(self, softEdgeMm, **more):
        inside = np.zeros((12, 20, 26), bool)
        inside[3:9, 5:15, 8:20] = True
        segmentation, segmentID = addSegment(self.source, inside)
        return {"segmentationNode": segmentation, "segmentID": segmentID, "softEdgeMm": softEdgeMm, **more}

    def expectAsApplied(self, mask, **options):
        """Voxel by voxel; within a soft edge up to the rounding of distances."""
        output = self.logic.apply(TASK, self.source, model=self.bundles["negates"], **options, **mask)
        for name in VIEWS:
            seen, applied = voxels(self.node(name)).astype(int), voxels(output)[self.region(name).slices]
            np.testing.assert_allclose(seen, applied, rtol=0, atol=1 if mask.get("softEdgeMm") else 0)

    def test_hardAndSoftEdges(self):
        for softEdgeMm in (0.0, 1.0, 4.7, 30.0):
            for mode in ("inside", "outside"):
                mask = self.mask(softEdgeMm, maskMode=mode)
                for layers in (2, -2):
                    self.scroll(layers)
                    self.preview(mask=mask, strength=0.7)
                    self.expectAsApplied(mask, strength=0.7)

    def test_intensityRange(self):
        mask = {"intensityRange": (-500.0, 20000.0), "softEdgeMm": 2.0}
        self.preview(mask=mask)
        self.expectAsApplied(mask)

    def test_editingTheSegment(self):
        mask = self.mask(0.0)
        self.preview(mask=mask)
        larger = np.zeros((12, 20, 26), np.uint8)
        larger[1:11, 2:18, 3:24] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            larger, mask["segmentationNode"], mask["segmentID"], self.source
        )
        self.settle()
        self.expectAsApplied(mask)

    def test_aMaskThatIsEmpty(self):
        self.preview(mask={"intensityRange": (1e6, 2e6)})
        self.assertIn("intensity range", self.statuses[-1])
        self.assertIsNone(self.node())


class PreviewAroundTest(PreviewCase):
    """What was there before, and what happens around the preview."""

    def test_foregroundIsRestored(self):
        other = addVolume(randomArray(), name="Other")
        composite("Red").SetForegroundVolumeID(other.GetID())
        composite("Red").SetForegroundOpacity(0.3)
        self.preview()
        self.expect()
        self.controller.setMode(PreviewMode.Off)
        self.assertIs(self.node("Red"), other)
        self.assertEqual(composite("Red").GetForegroundOpacity(), 0.3)
        self.assertIsNone(self.node("Green"))
        self.assertEqual(composite("Green").GetForegroundOpacity(), 0.0)

    def test_foregroundThatIsGoneMeanwhile(self):
        other = addVolume(randomArray(), name="Other")
        composite("Red").SetForegroundVolumeID(other.GetID())
        self.preview()
        slicer.mrmlScene.RemoveNode(other)
        self.controller.setMode(PreviewMode.Off)
        self.assertIsNone(self.node("Red"))

    def test_foregroundTheUserChooses(self):
        other = addVolume(randomArray(), name="Other")
        self.preview()
        composite("Red").SetForegroundVolumeID(other.GetID())
        self.scroll(1)
        self.settle()
        self.assertIs(self.node("Red"), other)
        self.expect("Green")
        self.controller.setMode(PreviewMode.Off)
        self.assertIs(self.node("Red"), other)
        self.preview()
        self.expect("Red")

    def test_beforeAndAfter(self):
        self.preview()
        mtime = self.node().GetImageData().GetMTime()
        self.controller.setOpacity(0.6)
        self.controller.showSource(True)
        self.assertEqual(composite("Red").GetForegroundOpacity(), 0.0)
        self.scroll(1)
        self.settle()
        self.expect()
        self.assertEqual(composite("Red").GetForegroundOpacity(), 0.0)
        mtime = self.node().GetImageData().GetMTime()
        self.controller.showSource(False)
        self.assertEqual(composite("Red").GetForegroundOpacity(), 0.6)
        composite("Red").SetForegroundOpacity(0.2)
        self.controller.setOpacity(0.6)
        self.controller.showSource(False)
        self.assertEqual(composite("Red").GetForegroundOpacity(), 0.2, "what is set in the view stays")
        self.settle()
        self.assertEqual(self.node().GetImageData().GetMTime(), mtime, "nothing was computed for it")

    def test_windowAndLevel(self):
        self.preview()
        source, shown = self.source.GetDisplayNode(), self.node().GetDisplayNode()
        self.assertEqual((shown.GetWindow(), shown.GetLevel()), (350.0, 40.0))
        source.SetWindowLevel(1500.0, -500.0)
        self.assertEqual((shown.GetWindow(), shown.GetLevel()), (1500.0, -500.0))
        shown.SetWindowLevel(80.0, 35.0)  # the mouse adjusts the foreground
        self.assertEqual((source.GetWindow(), source.GetLevel()), (80.0, 35.0))
        self.assertEqual(self.node("Green").GetDisplayNode().GetWindow(), 80.0)
        self.assertFalse(shown.GetAutoWindowLevel())

    def test_displayedIsThePreviewWhateverBecomesOfTheDisplay(self):
        """Taking over the look of the source must not take over its voxels."""
        self.preview()
        source = self.source.GetDisplayNode()
        for change in (lambda: source.SetWindowLevel(1500.0, -500.0), lambda: source.SetInterpolate(False)):
            change()
            for name in VIEWS:
                node, display = self.node(name), self.node(name).GetDisplayNode()
                self.assertEqual(display.GetInterpolate(), source.GetInterpolate())
                connection = display.GetInputImageDataConnection()
                connection.GetProducer().Update()
                shown = connection.GetProducer().GetOutputDataObject(connection.GetIndex())
                self.assertEqual(shown.GetDimensions(), node.GetImageData().GetDimensions())
                self.assertEqual(shown.GetScalarRange(), node.GetImageData().GetScalarRange())
                self.assertNotEqual(shown.GetDimensions(), self.source.GetImageData().GetDimensions())

    def test_noEditorAndNoFileSeesIt(self):
        self.preview()
        hierarchy, node = slicer.mrmlScene.GetSubjectHierarchyNode(), self.node()
        self.assertTrue(node.GetHideFromEditors())
        self.assertEqual(hierarchy.GetItemByDataNode(node), hierarchy.GetInvalidItemID())
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrml")
            slicer.mrmlScene.SetURL(path)
            self.assertTrue(slicer.mrmlScene.Commit(path))
            text = Path(path).read_text()
        self.assertIn('name="CT"', text)
        self.assertNotIn("MedGAN preview", text)
        self.assertNotIn(node.GetDisplayNode().GetID() + '"', text)

    def test_idsOfThePreviewAreNeverThoseOfOtherVolumes(self):
        self.preview()
        previews = {self.node(name).GetID() for name in VIEWS}
        self.controller.setMode(PreviewMode.Off)
        others = {addVolume(randomArray()).GetID() for _ in range(5)}
        self.assertFalse(previews & others)

    def test_suspendedWhileJobsRun(self):
        self.preview()
        self.controller.suspend()
        shown = self.node().GetImageData().GetMTime()
        self.scroll(1)
        job = self.logic.apply(TASK, self.source, model=self.bundles["slow"], wait=False)
        self.assertTrue(processEventsUntil(lambda: job.finished))
        self.assertIn("waits", self.statuses[-1])
        self.assertEqual(self.node().GetImageData().GetMTime(), shown)
        self.controller.resume()
        self.settle()
        self.expect()

    def test_jobsFromElsewhereComeFirst(self):
        self.preview()
        job = self.logic.apply(TASK, self.source, model=self.bundles["slow"], wait=False)
        self.scroll(1)
        self.assertTrue(processEventsUntil(lambda: "waits" in self.statuses[-1]))
        self.assertFalse(job.finished)
        self.settle()
        self.assertEqual(job.state, "done")
        self.expect()

    def test_aWorkerThatDies(self):
        self.preview()
        os.kill(engineClient.engineClient().worker_pid, 9)
        self.scroll(1)
        self.settle()
        self.expect()

    def test_anEngineThatIsStopped(self):
        self.preview()
        self.logic.stopEngine()
        self.scroll(1)
        self.settle()
        self.expect()

    def test_sourceDeleted(self):
        before = shared_blocks()
        self.preview()
        slicer.mrmlScene.RemoveNode(self.source)
        self.settle()
        self.assertIsNone(self.node())
        self.assertEqual(self.previews(), [])
        self.assertLessEqual(len(shared_blocks()), len(before) + 1, "one block of the pool may wait to be used again")

    def test_sceneClosedWhileComputing(self):
        self.preview("slow")
        self.scroll(1)
        self.assertTrue(processEventsUntil(lambda: "Computing" in self.statuses[-1]))
        slicer.mrmlScene.Clear(0)
        self.settle()
        self.assertEqual(self.previews(), [])
        for name in VIEWS:
            self.assertIsNone(composite(name).GetForegroundVolumeID())
        self.source = addVolume(randomArray((12, 20, 26)))
        showIn(self.source)
        self.preview()
        self.expect()

    def test_cleanupLeavesNothing(self):
        ids = nodeIDs()
        self.preview()
        self.controller.cleanup()
        self.assertEqual(nodeIDs(), ids)
        self.assertEqual(len(list(self.controller.Observations)), 0)
        self.scroll(1)
        self.assertFalse(self.controller._schedule._timer.active)
        self.logic.stopEngine()
        self.assertEqual(shared_blocks(), set())

    def test_switchedOffItHoldsNoNode(self):
        mask = {"roiNode": slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")}
        references = [vtk.vtkWeakReference() for _ in range(2)]
        for reference, node in zip(references, (self.source, mask["roiNode"]), strict=True):
            reference.Set(node)
        self.preview(mask=mask)
        self.controller.setMode(PreviewMode.Off)
        self.source = node = None
        mask.clear()
        slicer.mrmlScene.Clear(0)
        self.settle()
        self.assertEqual([reference.Get() for reference in references], [None, None])

    def test_switchingOffAndOn(self):
        ids = nodeIDs()
        for _ in range(3):
            self.preview()
            self.controller.setMode(PreviewMode.Off)
            self.assertEqual(nodeIDs(), ids)

    def previews(self):
        nodes = slicer.util.getNodesByClass("vtkMRMLVolumeNode")
        return [node.GetName() for node in nodes if node.GetName().startswith("MedGAN preview")]


class PreviewRefusalsTest(PreviewCase):
    def test_tooLarge(self):
        showIn(self.source, names=("Red",))
        with mock.patch.object(controllerFile, "MAX_VOXELS", 100):
            self.preview()
        self.assertIn("rotate it to the volume plane", self.statuses[-1])
        self.assertIsNone(self.node())

    def test_declinedInstallation(self):
        asked = []

        def decline(bundle=None):
            asked.append(bundle)
            raise MedGANError("PyTorch was not installed: it was declined")

        trained, other = self.trained("0"), self.trained("1")
        with mock.patch.object(requirementsFile, "ensureEngineDependencies", decline):
            for _ in range(3):
                self.preview(trained)
            self.assertEqual(len(asked), 1, "the panel repeats itself, the question must not")
            self.assertFalse(self.controller.isOn)
            self.assertIn("declined", self.statuses[-1])
            self.controller.setMode(PreviewMode.Off)
            self.preview(trained)
            self.assertEqual(len(asked), 2, "switching it on is asking again")
            self.preview(other)
            self.preview(other)
            self.assertEqual(len(asked), 3, "and so is choosing another model")
        self.controller.setMode(PreviewMode.Off)
        self.preview(trained)
        self.expect()

    def test_nobodyIsAskedWhenItComesOnByItself(self):
        """As when a scene is opened or the module is entered."""
        trained, other = self.trained("0"), self.trained("1")
        missing = mock.patch.object(requirementsFile, "engineDependenciesInstalled", return_value=False)
        asking = mock.patch.object(requirementsFile, "ensureEngineDependencies", side_effect=MedGANError("declined"))
        with missing, asking as asked:
            self.controller.setContext(None, trained, self.source, ApplyOptions())
            self.controller.setMode(PreviewMode.VisibleSlices, byUser=False)
            self.settle()
            self.scroll(1)
            self.settle()
            asked.assert_not_called()
            self.assertIn("switch the preview off and on", self.statuses[-1])
            self.controller.setContext(None, other, self.source, ApplyOptions())
            self.settle()
            asked.assert_called_once()
            self.assertEqual(self.statuses[-1], "declined")
            self.controller.setMode(PreviewMode.Off)
        with asking as asked:
            self.controller.setContext(None, trained, self.source, ApplyOptions())
            self.controller.setMode(PreviewMode.VisibleSlices, byUser=False)
            self.settle()
            asked.assert_not_called()
            self.expect()

    def trained(self, sha256):
        """The model that negates, as one that needs PyTorch."""
        bundle = self.bundles["negates"]
        trained = mock.Mock(wraps=bundle, path=bundle.path, sha256=sha256)
        trained.manifest = mock.Mock(wraps=bundle.manifest, is_identity=False, generator="recipe")
        return trained

    def test_withoutContextOrMode(self):
        self.controller.setMode(PreviewMode.VisibleSlices)
        self.controller.setContext(None, None, self.source, ApplyOptions())
        self.settle()
        self.assertIsNone(self.node())
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        self.controller.setContext(None, self.bundles["negates"], empty, ApplyOptions())
        self.settle()
        self.assertIsNone(self.node())

    def test_withoutAWord(self):
        """Errors of the programmer reach the log and the status, not the event loop."""
        bug = mock.patch.object(PreviewLayers, "views", side_effect=RuntimeError("a bug"))
        with bug, self.assertLogs(level="ERROR"):
            self.preview()
        self.assertEqual(self.statuses[-1], "a bug")


if __name__ == "__main__":
    unittest.main()
