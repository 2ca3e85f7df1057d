"""The pictures for the README are made of what the slice views really show. Not for a real Slicer: it needs Pillow."""

import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import qt
import slicer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Demo"))
import screenshot_figure
import screenshot_inputs


class SliceImageTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.red = slicer.app.layoutManager().sliceWidget("Red")
        self.red.mrmlSliceNode().SetOrientation("Axial")  # other tests may have turned it

    def testRowsRunFromAnteriorToPosterior(self):
        array = np.zeros((3, 20, 20), np.uint8)
        array[:, 15:, :5] = 255  # anterior, and the smallest R: the right side of the picture in radiological order
        node = slicer.util.addVolumeFromArray(array)
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevelMinMax(0, 255)
        slicer.util.setSliceViewerLayers(background=node, foreground=None, label=None, fit=True)
        self.red.sliceLogic().SetSliceOffset(1.0)
        image = screenshot_figure.sliceImage(self.red.sliceLogic())
        height, width, channels = image.shape
        self.assertEqual(channels, 3)
        self.assertGreater(image[: height // 4, 3 * width // 4 :].max(), 250)
        self.assertEqual(image[height // 2 :].max(), 0)
        self.assertEqual(image[:, : width // 2].max(), 0)

    def testTextsOfEveryCorner(self):
        annotation = self.red.sliceView().cornerAnnotation()
        self.addCleanup(lambda: annotation.SetText(2, ""))
        annotation.SetText(2, "corner")
        self.assertEqual(screenshot_figure.cornerTexts(self.red.sliceView())[2], "corner")
        annotation.SetVisibility(False)
        self.addCleanup(lambda: annotation.SetVisibility(True))
        self.assertNotIn(2, screenshot_figure.cornerTexts(self.red.sliceView()))


class ComposeTest(unittest.TestCase):
    def testPictureHoldsPanelAndSlices(self):
        from PIL import Image

        panel = qt.QPixmap(200, 300)
        panel.fill(qt.QColor(10, 200, 30))
        whole = np.zeros((100, 100, 3), np.uint8)
        whole[40:60, 40:60] = (250, 0, 0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.png"
            tiles = [("before", whole, {}), ("after", 255 - whole, {1: "SYNTHETIC"})]
            screenshot_figure.compose(panel, "title", tiles, (0.5, 0.5), path)
            with Image.open(path) as image:
                self.assertEqual(image.mode, "P")
                picture = np.asarray(image.convert("RGB")).astype(int)
        green = np.abs(picture - (10, 200, 30)).max(-1) < 12
        self.assertAlmostEqual(green.sum(), 200 * 300, delta=600)
        red = np.abs(picture - (250, 0, 0)).max(-1) < 12
        share = 0.2 * (screenshot_figure.TILE - 4)
        expected = share**2 * (1 + screenshot_figure.ENLARGED**2)
        self.assertAlmostEqual(red.sum(), expected, delta=0.1 * expected)


class InputTest(unittest.TestCase):
    def testOneCasePerEffectAndAPhantomForEach(self):
        keys = [case.key for case in screenshot_inputs.CASES]
        self.assertEqual(len(keys), len(set(keys)))
        for case in screenshot_inputs.CASES:
            with self.subTest(case=case.key):
                volume = screenshot_inputs.phantom(case.modality)
                self.assertEqual(volume.modality, case.modality)
                self.assertEqual(volume.channels, 3 if case.modality == "SM" else 1)
                self.assertGreater(volume.array.std(), 1.0)
