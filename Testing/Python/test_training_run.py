"""A training from the panel, with a real process: started, followed, paused, stopped, killed and found again."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import evaluation_fixtures
import numpy as np
import slicer
from client_fixtures import python_environment
from medgan.run_folder import Run
from medgan.run_request import Request
from MedGANTrainingLib.run.RunSection import RunSection
from MedGANTrainingLib.run.TrainingRun import TrainingRun, freeFolder, runs
from MedGANTrainingLib.TrainingLogic import TrainingLogic
from MedGANTrainingLib.TrainingParameterNode import TrainingParameterNode
from slicer_fixtures import nodeIDs, processEventsUntil
from training_run_fixtures import column, ijkToRas

TORCH = importlib.util.find_spec("torch") is not None
NEEDS_TORCH = unittest.skipUnless(TORCH, "a training needs PyTorch in the process that trains")
LONG = {"epochs": 5000}
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has only the latter, and kills
START = """
import json, sys
from medgan.run_folder import Run
from medgan.run_request import Request
Run(sys.argv[1]).start(Request("denoise-ct", sys.argv[2], device="cpu", parameters=json.loads(sys.argv[3])))
"""
KNOWN = """
from medgan.runs import known_runs
for run in known_runs():
    print(run.state, run.folder)
"""


class RunTest(unittest.TestCase):
    """A section, a dataset of discs, and a registry of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp()).resolve()
        cls.before = {name: os.environ.get(name) for name in ("MEDGAN_RUNS", "MEDGAN_MODELS")}
        os.environ |= {"MEDGAN_RUNS": str(cls.folder / "runs.json"), "MEDGAN_MODELS": str(cls.folder / "models")}
        if TORCH:
            from training_fixtures import TINY, tiny_dataset

            cls.tiny = TINY
            tiny_dataset(cls.folder / "dataset")

    @classmethod
    def tearDownClass(cls):
        for name, value in cls.before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.changes = []
        self.section = self.newSection()
        self.ui, self.parameters = self.section.ui, self.section.parameters

    def tearDown(self):
        self.section.setParameterNode(None)
        self.section.cleanup()
        for run in runs():
            if run.status.live and run.status.pid:
                os.kill(run.status.pid, KILL)
                self.assertTrue(processEventsUntil(lambda run=run: not run.status.live))
        Path(os.environ["MEDGAN_RUNS"]).unlink(missing_ok=True)

    def newSection(self):
        """A section that shows and follows a parameter node, as the panel makes it do."""
        section = RunSection(TrainingLogic(), lambda: self.changes.append(1))
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        section.setParameterNode(TrainingParameterNode(node))
        node.AddObserver("ModifiedEvent", lambda caller, event: section.parameters and section.update())
        self.addCleanup(section.widget.delete)
        return section

    def choose(self, folder, **parameters):
        """What the other sections, and the user, choose before a training."""
        self.section.parameters.datasetFolder = str(self.folder / "dataset")
        self.section.parameters.device = "cpu"
        self.section.parameters.parametersJson = json.dumps({**self.tiny, **parameters})
        self.section.parameters.runFolder = str(self.folder / folder)

    def start(self, folder, **parameters):
        self.choose(folder, **parameters)
        self.assertTrue(self.ui.startButton.enabled, self.ui.startButton.toolTip)
        self.ui.startButton.click()
        self.assertNotIn("!</b>", self.ui.statusLabel.text)
        return self.section.run

    def waitFor(self, *states, steps=0):
        """Let the application run until the run is in one of the states and has made so many steps."""
        run = self.section.run

        def there():
            return run.state in states and run.status.step >= steps

        self.assertTrue(processEventsUntil(there, 90), f"{run.status}, {run.log.read_text()}")
        self.section.look()

    def row(self, folder):
        """The texts of a run in the list."""
        self.section._list.refresh()
        table = self.ui.runsTableWidget
        rows = [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]
        return next((texts for texts in rows if texts[-1] == str(self.folder / folder)), None)


@NEEDS_TORCH
class FinishedRunTest(RunTest):
    """One training to its end, looked at from all sides."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.finished = cls.folder / "finished"
        logic = TrainingLogic()
        run = logic.train(cls.folder / "dataset", cls.finished, device="cpu", wait=True, **cls.tiny)
        assert run.state == "finished", run.status

    def setUp(self):
        super().setUp()
        self.choose("finished")

    def test_curvesAreThoseOfTheHistory(self):
        history = json.loads((self.finished / "history.json").read_text())
        table = self.section.pictures.plots.node("table", "epochs")
        self.assertEqual(column(table, "epoch"), [1, 2])
        for metric in ("psnr_db", "ssim"):
            for name, key in ((f"output_{metric}", "output"), (f"baseline_{metric}", "input")):
                self.assertEqual(column(table, name), [row[f"validation_{key}_{metric}"] for row in history])
        steps = self.section.pictures.plots.node("table", "steps")
        lines = [json.loads(line) for line in (self.finished / "steps.jsonl").read_text().splitlines()]
        self.assertEqual(column(steps, "l1"), [line["l1"] for line in lines])
        self.assertEqual(column(steps, "step")[-1], 12)
        titles = [self.ui.chartComboBox.itemText(index) for index in range(self.ui.chartComboBox.count)]
        self.assertEqual(titles, list(self.section.pictures.plots.titles().values()))
        self.assertIn("Adversarial losses of both networks", titles)
        self.assertIn("Validation: PSNR (dB)", titles)
        self.ui.chartComboBox.currentIndex = titles.index("Validation: PSNR (dB)")
        self.ui.showCurvesButton.click()
        shown = slicer.app.applicationLogic().GetSelectionNode().GetActivePlotChartID()
        self.assertEqual(shown, self.section.pictures.plots.node("chart", "metric-psnr_db").GetID())
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_sampleLiesWhereTheTruthLies(self):
        truth = slicer.util.loadVolume(str(self.folder / "dataset" / "images" / "validation.nrrd"))
        shape = slicer.util.arrayFromVolume(truth).shape
        middle = shape[0] // 2
        corner = [0.0, 0.0, 0.0, 1.0]
        truth_to_ras = ijkToRas(truth)
        for role in ("input", "output", "truth"):
            node = self.section.pictures.sample.node(role)
            self.assertEqual(slicer.util.arrayFromVolume(node).shape, (1, *shape[1:]))
            np.testing.assert_allclose(ijkToRas(node)[:3, :3], truth_to_ras[:3, :3], atol=1e-9)
            corner = truth_to_ras @ [0, 0, middle, 1]
            np.testing.assert_allclose(ijkToRas(node)[:3, 3], corner[:3], atol=1e-9)
        np.testing.assert_array_equal(
            slicer.util.arrayFromVolume(self.section.pictures.sample.node("truth"))[0],
            slicer.util.arrayFromVolume(truth)[middle],
        )
        self.assertFalse(self.ui.sampleCheckBox.checked)
        self.ui.sampleCheckBox.checked = True
        composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeGreen")
        self.assertEqual(composite.GetBackgroundVolumeID(), self.section.pictures.sample.node("output").GetID())
        self.assertIn("validation", self.ui.sampleLabel.text)
        self.section.setParameterNode(None)
        self.assertIsNone(composite.GetBackgroundVolumeID(), "the module was left")
        self.section.setParameterNode(self.parameters)
        self.assertEqual(composite.GetBackgroundVolumeID(), self.section.pictures.sample.node("output").GetID())
        self.ui.sampleCheckBox.checked = False
        self.assertIsNone(composite.GetBackgroundVolumeID())

    def test_looksAddNoNodesAndCleanupLeavesNone(self):
        before = nodeIDs()
        for _look in range(5):
            self.section.look()
        self.assertEqual(nodeIDs(), before)
        self.section.setParameterNode(None)
        self.section.cleanup()
        kinds = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode")
        self.assertEqual([node.GetName() for kind in kinds for node in slicer.util.getNodesByClass(kind)], [])
        kept = [nodeID for nodeID in nodeIDs() if "MedGAN" in nodeID and "ScriptedModuleNode" not in nodeID]
        self.assertEqual(kept, [])
        self.assertFalse(self.section._timer.active)

    def test_whatIsShownAndCanBeDone(self):
        self.assertIn("Finished", self.ui.statusLabel.text)
        self.assertIn("step 12 of 12", self.ui.statusLabel.text)
        self.assertIn("L1 ", self.ui.numbersLabel.text)
        self.assertIn("on cpu", self.ui.numbersLabel.text)
        self.assertEqual(self.ui.progressBar.value, 100)
        for button in (self.ui.startButton, self.ui.pauseButton, self.ui.stopButton):
            self.assertFalse(button.enabled)
        self.assertIn("New", self.ui.startButton.toolTip)
        self.assertTrue(self.ui.openFolderButton.enabled and self.ui.openPictureButton.enabled)
        self.assertTrue((self.section.run.bundle / "configs" / "metadata.json").exists())
        self.ui.newFolderButton.click()
        self.assertEqual(self.section.parameters.runFolder, str(freeFolder(self.folder / "dataset", "denoise-ct")))
        self.assertTrue(self.ui.startButton.enabled)
        self.assertIn("Not started", self.ui.statusLabel.text)

    def test_startsFromAFinishedModel(self):
        shutil.copytree(self.section.run.bundle, self.folder / "models" / "first")
        self.choose("tuned", epochs=1)
        self.section.setParameterNode(self.parameters)  # entered again
        titles = [self.ui.startFromComboBox.itemText(index) for index in range(self.ui.startFromComboBox.count)]
        self.section._models._onActivated(titles.index("denoise-ct-recommended (installed)"))
        self.assertEqual(self.section.parameters.startFrom, str(self.folder / "models" / "first"))
        self.ui.startButton.click()
        self.waitFor("finished", "failed")
        self.assertEqual(self.section.run.state, "finished", self.section.run.status.message)
        self.assertEqual(self.section.run.status.request.start_from, str(self.folder / "models" / "first"))
        self.assertGreater(len(self.changes), 0, "other sections are told of the new model")


@NEEDS_TORCH
class LiveRunTest(RunTest):
    def test_pauseReallyStopsTheStepsAndContinueGoesOn(self):
        self.start("paused", **LONG)
        self.waitFor("running", steps=1)
        self.assertFalse(self.ui.startButton.enabled)
        self.assertEqual(self.ui.pauseButton.text, "Pause")
        self.ui.pauseButton.click()
        self.waitFor("paused")
        self.assertEqual(self.ui.pauseButton.text, "Continue")
        steps = len(self.section.run.steps()["step"])
        self.section.run.wait(1.5)
        self.assertEqual(len(self.section.run.steps()["step"]), steps)
        self.assertIn("Paused", self.ui.statusLabel.text)
        self.assertEqual(self.row("paused")[1], "Paused")
        self.ui.pauseButton.click()
        self.waitFor("running", steps=self.section.run.status.step + 1)
        self.ui.stopButton.click()
        self.waitFor("stopped")
        self.assertEqual(self.ui.startButton.text, "Resume training")
        self.assertTrue(self.ui.startButton.enabled)

    def test_killedThenResumed(self):
        run = self.start("killed", **LONG)
        self.waitFor("running", steps=self.tiny["steps_per_epoch"] + 1)  # beyond the first checkpoint
        os.kill(run.status.pid, KILL)
        self.waitFor("interrupted")
        self.assertIn("Interrupted", self.ui.statusLabel.text)
        self.assertIn("last checkpoint", self.ui.statusLabel.text)
        epochs = len(run.history())
        self.assertGreater(epochs, 0)
        self.assertEqual(self.row("killed")[1], "Interrupted")
        self.section.parameters.runFolder = ""
        self.section._list.select(self.folder / "killed")
        self.assertTrue(self.ui.resumeRunButton.enabled)
        self.ui.resumeRunButton.click()
        self.assertEqual(self.section.parameters.runFolder, str(self.folder / "killed"))
        self.waitFor("running", steps=epochs * self.tiny["steps_per_epoch"] + 1)
        self.assertTrue(processEventsUntil(lambda: len(run.history()) > epochs))
        self.assertEqual([row["epoch"] for row in run.history()][: epochs + 1], list(range(1, epochs + 2)))

    def test_goesOnWhenTheModuleIsLeftAndIsFoundAgain(self):
        run = self.start("alone", **LONG)
        self.waitFor("running", steps=1)
        self.assertTrue(self.section._timer.active)
        self.section.setParameterNode(None)
        self.assertFalse(self.section._timer.active)
        before, text = run.status.step, self.ui.statusLabel.text
        self.assertTrue(processEventsUntil(lambda: run.status.step > before + 1))
        self.assertEqual(self.ui.statusLabel.text, text, "nobody looks any more")
        self.section.cleanup()
        self.assertEqual(run.state, "running")
        other = subprocess.run(
            [sys.executable, "-c", KNOWN], env=python_environment(), capture_output=True, text=True, check=True
        )
        self.assertEqual(other.stdout.split(maxsplit=1), ["running", f"{run.folder}\n"])
        fresh = self.newSection()
        self.assertEqual(fresh.ui.statusLabel.text, "")
        fresh._list.select(run.folder)
        fresh.ui.showRunButton.click()
        self.assertIn("Running", fresh.ui.statusLabel.text)
        self.assertTrue(fresh.ui.pauseButton.enabled)
        fresh.setParameterNode(None)
        fresh.cleanup()

    def test_whatEndsBeforeSlicerHasLookedIsThereToo(self):
        """Another process starts a training and is gone, as Slicer is when it was closed."""
        arguments = [str(self.folder / "closed"), str(self.folder / "dataset"), json.dumps({**self.tiny, **LONG})]
        subprocess.run([sys.executable, "-c", START, *arguments], env=python_environment(), check=True)
        self.section.setParameterNode(self.parameters)
        self.assertIn(self.row("closed")[1], ("Starting", "Running"))
        self.section._list.select(self.folder / "closed")
        self.ui.showRunButton.click()
        self.waitFor("running", steps=1)
        self.ui.stopButton.click()
        self.waitFor("stopped")
        self.section._list.select(self.folder / "closed")
        self.ui.forgetRunButton.click()
        self.assertIsNone(self.row("closed"))
        self.assertTrue((self.folder / "closed").is_dir())


class FolderTest(RunTest):
    """The folder of a run is typed, emptied, left, and comes back with another scene."""

    def newRun(self, name, **status):
        """A folder as a training that has ended leaves it."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "status.json").write_text(json.dumps({"state": "stopped", **status}))
        (folder / "checkpoint.pt").write_bytes(b"")
        return folder

    def test_aTypedFolderIsTakenOverOnce(self):
        seen = []
        self.parameters.parameterNode.AddObserver("ModifiedEvent", lambda *_event: seen.append(1))
        path = str(self.folder / "typed")
        for length in range(1, len(path) + 1):
            self.ui.runFolderPathLineEdit.currentPath = path[:length]
        self.section.update()  # what is typed stays
        self.assertEqual((self.parameters.runFolder, seen), ("", []))
        self.assertTrue(processEventsUntil(lambda: self.parameters.runFolder == path, 10))
        self.assertEqual(len(seen), 1)
        self.assertEqual(self.ui.runFolderPathLineEdit.currentPath, path)

    def test_aTypedFolderIsNotLostWhenTheModuleIsLeft(self):
        self.ui.runFolderPathLineEdit.currentPath = str(self.folder / "left")
        self.section.setParameterNode(None)
        self.assertEqual(self.parameters.runFolder, str(self.folder / "left"))

    def test_startTakesWhatIsTypedAndNotTheFolderBefore(self):
        self.parameters.runFolder = str(self.newRun("before"))
        self.ui.runFolderPathLineEdit.currentPath = ""
        self.section.start()
        self.assertEqual((self.parameters.runFolder, self.section.run), ("", None))
        self.assertIn("dataset first", self.ui.statusLabel.text)

    def test_anEmptiedFolderIsTakenOver(self):
        self.parameters.runFolder = str(self.newRun("emptied"))
        self.ui.runFolderPathLineEdit.currentPath = ""
        self.assertTrue(processEventsUntil(lambda: self.parameters.runFolder == "", 10))

    def test_nodesThatWereChangedWhileTheModuleWasLeftGetTheNumbersOfNow(self):
        """As they are after a scene was loaded that was saved earlier in the run."""
        folder = self.newRun("curves")
        rows = [{"epoch": 1, "l1": 0.5, "seconds": 1.0}, {"epoch": 2, "l1": 0.4, "seconds": 2.0}]
        (folder / "history.json").write_text(json.dumps(rows))
        self.parameters.runFolder = str(folder)
        table = self.section.pictures.plots.node("table", "epochs")
        self.section.setParameterNode(None)
        table.GetTable().RemoveRow(1)
        self.assertEqual(column(table, "epoch"), [1])
        self.section.setParameterNode(self.parameters)
        self.assertEqual(column(table, "epoch"), [1, 2])

    def test_aFinishedRunSaysHowToTrainFurther(self):
        self.parameters.runFolder = str(self.newRun("over", state="finished"))
        self.assertIn("start from its model", self.ui.startButton.toolTip)
        with self.assertRaisesRegex(Exception, "new folder and start from its model"):
            self.section.run.resume()

    @NEEDS_TORCH
    @unittest.skipIf(sys.platform == "win32", "the interpreter is a shell script here")
    def test_aProcessThatDiesAtOnceSaysWhy(self):
        """Started is the interpreter beside PythonSlicer, whose process is the one that is known."""
        folder = self.folder / "bin"
        folder.mkdir()
        for name, text in (("PythonSlicer", "echo launcher"), ("python-real", 'echo "I am $$"; echo')):
            (folder / name).write_text(f"#!/bin/sh\n{text}\nexit 1\n")
            (folder / name).chmod(0o755)
        dataset = evaluation_fixtures.denoising(self.folder / "discs")
        run = TrainingRun(self.folder / "dead")
        with mock.patch.dict(os.environ, {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}):
            pid = run.start(Request("denoise-ct", str(dataset.folder)))
        self.assertTrue(processEventsUntil(lambda: run.state == "interrupted", 30), run.status)
        self.assertTrue(run.status.message.endswith(f"{run.log} ends with: I am {pid}"), run.status.message)
        run.log.unlink()
        self.assertIn("may say why", run.status.message)


class RefusedRunTest(RunTest):
    """What cannot be done is said in one line, and nothing is started."""

    def assertRefused(self, *words):
        text = self.ui.statusLabel.text
        self.assertIn("!</b>", text)
        self.assertNotIn("<br>", text)
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(runs(), [])

    def test_noDataset(self):
        self.assertFalse(self.ui.startButton.enabled)
        self.assertIn("dataset", self.ui.startButton.toolTip)
        self.section.start()
        self.assertRefused("dataset first")

    def test_datasetThatIsGone(self):
        self.section.parameters.datasetFolder = str(self.folder / "moved")
        self.section.parameters.runFolder = str(self.folder / "run")
        self.ui.startButton.click()
        self.assertRefused("moved")

    @NEEDS_TORCH
    def test_runFolderThatIsAFile(self):
        (self.folder / "file").write_text("text")
        self.choose("file")
        self.ui.startButton.click()
        self.assertRefused("file")
        self.assertEqual((self.folder / "file").read_text(), "text")

    def test_parametersThatContradictEachOther(self):
        self.section.parameters.task = "superres-mr"
        self.section.parameters.datasetFolder = str(self.folder / "dataset")
        self.section.parameters.parametersJson = json.dumps({"noisy_labels": True, "adversarial_loss": "hinge"})
        self.ui.startButton.click()
        self.assertRefused("Noisy labels")

    @NEEDS_TORCH
    def test_datasetForAnotherTask(self):
        self.choose("run")
        self.section.parameters.task = "stain"
        self.ui.startButton.click()
        self.assertRefused("Denoise CT")

    def test_aFolderWithoutARun(self):
        self.section.parameters.runFolder = str(self.folder)
        self.assertIn("Not started", self.ui.statusLabel.text)
        self.assertEqual(self.section.pictures.plots.titles(), {})
        self.assertFalse(self.ui.sampleCheckBox.enabled or self.ui.showCurvesButton.enabled)
        with self.assertRaisesRegex(Exception, "not running"):
            TrainingRun(self.folder).pause()

    def test_warningsOfTheWatchdogAreShown(self):
        folder = self.folder / "warned"
        folder.mkdir()
        status = {"state": "stopped", "epoch": 1, "epochs": 2, "warnings": ["The generator gives back <its> input."]}
        (folder / "status.json").write_text(json.dumps(status))
        self.section.parameters.runFolder = str(folder)
        self.assertEqual(self.ui.warningsLabel.text, "Warning: The generator gives back &lt;its&gt; input.")
        self.assertEqual(Run(folder).state, "stopped")


if __name__ == "__main__":
    unittest.main()
