"""The layout and the slice views as Slicer documents them (slicer-facts.md, section 5; qMRMLLayoutManager.h)."""

import unittest

import numpy as np
import slicer
import vtk


class LayoutTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.manager = slicer.app.layoutManager()
        before = self.manager.layout
        self.addCleanup(lambda: self.manager.setLayout(before))
        self.manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def mapped(self):
        names = self.manager.sliceViewNames()
        return {name for name in names if self.manager.sliceWidget(name).mrmlSliceNode().IsMappedInLayout()}

    def testSignalAndProperty(self):
        received = []
        self.assertIs(self.manager.connect("layoutChanged(int)", received.append), True)
        self.addCleanup(lambda: self.manager.disconnect("layoutChanged(int)", received.append))
        red = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
        self.manager.setLayout(red)
        self.assertEqual((received[-1], self.manager.layout), (red, red))
        self.assertEqual(self.mapped(), {"Red"})
        self.manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.assertEqual(self.mapped(), {"Red", "Green", "Yellow"})

    def testLayoutWithMoreSliceViews(self):
        self.manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView)
        self.assertLessEqual({"Red", "Green", "Yellow", "Red+"}, set(self.manager.sliceViewNames()))
        widget = self.manager.sliceWidget("Red+")
        self.assertIs(widget.mrmlSliceNode().IsMappedInLayout(), True)
        self.assertIs(widget.sliceLogic().GetSliceNode(), widget.mrmlSliceNode())

    def testViewsOutliveTheScene(self):
        view = self.manager.sliceWidget("Red").sliceView()
        slicer.mrmlScene.Clear(0)
        self.assertIs(self.manager.sliceWidget("Red").sliceView(), view)
        self.assertIs(self.manager.sliceWidget("Red").mrmlSliceNode().IsMappedInLayout(), True)
        self.assertEqual(self.manager.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


class SliceViewTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.widget = slicer.app.layoutManager().sliceWidget("Red")

    def testAnnotationAndRenderers(self):
        view = self.widget.sliceView()
        annotation = view.cornerAnnotation()
        self.assertIsInstance(annotation, vtk.vtkCornerAnnotation)
        before = annotation.GetText(3)
        self.addCleanup(lambda: annotation.SetText(3, before or ""))
        annotation.SetText(3, "mark")
        self.assertIs(view.cornerAnnotation(), annotation)
        self.assertEqual(view.cornerAnnotation().GetText(3), "mark")
        self.assertIsInstance(self.widget.overlayCornerAnnotation(), vtk.vtkCornerAnnotation)
        self.assertIsInstance(view.renderWindow().GetRenderers().GetFirstRenderer(), vtk.vtkRenderer)
        self.assertIsNone(view.scheduleRender())
        self.assertIs(view.mrmlSliceNode(), self.widget.mrmlSliceNode())

    def testCoordinates(self):
        view, node = self.widget.sliceView(), self.widget.mrmlSliceNode()
        expected = node.GetXYToRAS().MultiplyPoint((3.0, 4.0, 0.0, 1.0))[:3]
        ras = view.convertXYZToRAS([3.0, 4.0, 0.0])
        np.testing.assert_allclose(ras, expected)
        np.testing.assert_allclose(view.convertRASToXYZ(ras), [3.0, 4.0, 0.0], atol=1e-6)

    def testSliceImageShowsTheVolume(self):
        array = np.zeros((9, 9, 9), np.int16)
        array[4] = 100  # the axial slice in the middle
        volume = slicer.util.addVolumeFromArray(array)
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevelMinMax(0, 100)
        slicer.util.setSliceViewerLayers(background=volume, foreground=None, label=None, fit=True)
        logic = self.widget.sliceLogic()
        brightest = []
        for offset in (4.0, 2.0):
            logic.SetSliceOffset(offset)
            producer = logic.GetImageDataConnection().GetProducer()
            producer.Update()
            image = producer.GetOutputDataObject(0)
            brightest.append(image.GetPointData().GetScalars().GetRange(0)[1])
        self.assertGreater(brightest[0], 250)
        self.assertEqual(brightest[1], 0)

    def testRenderAll(self):
        slicer.util.forceRenderAllViews()
        slicer.util.setSliceViewerLayers(background=None, foreground=None)
        self.assertIsNone(self.widget.mrmlSliceCompositeNode().GetBackgroundVolumeID())
