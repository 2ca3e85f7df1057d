"""SYNTHETIC in the slice views that show a synthetic volume, and in no other."""

import shutil
import tempfile
import unittest
from pathlib import Path

import slicer
import vtk
from MedGANSynthesisLib.preview.SyntheticMark import showSyntheticMark, syntheticMark
from preview_fixtures import composite, showIn
from slicer_fixtures import addVolume, processEventsUntil, randomArray

from MedGANSynthesis import MedGANSynthesisLogic

VIEWS = ("Red", "Green", "Yellow")


def props(name):
    """(annotation, its renderer) of all annotations drawn over a slice view, Slicer's own included."""
    sliceView = slicer.app.layoutManager().sliceWidget(name).sliceView()
    renderers = sliceView.renderWindow().GetRenderers()
    found = []
    for renderer in [renderers.GetItemAsObject(index) for index in range(renderers.GetNumberOfItems())]:
        collection = renderer.GetViewProps()
        found += [(collection.GetItemAsObject(number), renderer) for number in range(collection.GetNumberOfItems())]
    return [(prop, renderer) for prop, renderer in found if prop.IsA("vtkCornerAnnotation")]


def marks(name):
    """(annotation, its renderer) where the word is written."""
    places = range(vtk.vtkCornerAnnotation.NumTextPositions)
    return [pair for pair in props(name) if any("SYNTHETIC" in (pair[0].GetText(place) or "") for place in places)]


def isMarked(name):
    """Whether the word stands over the view, once."""
    assert len(marks(name)) < 2, f"{name} is marked twice"
    return bool(marks(name))


class CornerAnnotationTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.annotation = syntheticMark().annotation
        self.addCleanup(self.annotation.setEnabled, True)
        self.annotation.setEnabled(False)
        self.before = {name: len(props(name)) for name in VIEWS}
        self.acquired = addVolume(randomArray(), name="CT")
        self.synthetic = addVolume(randomArray(), name="CT denoised")
        self.synthetic.SetAttribute("MedGAN.Note", "SYNTHETIC image")
        showIn(self.acquired)
        self.annotation.setEnabled(True)
        self.settle()

    def settle(self):
        self.assertTrue(processEventsUntil(lambda: not self.annotation._timer.active))

    def marked(self):
        self.settle()
        return [name for name in VIEWS if isMarked(name)]

    def test_backgroundAndVisibleForeground(self):
        self.assertEqual(self.marked(), [])
        composite("Red").SetBackgroundVolumeID(self.synthetic.GetID())
        self.assertEqual(self.marked(), ["Red"])
        composite("Green").SetForegroundVolumeID(self.synthetic.GetID())
        self.assertEqual(self.marked(), ["Red"], "an opacity of 0 shows nothing")
        composite("Green").SetForegroundOpacity(0.4)
        self.assertEqual(self.marked(), ["Red", "Green"])
        composite("Red").SetBackgroundVolumeID(self.acquired.GetID())
        self.assertEqual(self.marked(), ["Green"])

    def test_volumeThatBecomesSynthetic(self):
        """As when a result is written into its source, and undone."""
        self.acquired.SetAttribute("MedGAN.Note", "SYNTHETIC image")
        self.assertEqual(self.marked(), list(VIEWS))
        self.acquired.RemoveAttribute("MedGAN.Note")
        self.assertEqual(self.marked(), [])

    def test_switchingOffLeavesNoTrace(self):
        showIn(self.synthetic)
        self.assertEqual(self.marked(), list(VIEWS))
        self.annotation.setEnabled(False)
        self.assertEqual({name: len(props(name)) for name in VIEWS}, self.before)
        self.assertEqual(list(self.annotation.Observations), [])
        composite("Red").SetBackgroundVolumeID(None)
        composite("Red").SetBackgroundVolumeID(self.synthetic.GetID())
        self.assertEqual(self.marked(), [])
        self.annotation.setEnabled(True)
        self.assertEqual(self.marked(), list(VIEWS))

    def test_slicersOwnAnnotationIsNotTouched(self):
        """DataProbe writes there whenever the view changes; neither may wipe out the other."""
        own = slicer.app.layoutManager().sliceWidget("Red").sliceView().cornerAnnotation()
        own.SetText(vtk.vtkCornerAnnotation.LowerLeft, "B: CT denoised")
        showIn(self.synthetic)
        self.settle()
        self.assertEqual(own.GetText(vtk.vtkCornerAnnotation.LowerLeft), "B: CT denoised")
        for corner in range(4):
            own.SetText(corner, "")
        self.assertIn("Red", self.marked())

    def test_viewsThatCome(self):
        layout = slicer.app.layoutManager()
        before = layout.layout
        self.addCleanup(layout.setLayout, before)
        layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView)
        new = [name for name in layout.sliceViewNames() if name not in VIEWS]
        self.assertTrue(new)
        slicer.app.layoutManager().sliceWidget(new[0]).sliceLogic().GetSliceCompositeNode().SetBackgroundVolumeID(
            self.synthetic.GetID()
        )
        self.settle()
        self.assertTrue(isMarked(new[0]))
        self.annotation.setEnabled(False)
        self.assertFalse(isMarked(new[0]))

    def test_sceneClosed(self):
        showIn(self.synthetic)
        self.assertEqual(self.marked(), list(VIEWS))
        slicer.mrmlScene.Clear(0)
        self.assertEqual(self.marked(), [])
        node = addVolume(randomArray())
        node.SetAttribute("MedGAN.Note", "SYNTHETIC image")
        showIn(node)
        self.assertEqual(self.marked(), list(VIEWS))

    def test_theMarkLiesOverTheWholeViewAlsoBesideAnOrientationMarker(self):
        """The renderer of that marker lies on top, but covers a corner only."""
        showIn(self.synthetic)
        self.settle()
        ((annotation, renderer),) = marks("Red")
        self.assertEqual(renderer.GetViewport(), (0.0, 0.0, 1.0, 1.0))
        self.assertEqual(renderer.GetLayer(), 1)
        self.assertIn("SYNTHETIC", annotation.GetText(vtk.vtkCornerAnnotation.UpperEdge))

    def test_volumeWithTheIDOfOneThatIsGone(self):
        """A scene that was closed gives its IDs out again, to volumes that have to be followed as well."""
        gone = vtk.vtkWeakReference()
        gone.Set(self.acquired)
        nodeID, self.acquired = self.acquired.GetID(), None
        slicer.mrmlScene.Clear(0)
        node = addVolume(randomArray(), name="New")
        while node.GetID() != nodeID:
            node = addVolume(randomArray(), name="New")
        showIn(node)
        self.assertEqual(self.marked(), [])
        self.assertIsNone(gone.Get())
        node.SetAttribute("MedGAN.Note", "SYNTHETIC image")
        self.assertEqual(self.marked(), list(VIEWS))

    def test_viewThatGoes(self):
        """A mark is not kept under the name of a view that no slice node has any more."""
        self.annotation._add("Passing", slicer.app.layoutManager().sliceWidget("Red").sliceView())
        self.assertTrue(isMarked("Red"))
        composite("Red").Modified()
        self.assertEqual(self.marked(), [])
        self.assertEqual(self.annotation._props, {})


class SyntheticMarkTest(unittest.TestCase):
    """The mark is there from the start and follows the scene, whichever module is shown."""

    def setUp(self):
        self.addCleanup(slicer.mrmlScene.Clear, 0)
        slicer.mrmlScene.Clear(0)

    def marked(self):
        self.assertTrue(processEventsUntil(lambda: not syntheticMark().annotation._timer.active))
        return [name for name in VIEWS if isMarked(name)]

    def showSynthetic(self):
        node = addVolume(randomArray(), name="CT denoised")
        node.SetAttribute("MedGAN.Note", "SYNTHETIC image")
        showIn(node)
        return node

    def test_nobodyHasOpenedTheModule(self):
        from MedGANSynthesisLib.preview import SyntheticMark

        self.assertIsNotNone(SyntheticMark._mark, "it is made when Slicer starts")
        self.showSynthetic()
        self.assertEqual(self.marked(), list(VIEWS))

    def test_theSceneSays(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.showSynthetic()
        MedGANSynthesisLogic().getParameterNode().syntheticAnnotation = False
        path = str(folder / "scene.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear(0)
        self.showSynthetic()
        self.assertEqual(self.marked(), list(VIEWS), "marked unless the scene says otherwise")
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(path)
        showIn(slicer.util.getNode("CT denoised"))
        self.assertEqual(self.marked(), [])
        slicer.mrmlScene.Clear(0)
        self.showSynthetic()
        self.assertEqual(self.marked(), list(VIEWS))

    def test_oneMarkHoweverOftenTheModuleIsReloaded(self):
        self.showSynthetic()
        slicer.util.getModuleWidget("MedGANSynthesis")
        for _ in range(2):
            slicer.util.reloadScriptedModule("MedGANSynthesis")
            showSyntheticMark()
            self.assertEqual(self.marked(), list(VIEWS))


if __name__ == "__main__":
    unittest.main()
