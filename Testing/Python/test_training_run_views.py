"""How a run is shown: curves as plot nodes, the sample in the slice views, words; from files, without a training."""

import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from medgan.run_sample import read_sample, write_sample
from medgan.run_status import RunStatus
from medgan.training_events import SampleDrawn
from MedGANTrainingLib.run.curves import chartsOf, epochColumns
from MedGANTrainingLib.run.RunPlots import ATTRIBUTE, RunPlots
from MedGANTrainingLib.run.RunSample import ROLES, VIEWS, RunSample
from MedGANTrainingLib.run.words import durationText, numbersText, progressText
from slicer_fixtures import addVolume, nodeIDs, obliqueGeometry, randomArray
from training_run_fixtures import column, ijkToRas

FIRST = {"epoch": 1, "l1": 0.5, "output_psnr_db": 30.0, "input_psnr_db": 28.0, "seconds": 1.0}
SECOND = {"epoch": 2, "l1": 0.02, "discriminator": 0.7, "generator_adversarial": 0.3, "seconds": 2.0}
RATES = {"learning_rate_generator": 5e-4, "learning_rate_discriminator": 1e-4}
METRICS = {"output_psnr_db": 35.0, "input_psnr_db": 28.0, "output_ssim": 0.9}
HISTORY = [{**FIRST, **RATES}, {**SECOND, **RATES, **METRICS}]
STEPS = {
    "step": np.arange(1.0, 5.0),
    "epoch": np.array([1.0, 1.0, 2.0, 2.0]),
    "l1": np.array([0.6, 0.5, 0.3, 0.2]),
    "discriminator": np.array([np.nan, np.nan, 0.7, 0.6]),
    "learning_rate_generator": np.full(4, 1e-3),
}


class RunPlotsTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.plots = RunPlots()

    def curves(self, key):
        """Per series of a chart: name, table column, x column."""
        chart = self.plots.node("chart", key)
        series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
        return [(one.GetName(), one.GetYColumnName(), one.GetXColumnName()) for one in series]

    def test_numbersOfTheHistoryAndTheStepsAreInTheNodes(self):
        self.assertTrue(self.plots.update(HISTORY, STEPS))
        table = self.plots.node("table", "epochs")
        self.assertEqual(column(table, "epoch"), [1, 2])
        self.assertEqual(column(table, "output_psnr_db"), [30, 35])
        self.assertEqual(column(table, "baseline_psnr_db"), [28, 28])
        np.testing.assert_array_equal(column(table, "output_ssim"), [np.nan, 0.9])
        self.assertEqual(column(table, "l1"), [0.5, 0.02])
        np.testing.assert_array_equal(
            column(self.plots.node("table", "steps"), "discriminator"), STEPS["discriminator"]
        )
        expected = ["likeness", "adversarial", "metric-psnr_db", "metric-ssim", "rates"]
        self.assertEqual(list(self.plots.titles()), expected)
        self.assertEqual(self.curves("likeness"), [("L1", "l1", "step")])
        self.assertEqual(self.curves("adversarial"), [("discriminator", "discriminator", "step")])
        generated, baseline = self.curves("metric-psnr_db")
        self.assertEqual(generated, ("Generated", "output_psnr_db", "epoch"))
        self.assertEqual(baseline, ("Baseline", "baseline_psnr_db", "epoch"))
        self.assertEqual(self.curves("metric-ssim"), [("Generated", "output_ssim", "epoch")])
        dashed = self.plots.node("series", "metric-psnr_db/baseline_psnr_db")
        self.assertEqual(dashed.GetLineStyle(), dashed.LineStyleDash)

    def test_withoutStepsLossesAreThoseOfTheEpochs(self):
        self.plots.update(HISTORY, {})
        self.assertEqual(self.curves("likeness"), [("L1", "l1", "epoch")])
        self.assertTrue(self.plots.node("chart", "likeness").GetYAxisLogScale())
        self.assertIsNone(self.plots.node("table", "steps"))

    def test_refreshedInPlace(self):
        self.plots.update(HISTORY[:1], {name: values[:2] for name, values in STEPS.items()})
        chart, table = self.plots.node("chart", "likeness"), self.plots.node("table", "steps")
        self.plots.update(HISTORY, STEPS)
        before = nodeIDs()
        for last in range(3):
            steps = {name: np.append(values, values[-1] + last + 1) for name, values in STEPS.items()}
            self.assertTrue(self.plots.update(HISTORY, steps))
            self.assertFalse(self.plots.update(HISTORY, steps))
        self.assertEqual(nodeIDs(), before)
        self.assertIs(self.plots.node("chart", "likeness"), chart)
        self.assertIs(self.plots.node("table", "steps"), table)
        self.assertEqual(column(table, "step")[-2:], [4, 7])

    def test_anotherRunTakesOverTheNodes(self):
        self.plots.update(HISTORY, STEPS)
        chart = self.plots.node("chart", "likeness")
        other = [{"epoch": 1, "cycle": 0.5, "validation_output_mae_hu": 40.0, "validation_water_mae_hu": 90.0}]
        self.plots.update(other, {})
        self.assertIs(self.plots.node("chart", "likeness"), chart)
        self.assertEqual(self.curves("likeness"), [("cycle", "cycle", "epoch")])
        self.assertEqual(list(self.plots.titles()), ["likeness", "metric-mae_hu"])
        keys = {node.GetAttribute(ATTRIBUTE) for node in slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")}
        expected = {"likeness/cycle", "metric-mae_hu/output_mae_hu", "metric-mae_hu/baseline_mae_hu"}
        self.assertEqual(keys, {f"series:{key}" for key in expected})

    def test_foundAgainInASceneThatWasSaved(self):
        self.plots.update(HISTORY, STEPS)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrml")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear(0)
            self.assertTrue(self.plots.update(HISTORY, STEPS), "the nodes are gone")
            slicer.mrmlScene.Clear(0)
            slicer.util.loadScene(path)
        before = len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode"))
        self.assertEqual(before, 5)
        RunPlots().update(HISTORY, STEPS)
        self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")), before)

    def test_aSecondSetFromAnotherSceneIsRemoved(self):
        self.plots.update(HISTORY, STEPS)
        own = {self.plots.node("chart", key).GetID() for key in self.plots.titles()}
        for className, key in (("PlotChart", "chart:likeness"), ("Table", "table:epochs")):
            slicer.mrmlScene.AddNewNodeByClass(f"vtkMRML{className}Node").SetAttribute(ATTRIBUTE, key)
        self.plots.forget()
        self.assertTrue(self.plots.update(HISTORY, STEPS))
        self.assertEqual({node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLPlotChartNode")}, own)
        tables = [node.GetAttribute(ATTRIBUTE) for node in slicer.util.getNodesByClass("vtkMRMLTableNode")]
        self.assertEqual(sorted(tables), ["table:epochs", "table:steps"])

    def test_shownInAPlotViewOnlyOnRequest(self):
        layout = slicer.util.getNodesByClass("vtkMRMLLayoutNode")[0]
        layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
        self.plots.update(HISTORY, STEPS)
        self.assertEqual(layout.GetViewArrangement(), layout.SlicerLayoutFourUpView)
        self.plots.show("metric-psnr_db")
        self.assertEqual(layout.GetViewArrangement(), layout.SlicerLayoutFourUpPlotView)
        chart = self.plots.node("chart", "metric-psnr_db")
        self.assertEqual(slicer.app.applicationLogic().GetSelectionNode().GetActivePlotChartID(), chart.GetID())
        self.plots.show("no such chart")
        layout.SetViewArrangement(layout.SlicerLayoutFourUpView)

    def test_clearLeavesNothing(self):
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "of the user")
        before = nodeIDs()
        self.plots.update(HISTORY, STEPS)
        self.plots.clear()
        self.assertEqual({nodeID for nodeID in nodeIDs() if "Plot" in nodeID or "Table" in nodeID} - before, set())
        self.assertIsNotNone(table.GetScene())

    def test_nothingToPlotYet(self):
        self.assertEqual(chartsOf({}, epochColumns([])), [])
        self.plots.update([], {})
        self.assertEqual(self.plots.titles(), {})


class RunSampleTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.sample = RunSample()
        self.addCleanup(self.sample.remove)
        self.geometry = obliqueGeometry(3)

    def draw(self, step, color=False, truth=True):
        """Write a sample as a training does; returns the images."""
        shape = (20, 30, 3) if color else (20, 30)
        rng = np.random.default_rng(step)
        images = {role: rng.uniform(0, 255, shape).astype(np.float32) for role in ROLES if truth or role != "truth"}
        geometries = {role: self.geometry.to_dict() for role in images}
        window = (0.0, 255.0) if color else (-160.0, 240.0)
        event = SampleDrawn(1, step, "case", images, "", window, None, "", geometries)
        (self.folder / "sample").mkdir(exist_ok=True)
        write_sample(self.folder, event)
        return images

    def read(self):
        return self.sample.update(read_sample(self.folder))

    def voxels(self, role):
        return slicer.util.arrayFromVolume(self.sample.node(role))[0]

    def backgrounds(self):
        composites = [slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceCompositeNode{view}") for view in VIEWS]
        return [composite.GetBackgroundVolumeID() for composite in composites]

    def test_voxelsAndGeometry(self):
        self.assertFalse(self.read(), "there is none yet")
        images = self.draw(1)
        self.assertTrue(self.read())
        for role in ROLES:
            node = self.sample.node(role)
            np.testing.assert_array_equal(self.voxels(role), images[role])
            np.testing.assert_allclose(ijkToRas(node), self.geometry.ijk_to_ras, atol=1e-9)
            display = node.GetDisplayNode()
            self.assertEqual((display.GetWindowLevelMin(), display.GetWindowLevelMax()), (-160, 240))

    def test_refreshedInPlaceAndNeverSaved(self):
        self.draw(1)
        self.read()
        nodes, before = {role: self.sample.node(role) for role in ROLES}, nodeIDs()
        images = self.draw(2)
        self.assertTrue(self.read())
        self.assertFalse(self.read(), "nothing is new")
        self.assertEqual(nodeIDs(), before)
        for role, node in nodes.items():
            self.assertIs(self.sample.node(role), node)
            np.testing.assert_array_equal(self.voxels(role), images[role])
            self.assertFalse(node.GetSaveWithScene() or node.GetDisplayNode().GetSaveWithScene())
            self.assertTrue(node.GetHideFromEditors())

    def test_colorsAndASampleWithoutTruth(self):
        self.draw(1)
        self.read()
        images = self.draw(2, color=True, truth=False)
        self.read()
        self.assertIsNone(self.sample.node("truth"))
        self.assertEqual(self.sample.node("output").GetClassName(), "vtkMRMLVectorVolumeNode")
        np.testing.assert_array_equal(self.voxels("output"), images["output"])

    def test_viewsShowItAndGetBackWhatTheyShowed(self):
        volume = addVolume(randomArray())
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        sliceNodes = [slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{view}") for view in VIEWS]
        orientations = [node.GetOrientation() for node in sliceNodes]
        offsets = [node.GetSliceOffset() for node in sliceNodes]
        self.draw(1)
        self.read()
        self.assertEqual(self.backgrounds(), [volume.GetID()] * 3, "reading alone changes no view")
        self.sample.show()
        self.assertEqual(self.backgrounds(), [self.sample.node(role).GetID() for role in ROLES])
        normal = np.abs(self.geometry.directions[:, 2])
        for node in sliceNodes:
            across = [abs(node.GetSliceToRAS().GetElement(row, 2)) for row in range(3)]
            np.testing.assert_allclose(across, normal, atol=1e-6)
        self.draw(2)
        self.read()
        self.sample.hide()
        self.assertEqual(self.backgrounds(), [volume.GetID()] * 3)
        self.assertEqual([node.GetOrientation() for node in sliceNodes], orientations)
        np.testing.assert_allclose([node.GetSliceOffset() for node in sliceNodes], offsets)

    def test_aViewThatTheUserChangedStaysAsItIs(self):
        volume, other = addVolume(randomArray()), addVolume(randomArray(seed=1))
        slicer.util.setSliceViewerLayers(background=volume)
        self.draw(1)
        self.read()
        self.sample.show()
        slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed").SetBackgroundVolumeID(other.GetID())
        self.draw(2)
        self.read()
        self.assertEqual(self.backgrounds()[0], other.GetID())
        self.sample.hide()
        self.assertEqual(self.backgrounds(), [other.GetID(), volume.GetID(), volume.GetID()])

    def test_removeLeavesNothing(self):
        before = nodeIDs()
        self.draw(1)
        self.read()
        self.sample.show()
        self.sample.remove()
        self.assertEqual(nodeIDs(), before)
        self.assertEqual(self.backgrounds(), [None] * 3)

    def test_aClosedSceneIsNoError(self):
        self.draw(1)
        self.read()
        self.sample.show()
        slicer.mrmlScene.Clear(0)
        self.sample.remove()
        self.assertTrue(self.read())
        self.assertIsNotNone(self.sample.node("output"))


class WordsTest(unittest.TestCase):
    def test_durations(self):
        said = [durationText(seconds) for seconds in (0.4, 42, 150, 7300, 200000)]
        self.assertEqual(said, ["0 s", "42 s", "2 min", "2 h 1 min", "2 d 7 h"])

    def test_whereARunIs(self):
        status = RunStatus(
            "running", epoch=2, epochs=68, step=142, steps=6800, losses={"discriminator": 0.7, "l1": 0.0148},
            learning_rates={"generator": 5e-4, "discriminator": 1e-4}, remaining_s=3725.0, device="cuda:0",
        )  # fmt: skip
        self.assertEqual(progressText(status), "Running, epoch 2 of 68, step 142 of 6800, about 1 h 2 min left")
        text = "L1 0.0148, discriminator 0.7, learning rate 0.0005 / 0.0001, on cuda:0"
        self.assertEqual(numbersText(status), text)
        self.assertEqual(progressText(RunStatus()), "Not started")


if __name__ == "__main__":
    unittest.main()
