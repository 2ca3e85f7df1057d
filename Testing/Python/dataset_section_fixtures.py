"""What the tests of the dataset section share: a section with a parameter node, a folder, and a user's hands."""

import tempfile
import unittest
from pathlib import Path

import slicer
from MedGANTrainingLib.dataset.DatasetSection import DatasetSection
from MedGANTrainingLib.TrainingLogic import TrainingLogic
from slicer_fixtures import processEventsUntil
from training_scenes import addHead, addPatient


class SectionTest(unittest.TestCase):
    """A section of its own, with a parameter node, a folder and a user's hands."""

    task = "mr-to-ct"

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.changes, self.questions, self.answer = [], [], False
        self.section = DatasetSection(TrainingLogic(), lambda: self.changes.append(None))
        self.addCleanup(self.section.widget.delete)
        self.addCleanup(self.section.cleanup)
        self.addCleanup(lambda: self.section.setParameterNode(None))
        self.section.confirm = lambda question, *rest: self.questions.append(question) or self.answer
        self.ui = self.section.ui
        self.enter()

    def enter(self):
        self.logic = slicer.util.getModuleLogic("MedGANTraining")
        self.parameters = self.logic.getParameterNode()
        self.section.setParameterNode(self.parameters)

    def closeScene(self, shown=True):
        """What the panel does when the user closes the scene, while the module is shown or left."""

        def sceneCloses(*_arguments):
            self.leave()
            self.section.sceneCloses()

        tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.StartCloseEvent, sceneCloses)
        slicer.mrmlScene.Clear(0)
        slicer.mrmlScene.RemoveObserver(tag)
        if shown:
            self.enter()

    def leave(self):
        if self.section.parameters is not None:
            self.section.setParameterNode(None)

    def choose(self, box, data):
        """Choose an entry as a user does."""
        box.currentIndex = box.findData(data)
        box.activated.emit(box.currentIndex)

    def begin(self, kind=None, **settings):
        self.choose(self.ui.taskComboBox, self.task)
        if kind is not None:
            self.choose(self.ui.kindComboBox, kind)
        self.section.chooseFolder = lambda title: str(self.folder / "dataset")
        self.ui.newFolderButton.click()
        self.assertEqual(self.parameters.datasetFolder, str(self.folder / "dataset"), self.status())
        if settings:
            self.section.draft.change(**settings)
            self.section.update()

    def status(self):
        return self.ui.statusLabel.text

    def addHeads(self, count):
        """Heads of patients, found in the scene and added."""
        for seed in range(count):
            addHead(seed, addPatient(f"Patient {seed}", f"ID{seed}"))
        self.ui.findPairsButton.click()
        self.assertEqual(self.ui.pairsTableWidget.rowCount, count, self.status())
        self.ui.addPairsButton.click()

    def prepare(self):
        self.assertTrue(self.ui.prepareButton.enabled)
        self.ui.prepareButton.click()
        self.assertTrue(processEventsUntil(lambda: not self.section.busy, 240), self.status())

    def cell(self, row, column):
        return self.ui.casesTableWidget.item(row, column).text()

    def column(self, column):
        return [self.cell(row, column) for row in range(self.ui.casesTableWidget.rowCount)]

    def assertOneLine(self, *words):
        """The status line is an error of one line with these words."""
        text = self.status()
        self.assertIn("!</b>", text)
        self.assertNotIn("<br>", text)
        self.assertNotIn("\n", text)
        for word in words:
            self.assertIn(word, text)
