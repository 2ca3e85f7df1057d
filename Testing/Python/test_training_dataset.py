"""The dataset section of the panel, from an empty folder to a finished dataset."""

import os
import signal
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import slicer
from dataset_section_fixtures import SectionTest
from head_phantoms import head
from medgan.dataset import Dataset
from medgan.draft import Draft
from MedGANTrainingLib.dataset import CaseTable
from MedGANTrainingLib.dataset.DatasetSection import DatasetSection
from MedGANTrainingLib.TrainingLogic import TrainingLogic
from slicer_fixtures import addSegment, nodeIDs, processEventsUntil
from training_scenes import addHead, addPatient, addVolumeNode, put


class FromSceneToDatasetTest(SectionTest):
    def test_threePairsBecomeADataset(self):
        self.assertFalse(self.ui.findPairsButton.enabled)
        self.begin(register="")
        self.addHeads(3)
        self.assertEqual(self.column(CaseTable.STATE), ["Waiting"] * 3)
        self.assertEqual(self.column(CaseTable.SOURCE), ["40 x 48 x 32"] * 3)
        self.assertEqual(self.ui.pairsTableWidget.rowCount, 0)
        self.assertFalse(self.ui.finishButton.enabled)
        self.closeScene()
        self.prepare()
        self.assertIn("3 ready", self.status())
        self.assertEqual(self.column(CaseTable.STATE), ["Accepted"] * 3)
        scores = [float(text) for text in self.column(CaseTable.SCORE)]
        self.assertGreater(min(scores), self.section.draft.threshold)
        self.assertEqual(self.column(CaseTable.MASK), ["Found"] * 3)

        self.ui.casesTableWidget.selectRow(1)
        self.assertFalse(self.ui.thumbnailLabel.pixmap.isNull())
        self.ui.rejectButton.click()
        self.assertEqual(self.column(CaseTable.STATE), ["Accepted", "Rejected", "Accepted"])
        self.assertEqual(self.section.selected.id, self.section.draft.cases[1].id)
        self.ui.acceptButton.click()
        self.assertEqual(self.column(CaseTable.STATE), ["Accepted"] * 3)
        self.ui.undecideButton.click()
        self.assertIsNone(self.section.selected.accepted)

        self.choose(self.section.cases.table.splitBox(self.section.draft.cases[0].id), "test")
        self.assertEqual(Draft.load(self.section.draft.folder).cases[0].split, "test")
        self.ui.assignButton.click()
        self.assertEqual({case.split for case in self.section.draft.cases}, {"train", "validation", "test"})

        self.ui.licenceLineEdit.text = "CC0-1.0"
        self.ui.descriptionLineEdit.text = "Heads of ellipsoids"
        self.assertTrue(self.ui.finishButton.enabled, self.ui.problemsLabel.text)
        self.ui.finishButton.click()
        self.assertIn("finished", self.status())
        self.assertTrue(self.changes)
        dataset = Dataset.load(self.folder / "dataset")
        self.assertEqual(
            (len(dataset.cases), dataset.licence, dataset.description), (3, "CC0-1.0", "Heads of ellipsoids")
        )

    def test_theThresholdDecidesUnlessTheUserDoes(self):
        self.begin(register="")
        self.addHeads(2)
        self.prepare()
        self.ui.thresholdSpinBox.setValue(1.0)
        self.assertEqual(self.column(CaseTable.STATE), ["Below the threshold"] * 2)
        self.assertEqual(Draft.load(self.section.draft.folder).threshold, 1.0)
        self.ui.casesTableWidget.selectRow(0)
        self.ui.acceptButton.click()
        self.assertEqual(self.column(CaseTable.STATE), ["Accepted", "Below the threshold"])
        self.assertIn("left out", self.ui.problemsLabel.text)

    def test_everythingSurvivesTheSceneAndThePanel(self):
        self.begin(register="")
        self.addHeads(1)
        self.closeScene()
        self.assertEqual(self.column(CaseTable.CASE), ["head0_mr - head0_ct"])
        self.assertEqual(
            (self.parameters.task, self.parameters.datasetFolder), (self.task, str(self.folder / "dataset"))
        )
        self.leave()
        other = DatasetSection(TrainingLogic(), lambda: None)
        other.setParameterNode(self.parameters)
        self.assertEqual([case.id for case in other.draft.cases], ["case-001"])
        self.parameters.datasetFolder = ""
        other.update()
        self.assertIsNone(other.draft)
        self.choose(other.ui.recentComboBox, str(self.folder / "dataset"))
        self.assertEqual([case.id for case in other.draft.cases], ["case-001"])
        other.setParameterNode(None)
        other.cleanup()
        other.widget.delete()

    def test_cancelKeepsWhatIsFinished(self):
        self.begin(register="rigid")
        self.addHeads(2)
        self.ui.prepareButton.click()
        self.assertEqual(self.ui.prepareButton.text, "Cancel")
        self.assertFalse(self.ui.addPairsButton.enabled)
        self.ui.prepareButton.click()
        self.assertTrue(processEventsUntil(lambda: not self.section.busy, 60))
        self.assertIn("Cancelled", self.status())
        self.assertIn("waiting", {case.state for case in Draft.load(self.section.draft.folder).cases})
        self.assertTrue(self.ui.prepareButton.enabled)

    def test_aPreparationThatDies(self):
        self.begin(register="")
        self.addHeads(2)
        self.ui.prepareButton.click()
        process = self.section.prepare.task._command._process
        self.assertTrue(processEventsUntil(lambda: process.processId() > 0))
        os.kill(process.processId(), getattr(signal, "SIGKILL", signal.SIGTERM))
        self.assertTrue(processEventsUntil(lambda: not self.section.busy, 60))
        self.assertOneLine("ended unexpectedly")
        self.assertEqual(len(self.section.draft.cases), 2)
        self.prepare()
        self.assertEqual(self.column(CaseTable.STATE), ["Accepted"] * 2)

    def test_everyControlSaysWhatItIsFor(self):
        text = (Path(slicer.modules.medgantraining.path).parent / "Resources" / "UI" / "DatasetSection.ui").read_text()
        passive = ("QWidget", "qMRMLWidget", "QLabel")
        widgets = ElementTree.fromstring(text).iter("widget")
        controls = [widget for widget in widgets if widget.get("class") not in passive]
        self.assertGreater(len(controls), 40)
        silent = [one.get("name") for one in controls if one.find("property[@name='toolTip']") is None]
        self.assertEqual(silent, [])

    def test_byHandWithASegmentAsMask(self):
        self.begin(register="")
        mr, ct = addHead(0)
        mask = np.zeros(head(0)[0].grid_shape, bool)
        mask[10:20, 15:30, 12:28] = True
        segmentation, segmentID = addSegment(mr, mask, "Brain")
        self.ui.sourceSelector.setCurrentNode(mr)
        self.ui.targetSelector.setCurrentNode(ct)
        self.ui.maskSelector.setCurrentNode(segmentation)
        self.assertEqual(self.ui.maskSegmentComboBox.currentData, segmentID)
        self.ui.addByHandButton.click()
        self.assertOneLine("patient")
        self.ui.patientLineEdit.text = "volunteer 1"
        self.ui.addByHandButton.click()
        self.assertEqual((self.cell(0, CaseTable.PATIENT), self.cell(0, CaseTable.MASK)), ("volunteer 1", "Segment"))
        self.prepare()
        np.testing.assert_array_equal(self.section.draft.volume("case-001", "mask").array != 0, mask)
        self.ui.casesTableWidget.selectRow(0)
        self.ui.setMaskButton.click()  # no segmentation is selected there: the body is found again
        self.assertEqual((self.cell(0, CaseTable.STATE), self.cell(0, CaseTable.MASK)), ("Waiting", ""))
        self.ui.caseMaskSelector.setCurrentNode(segmentation)
        before = nodeIDs()
        self.ui.setMaskButton.click()
        self.assertEqual(self.cell(0, CaseTable.MASK), "Segment")
        self.assertEqual(nodeIDs(), before)

    def test_removeAsksFirst(self):
        self.begin(register="")
        self.addHeads(1)
        self.ui.casesTableWidget.selectRow(0)
        self.ui.removeButton.click()
        self.assertEqual((len(self.questions), len(self.section.draft.cases)), (1, 1))
        self.answer = True
        self.ui.removeButton.click()
        self.assertEqual((self.section.draft.cases, self.ui.casesTableWidget.rowCount), ((), 0))


class DegradedDatasetTest(SectionTest):
    task = "superres-mr"

    def test_oneVolumePerCase(self):
        self.begin("low-resolution")
        self.assertTrue(self.ui.factorComboBox.isVisibleTo(self.section.widget))
        self.assertFalse(self.ui.registerComboBox.isVisibleTo(self.section.widget))
        self.choose(self.ui.factorComboBox, "1x1x2")
        self.assertEqual(self.section.draft.settings.factor, (2, 1, 1))
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        put(addVolumeNode(head(0)[0], "t1"), hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Volunteer"))
        self.assertFalse(self.ui.targetSelector.enabled)
        self.ui.findPairsButton.click()
        self.ui.addPairsButton.click()
        self.prepare()
        (case,) = self.section.draft.cases
        self.assertEqual((case.state, case.patient), ("ready", "Volunteer"))
        source, target = (self.section.draft.volume(case.id, role) for role in ("source", "target"))
        self.assertEqual(
            (source.grid_shape[0] * 2, source.grid_shape[1:]), (target.grid_shape[0], target.grid_shape[1:])
        )
        self.ui.casesTableWidget.selectRow(0)
        self.assertFalse(self.ui.adjustButton.enabled)


class LowDoseDatasetTest(SectionTest):
    task = "denoise-ct"

    def type(self, text):
        line = slicer.util.findChild(self.ui.doseSpinBox, "qt_spinbox_lineedit")
        line.clear()
        for character in text:
            line.insert(character)
            self.section.update()  # something else is looked at meanwhile

    def test_aDoseIsTypedInPeace(self):
        self.begin("low-dose")
        self.ui.sourceSelector.setCurrentNode(addVolumeNode(head(0)[1], "ct"))
        self.ui.patientLineEdit.text = "volunteer"
        self.ui.addByHandButton.click()
        self.prepare()
        self.type("0.35")
        self.assertEqual((self.section.draft.settings.dose, self.column(CaseTable.STATE)), (0.25, ["Accepted"]))
        self.ui.doseSpinBox.interpretText()  # as the return key does, and leaving the field
        self.assertEqual((self.section.draft.settings.dose, self.column(CaseTable.STATE)), (0.35, ["Waiting"]))

    def test_aDoseThatTheFieldCannotShow(self):
        self.begin("low-dose", dose=0.126)
        self.assertEqual(self.ui.doseSpinBox.value, 0.13)
        self.type("0.35")
        self.assertEqual(self.section.draft.settings.dose, 0.126)
        self.ui.doseSpinBox.interpretText()
        self.assertEqual(self.section.draft.settings.dose, 0.35)


class UnpairedDatasetTest(SectionTest):
    task = "mr-to-ct-unpaired"

    def test_volumesWithoutPartners(self):
        self.begin()
        for seed in range(2):
            addHead(seed, addPatient(f"Patient {seed}"))
        self.ui.findPairsButton.click()
        self.assertEqual(self.ui.pairsTableWidget.rowCount, 4)
        self.ui.addPairsButton.click()
        roles = [tuple(case.raw) for case in self.section.draft.cases]
        self.assertEqual(roles, [("source",), ("target",)] * 2)
        self.ui.sourceSelector.setCurrentNode(addVolumeNode(head(2)[0], "mr"))
        self.ui.targetSelector.setCurrentNode(addVolumeNode(head(2)[1], "ct"))
        self.ui.addByHandButton.click()
        self.assertOneLine("one by one")
        self.ui.sourceSelector.setCurrentNode(None)
        self.ui.patientLineEdit.text = "third"
        self.ui.addByHandButton.click()
        self.assertEqual(tuple(self.section.draft.cases[-1].raw), ("target",))


if __name__ == "__main__":
    unittest.main()
