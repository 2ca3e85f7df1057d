"""The plan of a training: every parameter in a form, kept with the scene, and measured on the images there are."""

import importlib.util
import json
import shutil
import tempfile
import unittest
from pathlib import Path

import slicer
from medgan import recipes
from MedGANTrainingLib.plan import groups
from MedGANTrainingLib.plan.overrides import contradiction, readOverrides, settings, writeOverrides
from MedGANTrainingLib.plan.ParameterRow import asText
from MedGANTrainingLib.plan.PlanSection import PlanSection
from MedGANTrainingLib.TrainingLogic import TrainingLogic
from MedGANTrainingLib.TrainingParameterNode import TrainingParameterNode
from slicer_fixtures import processEventsUntil

TORCH = importlib.util.find_spec("torch") is not None


def newParameterNode():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    return TrainingParameterNode(node)


class PlanSectionTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.section = PlanSection(TrainingLogic(), lambda: None)
        self.ui, self.form = self.section.ui, self.section.form
        self.table = self.ui.planTableWidget
        self.addCleanup(self.leave)
        self.enter(newParameterNode())

    def enter(self, parameters):
        """What the panel does: show the node and follow it."""
        self.parameters = parameters
        self.section.setParameterNode(parameters)
        node = parameters.parameterNode
        tag = node.AddObserver("ModifiedEvent", lambda caller, event: self.section.parameters and self.section.update())
        self.addCleanup(node.RemoveObserver, tag)

    def leave(self):
        self.section.setParameterNode(None)
        self.section.cleanup()
        self.section.widget.delete()

    def type(self, name, text):
        """Type into the line of a parameter."""
        editor = self.form.rows[name].editor
        editor.text = text
        editor.editingFinished.emit()

    def stored(self):
        return json.loads(self.parameters.parametersJson or "{}")

    def test_everyParameterOfEveryTaskIsInExactlyOneGroup(self):
        for index, task in enumerate(recipes.names()):
            self.section._onTask(index)
            recipeClass = recipes.recipe_class(task)
            self.assertEqual(self.parameters.task, task)
            self.assertEqual(set(self.form.rows), {field.name for field in groups.described(recipeClass)})
            preset = recipes.get(task)
            for name, row in self.form.rows.items():
                self.assertEqual(row.value, getattr(preset, name), (task, name))
                self.assertTrue(row.editor.toolTip, (task, name))
                self.assertIs(row.editor.window(), self.section.widget.window())
            shown = {group: [n for n in self.form.rows if groups.groupOf(n) == group] for group in groups.groupTitles()}
            self.assertEqual(sum(map(len, shown.values())), len(self.form.rows))
            self.assertIn("epochs", shown[groups.COMMON])
            self.assertIn("weight_l1", shown[groups.LOSSES])
            self.assertIn("learning_rate_generator", shown[groups.OPTIMIZATION])
            self.assertIn("normalisation", shown[groups.NETWORK])

    def test_changesAreStoredMarkedAndTakenBack(self):
        self.type("learning_rate_generator", "2e-5")
        self.type("epochs", "7")
        self.form.rows["residual"].editor.checked = False
        depth = self.form.rows["adversarial_loss"].editor
        depth.currentIndex = depth.findText("hinge")
        expected = {"learning_rate_generator": 2e-5, "epochs": 7, "residual": False, "adversarial_loss": "hinge"}
        self.assertEqual(self.stored(), expected)
        self.assertEqual(self.form.rows["learning_rate_generator"].editor.text, "2e-05")
        self.assertIn("<b>", self.form.rows["epochs"].label.text)
        self.assertNotIn("<b>", self.form.rows["batch_size"].label.text)
        self.assertIn("68", self.form.rows["epochs"].editor.toolTip)
        self.form.rows["epochs"].resetButton.click()
        self.assertEqual(self.stored(), {name: expected[name] for name in expected if name != "epochs"})
        self.assertEqual(self.form.rows["epochs"].editor.text, "68")
        self.assertFalse(self.form.rows["epochs"].resetButton.enabled)
        self.assertTrue(self.ui.restoreButton.enabled)
        self.ui.restoreButton.click()
        self.assertEqual(self.parameters.parametersJson, "")
        self.assertTrue(self.form.rows["residual"].editor.checked)
        self.assertFalse(self.ui.restoreButton.enabled)

    def test_whatIsNoValueIsRefusedInOneSentenceAndNothingIsStored(self):
        for name, text, word in (("epochs", "many", "many"), ("epochs", "0", "1"), ("averaging", "1.5", "averaging")):
            self.type(name, text)
            self.assertIn(word, self.ui.parameterErrorLabel.text)
            self.assertEqual(self.parameters.parametersJson, "")
            self.assertEqual(self.form.rows[name].editor.text, asText(self.form.rows[name].value))
        self.type("epochs", "9")
        self.assertEqual(self.ui.parameterErrorLabel.text, "")
        self.assertEqual(self.stored(), {"epochs": 9})

    def test_leavingALineUntouchedIsNoChange(self):
        for name in self.form.rows:
            if hasattr(self.form.rows[name].editor, "editingFinished"):
                self.form.rows[name].editor.editingFinished.emit()
        self.assertEqual(self.parameters.parametersJson, "")

    def test_searchAndChangedOnly(self):
        def shown():
            return {name for name, row in self.form.rows.items() if not row.widget.isHidden()}

        everything = shown()
        self.assertEqual(everything, set(self.form.rows))
        self.ui.searchLineEdit.text = "learning RATE"
        found = shown()
        self.assertIn("learning_rate_discriminator", found)
        self.assertNotIn("batch_size", found)
        self.assertLess(len(found), len(everything))
        self.ui.searchLineEdit.text = "no parameter has this"
        self.assertEqual(shown(), set())
        self.ui.searchLineEdit.text = ""
        self.ui.changedCheckBox.checked = True
        self.assertEqual(shown(), set())
        self.parameters.parametersJson = '{"batch_size": 2}'
        self.assertEqual(shown(), {"batch_size"})
        self.ui.changedCheckBox.checked = False
        self.assertEqual(shown(), everything)

    def test_presetAndTaskChangeTheValuesAndKeepWhatFits(self):
        self.parameters.parametersJson = '{"epochs": 5, "kernel_augmentation": 0.5}'
        self.section._onPreset(self.section._presets.index("published"))
        self.assertEqual(self.form.rows["patch_size"].value, 512)
        self.assertEqual(self.form.rows["epochs"].value, 5)
        self.section._onTask(recipes.names().index("stain"))
        self.assertEqual(self.section.overrides, {"epochs": 5})
        self.assertNotIn("kernel_augmentation", self.form.rows)

    def test_aSceneOfAnotherVersionDoesNoHarm(self):
        self.parameters.parametersJson = '{"epochs": "soon", "nonsense": 1, "batch_size": 4}'
        self.parameters.preset = "excellent"
        self.assertEqual(self.parameters.preset, "recommended")
        self.parameters.task = "teleport"
        self.assertIn(self.parameters.task, recipes.names())
        self.parameters.task = "denoise-ct"
        self.assertEqual(self.section.overrides, {"batch_size": 4})
        for text in ("{broken", "[1]", "null"):
            self.parameters.parametersJson = text
            self.assertEqual(self.section.overrides, {})

    def test_contradictionsAreSaid(self):
        sentence = contradiction("denoise-ct", "recommended", {"context_slices": 1, "intensity": "nothing"})
        self.assertIn("intensity", sentence)
        self.assertEqual(contradiction("denoise-ct", "recommended", {"epochs": 3}), "")

    def test_savedWithTheScene(self):
        self.type("epochs", "11")
        copy = TrainingParameterNode(self.parameters.parameterNode)
        self.assertEqual(readOverrides(copy.task, copy.parametersJson), {"epochs": 11})
        self.assertEqual(writeOverrides({}), "")
        self.assertEqual(settings({"b": 2e-5, "a": True}), ["--set", "a=True", "--set", "b=2e-05"])

    def test_whyNothingCanBeMeasured(self):
        self.assertFalse(self.ui.measureButton.enabled)
        self.assertIn("dataset first", self.ui.statusLabel.text)
        self.parameters.datasetFolder = str(self.folder)
        self.assertIn("not finished", self.ui.statusLabel.text)
        (self.folder / "dataset.json").write_text("{")
        self.parameters.device = "cpu"
        self.assertIn("damaged", self.ui.statusLabel.text)
        self.assertFalse(self.ui.measureButton.enabled)

    @unittest.skipUnless(TORCH, "measuring needs PyTorch in the process that trains")
    def test_measure(self):
        from training_fixtures import TINY, tiny_dataset

        tiny_dataset(self.folder / "dataset")
        self.parameters.datasetFolder = str(self.folder / "dataset")
        self.parameters.device = "cpu"
        overrides = {name: value for name, value in TINY.items() if name != "steps_per_epoch"}
        self.parameters.parametersJson = json.dumps(overrides)
        self.assertTrue(self.ui.measureButton.enabled, self.ui.measureButton.toolTip)
        self.ui.measureButton.click()
        self.assertFalse(self.ui.measureButton.enabled)
        self.assertTrue(processEventsUntil(lambda: self.section._task is None, 90), "not measured in time")
        report = self.section.report
        self.assertIsNotNone(report, self.ui.statusLabel.text)
        rows = {self.cell(row, 0): (self.cell(row, 1), self.cell(row, 2)) for row in range(self.table.rowCount)}
        self.assertEqual(rows["Cases"][0], "1 to learn from, 1 to validate, 1 to test")
        self.assertEqual(rows["Size of the images"][0], "64 x 64 x 6 voxels")
        self.assertIn("cpu", rows["Time per epoch"][1])
        self.assertGreater(report.seconds_per_epoch, 0)
        self.assertEqual(report.value("patch_size"), 48)
        planned = report.value("steps_per_epoch")
        self.assertNotEqual(planned, recipes.get("denoise-ct").steps_per_epoch)
        self.assertEqual(self.form.rows["steps_per_epoch"].value, planned)
        self.assertFalse(self.form.rows["steps_per_epoch"].changed)
        self.assertIn("patches", self.form.rows["steps_per_epoch"].editor.toolTip)
        self.type("base_width", "12")
        self.assertIsNone(self.section.report)
        self.assertEqual(self.table.rowCount, 0)
        self.parameters.parametersJson = json.dumps(overrides)
        self.assertIs(self.section.report, report)

    @unittest.skipUnless(TORCH, "measuring needs PyTorch in the process that trains")
    def test_cancelAndLeaveEndTheProcess(self):
        from training_fixtures import tiny_dataset

        tiny_dataset(self.folder / "dataset")
        self.parameters.datasetFolder = str(self.folder / "dataset")
        self.ui.measureButton.click()
        self.ui.cancelButton.click()
        self.assertTrue(processEventsUntil(lambda: self.section._task is None))
        self.assertIn("Cancelled", self.ui.statusLabel.text)
        self.ui.measureButton.click()
        process = self.section._task._command._process
        self.section.cleanup()
        self.assertEqual(process.state(), 0)

    def cell(self, row, column):
        return self.table.item(row, column).text()


if __name__ == "__main__":
    unittest.main()
