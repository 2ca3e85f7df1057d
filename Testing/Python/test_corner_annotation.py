"""SYNTHETIC in the slice views that show a synthetic volume, and in no other."""

import unittest

import slicer
import vtk
from MedGANSynthesisLib.preview.CornerAnnotation import CornerAnnotation
from preview_fixtures import composite, showIn
from slicer_fixtures import addVolume, processEventsUntil, randomArray

VIEWS = ("Red", "Green", "Yellow")


def props(name):
    """All annotations of a slice view that are drawn over it, Slicer's own included."""
    sliceView = slicer.app.layoutManager().sliceWidget(name).sliceView()
    renderers = sliceView.renderWindow().GetRenderers()
    found = []
    for index in range(renderers.GetNumberOfItems()):
        collection = renderers.GetItemAsObject(index).GetViewProps()
        found += [collection.GetItemAsObject(number) for number in range(collection.GetNumberOfItems())]
    return [prop for prop in found if prop.IsA("vtkCornerAnnotation")]


def isMarked(name):
    """Whether the word stands in a corner of the view."""
    return any("SYNTHETIC" in (prop.GetText(corner) or "") for prop in props(name) for corner in range(4))


class CornerAnnotationTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.before = {name: len(props(name)) for name in VIEWS}
        self.annotation = CornerAnnotation()
        self.addCleanup(self.annotation.cleanup)
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
        self.annotation.cleanup()
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


if __name__ == "__main__":
    unittest.main()
