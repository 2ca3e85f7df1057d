"""The shell of MedGANTraining: made, entered, left, reloaded; scenes that close and come; nothing is left behind."""

import unittest
from pathlib import Path
from unittest import mock

import qt
import slicer
from MedGANSynthesisLib.models import modelChanges
from slicer_fixtures import processEventsUntil
from training_panel_fixtures import TrainingPanelTest

SECTIONS = ["dataset", "plan", "run", "evaluation"]


def observers(scene):
    """How many observers the module's widget has on the scene."""
    widget = slicer.util.getModuleWidget("MedGANTraining")
    return sum(widget.hasObserver(scene, event, handler) for event, handler in (
        (scene.StartCloseEvent, widget.onSceneStarts), (scene.EndCloseEvent, widget.onSceneEnds),
        (scene.StartImportEvent, widget.onSceneStarts), (scene.EndImportEvent, widget.onSceneEnds),
    ))  # fmt: skip


class ModuleTest(TrainingPanelTest):
    def test_whatSlicerShows(self):
        module = slicer.modules.medgantraining
        self.assertEqual(module.title, "MedGAN Training")
        self.assertEqual(list(module.dependencies), ["MedGANSynthesis"])
        self.assertEqual(list(module.categories), list(slicer.modules.medgansynthesis.categories))
        self.assertIn("#readme", module.helpText)
        self.assertTrue(module.acknowledgementText)

    def test_theSectionsAreThereInOrder(self):
        self.assertEqual(list(self.widget.panel.sections), SECTIONS)
        for name in SECTIONS:
            button = getattr(self.widget.ui, f"{name}CollapsibleButton")
            self.assertIs(self.section(name).widget.parent(), button)
            self.assertTrue(self.section(name).parameters is self.parameters)

    def test_everyControlExplainsItself(self):
        for name in SECTIONS:
            widget = self.section(name).widget
            for className in ("QPushButton", "QComboBox", "QCheckBox", "QLineEdit", "QTableWidget", "QToolButton"):
                for control in slicer.util.findChildren(widget, className=className):
                    own = control.objectName and not control.objectName.startswith("qt_")
                    inner = control.parent() is not None and control.parent().inherits("QAbstractSpinBox")
                    if own and not inner and control.isVisibleTo(widget):
                        self.assertTrue(control.toolTip, f"{name}: {control.objectName}")

    def test_leavingLetsGoOfTheParameterNode(self):
        self.widget.exit()
        self.assertIsNone(self.parameters)
        for name in SECTIONS:
            self.assertIsNone(self.section(name).parameters)
        self.widget.enter()
        self.assertIsNotNone(self.parameters)

    def test_whatWasChosenSurvivesLeavingAndIsSavedWithTheScene(self):
        self.parameters.datasetFolder = "/data/heads"
        self.parameters.evaluationBaselines = False
        self.widget.exit()
        self.widget.enter()
        self.assertEqual((self.parameters.datasetFolder, self.parameters.evaluationBaselines), ("/data/heads", False))
        self.assertFalse(self.section("evaluation").ui.baselinesCheckBox.checked)
        path = str(self.folder / "scene.mrml")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear(0)
        self.assertEqual(self.parameters.datasetFolder, "")
        self.assertTrue(self.section("evaluation").ui.baselinesCheckBox.checked)
        slicer.util.loadScene(path)
        self.assertEqual(self.parameters.datasetFolder, "/data/heads")

    def test_closingTheSceneWhileShownBeginsAnew(self):
        self.parameters.evaluationBundle = "/models/old"
        slicer.mrmlScene.Clear(0)
        self.assertEqual(self.parameters.evaluationBundle, "")
        self.assertIs(self.parameters.parameterNode.GetScene(), slicer.mrmlScene)
        self.parameters.evaluationBundle = "/models/new"  # it is followed
        combo = self.section("evaluation").ui.modelComboBox
        self.assertEqual(combo.currentText, "/models/new")

    def test_closingTheSceneWhileLeftGivesNone(self):
        self.widget.exit()
        slicer.util.selectModule("MedGANSynthesis")
        slicer.mrmlScene.Clear(0)
        self.assertIsNone(self.parameters)

    def test_oneModificationUpdatesEverySectionOnce(self):
        counts = {}
        for name in SECTIONS:
            section = self.section(name)
            original = section.update

            def counted(name=name, original=original):
                counts[name] = counts.get(name, 0) + 1
                original()

            section.update = counted
            self.addCleanup(setattr, section, "update", original)
        self.parameters.evaluationBaselines = not self.parameters.evaluationBaselines
        self.assertEqual(counts, dict.fromkeys(SECTIONS, 1))

    def test_reloadLeavesNothingOfTheOldPanel(self):
        old, root, listening = self.widget, self.widget._root, len(modelChanges._observers)
        self.assertEqual(observers(slicer.mrmlScene), 4)
        slicer.util.reloadScriptedModule("MedGANTraining")
        self.widget = slicer.util.getModuleWidget("MedGANTraining")
        self.assertIsNot(self.widget, old)
        self.assertEqual(len(modelChanges._observers), listening)
        self.assertEqual((observers(slicer.mrmlScene), len(old.Observations), len(old.panel.Observations)), (4, 0, 0))
        self.assertIsNone(old.panel.parameters)
        self.assertFalse(old.panel.sections["run"]._timer.active)
        slicer.app.sendPostedEvents(root, qt.QEvent.DeferredDelete)
        self.assertTrue(processEventsUntil(lambda: not root))
        self.widget.enter()
        self.assertIsNotNone(self.parameters)

    def test_aSetupThatFailedCanBeCleanedUp(self):
        parent = slicer.qMRMLWidget()
        parent.setLayout(qt.QVBoxLayout())
        widget = type(self.widget)(parent)
        with mock.patch("slicer.util.loadUI", side_effect=RuntimeError("no file")), self.assertRaises(RuntimeError):
            widget.setup()
        widget.cleanup()
        self.assertEqual(len(widget.Observations), 0)

    def test_leavingStopsLookingAtFolders(self):
        self.parameters.runFolder = str(self.folder / "run")
        timer = self.section("run")._timer
        self.assertTrue(timer.active)
        self.widget.exit()
        self.assertFalse(timer.active)

    def test_theTestOfTheModule(self):
        slicer.selfTests["MedGANTraining"]()
        self.open()

    def test_startOfSlicerImportsNothingHeavy(self):
        """The files that Slicer's start waits for name neither the engine nor the other module at their top level."""
        folder = Path(slicer.modules.medgantraining.path).parent
        for name in (
            "MedGANTraining.py",
            "MedGANTrainingLib/TrainingLogic.py",
            "MedGANTrainingLib/TrainingParameterNode.py",
        ):
            text = (folder / name).read_text(encoding="utf-8")
            self.assertNotRegex(text, r"(?m)^(import|from) (medgan|MedGANSynthesisLib|torch)\b", name)


if __name__ == "__main__":
    unittest.main()
