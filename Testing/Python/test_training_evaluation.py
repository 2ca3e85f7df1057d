"""Evaluation in the scene: what the process measured is what the tables, volumes and the panel show."""

import csv
import dataclasses
import shutil
import types
import unittest

import evaluation_fixtures
import numpy as np
import qt
import slicer
import vtk
from medgan.dataset import Dataset
from medgan.errors import BundleError, Cancelled, InputError
from medgan.evaluation_results import EvaluationResults
from MedGANSynthesisLib.nodes import geometryOfNode
from MedGANTrainingLib.evaluation import Report
from MedGANTrainingLib.evaluation.HandOver import lastResults
from training_panel_fixtures import CAN_MEASURE, TrainingPanelTest

DIVERGING = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"


def column(tableNode, title):
    """A column of a table node as Python values."""
    values = tableNode.GetTable().GetColumnByName(title)
    return [values.GetValue(row) for row in range(values.GetNumberOfValues())]


def titles(tableNode):
    return [tableNode.GetColumnName(index) for index in range(tableNode.GetNumberOfColumns())]


@unittest.skipUnless(CAN_MEASURE, "measuring needs scikit-image, scipy and matplotlib")
class EvaluationTest(TrainingPanelTest):
    def setUp(self):
        super().setUp()
        self.dataset = evaluation_fixtures.denoising(self.folder / "data")
        self.ui = self.section("evaluation").ui

    def evaluate(self, **settings):
        return self.logic.evaluate(self.identity("copy", title="Copy"), self.dataset, baselines=False, **settings)

    def choose(self, **parameters):
        with slicer.util.NodeModify(self.parameters.parameterNode):
            for name, value in parameters.items():
                setattr(self.parameters, name, value)

    def press(self, button):
        self.assertTrue(button.enabled, button.name if hasattr(button, "name") else button)
        button.click()

    def test_tablesHoldTheNumbersOfTheFile(self):
        seen = []
        result = self.logic.evaluate(
            self.identity("copy"),
            self.dataset.folder,
            errorMaps=False,
            onProgress=lambda task: seen.append(task.message),
        )
        content = EvaluationResults.load(result.folder).content
        table = result.tableNode
        self.assertEqual(column(table, "Patient"), ["test-0", "test-1", "test-2"])
        self.assertEqual(column(table, "Cases"), [2, 1, 1])
        self.assertEqual(titles(table)[2], f"PSNR (dB), {content['methods']['output']}")  # what decides comes first
        for method in ("output", "input", "gaussian", "nlm"):
            for metric, unit in (("psnr_db", " (dB)"), ("mae_hu_body", " (HU)"), ("ssim", "")):
                label = content["metrics"][metric]["label"]
                shown = column(table, f"{label}{unit}, {content['methods'][method]}")
                self.assertEqual(shown, [row[f"{method}_{metric}"] for row in content["patients"]])
        with (result.folder / "table.csv").open(newline="", encoding="utf-8") as stream:
            lines = list(csv.DictReader(stream))
        self.assertEqual(
            column(table, f"PSNR (dB), {content['methods']['nlm']}"), [float(line["nlm_psnr_db"]) for line in lines[:3]]
        )
        summary = result.summaryNode
        self.assertEqual(column(summary, "Mean"), [row["mean"] for row in content["summary"]])
        lows, means, highs = (column(summary, name) for name in ("Interval from", "Mean", "Interval to"))
        for low, mean, high in zip(lows, means, highs, strict=True):
            self.assertTrue(low <= mean <= high)
        self.assertIsNone(result.comparisonNode)
        self.assertEqual(result.errorMapNodes, [])
        self.assertTrue(any("Measuring" in message for message in seen))
        self.assertIn("<html", result.reportPath.read_text(encoding="utf-8"))

    def test_errorMapsAreOutputMinusTruthOnTheGridOfTheTruth(self):
        result = self.evaluate()
        dataset = Dataset.load(self.dataset.folder)
        self.assertEqual(result.cases, [case.id for case in dataset.split("test")])
        windows = set()
        for case in dataset.split("test"):
            source, truth = dataset.volumes(case)
            node = result.errorMap(case.id)
            error = source.array.astype(np.float32) - truth.array.astype(np.float32)
            self.assertTrue((slicer.util.arrayFromVolume(node) == error).all())
            self.assertTrue(geometryOfNode(node).is_close(truth.geometry, 0.0))
            display = node.GetDisplayNode()
            self.assertEqual((display.GetLevel(), display.GetAutoWindowLevel()), (0.0, 0))
            if slicer.mrmlScene.GetNodeByID(DIVERGING) is not None:
                self.assertEqual(display.GetColorNodeID(), DIVERGING)
            windows.add(display.GetWindow())
            self.assertIn(case.id, node.GetName())
        self.assertEqual(len(windows), 1)  # they can be compared by eye
        self.assertIs(result.errorMap(case.id), node)  # loaded once
        self.assertGreater(windows.pop() / 2, np.abs(error).mean())

    def test_allNodesLieInOneFolderAndAreReplaced(self):
        first = self.evaluate()
        nodes = [first.tableNode, first.summaryNode, first.errorMap(first.cases[0])]
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in nodes}
        self.assertEqual(len(parents), 1)
        self.assertEqual(hierarchy.GetItemName(parents.pop()), "Evaluation of Copy")
        self.evaluate()
        self.assertEqual([node.GetScene() for node in nodes], [None] * 3)
        self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLTableNode")), 2)
        folders = vtk.vtkIdList()
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), folders, False)
        names = [hierarchy.GetItemName(folders.GetId(index)) for index in range(folders.GetNumberOfIds())]
        self.assertEqual(names.count("Evaluation of Copy"), 1)
        with self.assertRaisesRegex(InputError, "removed from the scene"):
            first.showTable()

    def test_twoModelsOnTheSameCases(self):
        from medgan.bundle import Bundle

        other = Bundle.create_identity(self.folder / "other", title="Other")
        result = self.evaluate(against=other)
        table = result.comparisonNode
        self.assertEqual(column(table, "Copy"), column(table, "Other"))
        self.assertEqual(set(column(table, "Difference")), {0.0})
        self.assertEqual(set(column(table, "Better")), {"not shown"})
        self.assertEqual(set(column(table, "Patients")), {3})
        self.assertEqual(len(result.errorMapNodes), 2 * len(result.cases))
        self.assertIn("Neither 'Copy' nor 'Other'", result.results.content["comparison_verdict"])

    def test_thePanelShowsWhatWasMeasured(self):
        bundle = self.identity("copy", title="Copy")
        self.choose(
            datasetFolder=str(self.dataset.folder), evaluationBundle=str(bundle.path), evaluationBaselines=False
        )
        self.assertIn("4 test cases of 3 patients", self.ui.datasetLabel.text)
        self.assertFalse(self.ui.resultsGroupBox.visible)
        section = self.section("evaluation")
        self.press(self.ui.evaluateButton)
        self.assertEqual(self.ui.evaluateButton.text, "Cancel")
        self.wait(lambda: section.task is None)
        self.assertEqual((self.ui.evaluateButton.text, self.ui.statusLabel.text), ("Evaluate", ""))
        content = section._results.results.content
        self.assertEqual(self.ui.verdictLabel.text, content["verdict"])
        table = self.ui.resultsTable
        self.assertEqual(table.rowCount, len(content["metrics"]))
        self.assertEqual(table.verticalHeaderItem(0).text(), "PSNR (dB)")
        self.assertTrue(table.item(0, 0).text().startswith(f"{content['summary'][0]['mean']:.4g}\n"))
        self.press(self.ui.showTableButton)
        (patients,) = [node for node in slicer.util.getNodesByClass("vtkMRMLTableNode") if "patients" in node.GetName()]
        selection = slicer.app.applicationLogic().GetSelectionNode()
        self.assertEqual(selection.GetActiveTableID(), patients.GetID())
        self.ui.caseComboBox.currentIndex = 1
        self.press(self.ui.showErrorMapButton)
        name = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetBackgroundLayer().GetVolumeNode().GetName()
        self.assertTrue(name.startswith(f"{self.ui.caseComboBox.currentText}: error of Copy"), name)
        self.assertEqual(self.ui.pictureComboBox.count, len(content["pictures"]))
        self.assertGreater(self.ui.pictureLabel.pixmap.width(), 100)

    def test_whatWasMeasuredIsThereAgainAfterTheSceneWasClosed(self):
        bundle = self.evaluate().results.content["models"]["output"]["path"]
        slicer.mrmlScene.Clear(0)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLTableNode"), [])
        self.choose(datasetFolder=str(self.dataset.folder), evaluationBundle=bundle)
        self.assertTrue(self.ui.verdictLabel.text.startswith("The generator does NOT beat"))
        self.press(self.ui.showTableButton)
        self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLTableNode")), 2)

    def test_cancelledLeavesNothing(self):
        bundle = self.identity("copy")
        self.choose(datasetFolder=str(self.dataset.folder), evaluationBundle=str(bundle.path))
        section = self.section("evaluation")
        self.press(self.ui.evaluateButton)
        section.evaluateOrCancel()
        self.wait(lambda: section.task is None)
        self.assertIn("Cancelled", self.ui.statusLabel.text)
        self.assertEqual(list((self.dataset.folder / "evaluations").glob("*")), [])
        task = self.evaluate(wait=False)
        task.cancel()
        with self.assertRaises(Cancelled):
            task.wait()

    def test_aReloadEndsWhatRuns(self):
        bundle = self.identity("copy")
        self.choose(datasetFolder=str(self.dataset.folder), evaluationBundle=str(bundle.path))
        self.press(self.ui.evaluateButton)
        task = self.section("evaluation").task
        self.wait(lambda: task.fraction > 0)
        slicer.util.reloadScriptedModule("MedGANTraining")
        self.widget = slicer.util.getModuleWidget("MedGANTraining")
        self.assertTrue(task.finished)
        with self.assertRaises(Cancelled):
            task.result()
        self.assertEqual([path for path in (self.dataset.folder / "evaluations").rglob("*") if path.is_file()], [])

    def test_aSceneThatIsClosedMeanwhileGetsNothing(self):
        bundle = self.identity("copy")
        self.choose(
            datasetFolder=str(self.dataset.folder), evaluationBundle=str(bundle.path), evaluationBaselines=False
        )
        section = self.section("evaluation")
        self.press(self.ui.evaluateButton)
        self.widget.exit()
        self.wait(lambda: section.task is None)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLTableNode"), [])
        self.open()
        self.assertTrue(self.ui.resultsGroupBox.isVisibleTo(self.ui.resultsGroupBox.parent()))

    def test_whatWentWrongMeanwhileIsSaidAfterwards(self):
        section = self.section("evaluation")
        self.widget.exit()
        section._onDone(types.SimpleNamespace(error=InputError("There is no <memory> left.")))
        self.open()
        self.assertEqual(self.ui.statusLabel.text, "There is no &lt;memory&gt; left.")

    def test_resultsOfAnEarlierVersionOfTheDatasetAreNotShown(self):
        bundle = self.identity("copy")
        self.evaluate(errorMaps=False)
        self.choose(datasetFolder=str(self.dataset.folder), evaluationBundle=str(bundle.path))
        shown = self.ui.resultsGroupBox
        self.assertTrue(shown.isVisibleTo(shown.parent()))
        self.assertIsNotNone(lastResults(bundle, self.dataset.folder))
        last = self.dataset.split("test")[-1]
        cases = tuple(case for case in self.dataset.cases if case is not last)
        dataclasses.replace(self.dataset, cases=cases, description="<b>fewer").save()
        self.section("evaluation").onChanged()
        self.assertFalse(shown.isVisibleTo(shown.parent()))
        self.assertIn("earlier version of the dataset", self.ui.obstacleLabel.text)
        self.assertTrue(self.ui.obstacleLabel.isVisibleTo(self.ui.obstacleLabel.parent()))
        self.assertTrue(self.ui.evaluateButton.enabled)
        self.assertIsNone(lastResults(bundle, self.dataset.folder))
        self.assertIn("3 test cases of 3 patients, &lt;b&gt;fewer", self.ui.datasetLabel.text)
        self.dataset.save()
        self.section("evaluation").onChanged()
        self.assertTrue(shown.isVisibleTo(shown.parent()))
        self.assertEqual(self.ui.obstacleLabel.text, "")

    def test_theReportOpensInTheBrowser(self):
        opened = []
        result = self.evaluate(errorMaps=False)

        class Services:
            @staticmethod
            def openUrl(url):
                opened.append(url.toLocalFile())
                return len(opened) == 1

        original, Report.qt.QDesktopServices = qt.QDesktopServices, Services
        try:
            result.openReport()
            self.assertEqual(opened, [str(result.reportPath)])
            with self.assertRaisesRegex(InputError, "open .*report.html in a browser"):
                result.openReport()
            result.reportPath.unlink()
            with self.assertRaisesRegex(InputError, "not there any more"):
                result.openReport()
        finally:
            Report.qt.QDesktopServices = original
        self.assertEqual(len(opened), 2)

    def test_refusalsAreOneSentence(self):
        with self.assertRaisesRegex(BundleError, "no bundle at"):
            self.logic.evaluate(self.folder / "nowhere", self.dataset)
        with self.assertRaisesRegex(InputError, "no dataset"):
            self.logic.evaluate(self.identity("copy"), self.folder)
        with self.assertRaisesRegex(Exception, "is for the task stain, the dataset for denoise-ct"):
            self.logic.evaluate(self.identity("stain", "stain", channels=3), self.dataset)
        shutil.rmtree(self.dataset.folder)
        self.choose(datasetFolder=str(self.dataset.folder), evaluationBundle=str(self.folder / "copy"))
        self.assertIn("Finish the dataset first", self.ui.obstacleLabel.text)
        self.assertFalse(self.ui.evaluateButton.enabled)

    def test_damagedResultsAreOneSentence(self):
        result = self.evaluate(errorMaps=False)
        (result.folder / "results.json").write_text('{"schema": 99}')
        with self.assertRaisesRegex(InputError, "newer MedGAN"):
            EvaluationResults.load(result.folder)
        (result.folder / "results.json").write_text("{")
        bundle = result.results.content["models"]["output"]["path"]
        self.choose(datasetFolder=str(self.dataset.folder), evaluationBundle=bundle)
        self.assertIn("is damaged", self.ui.statusLabel.text)
        self.assertFalse(self.ui.resultsGroupBox.visible)


if __name__ == "__main__":
    unittest.main()
