"""The whole way of a user: three real scans in the scene, a dataset, a training, its measure, and the model applied."""

import importlib.util
import json
import unittest

import numpy as np
import shared_data
import slicer
from medgan.bundle_search import find_bundles
from medgan.dataset import Dataset
from medgan.image_io import read_volume
from MedGANSynthesisLib import engineClient
from MedGANTrainingLib.dataset import CaseTable
from slicer_fixtures import gridBits, nodeIDs, voxels
from training_panel_fixtures import CAN_MEASURE, TrainingPanelTest
from training_run_fixtures import column
from training_scenes import addPatient, addStudy, addVolumeNode, put

SCANS = {  # patients, and the part of each scan that is used (slices, rows, columns), so that all takes seconds
    "Thorax": ("ct/cta_thorax_1p5mm_totalseg.nii.gz", (slice(60, 66), slice(10, 106), slice(10, 106))),
    "Abdomen": ("ct/abdomen_3mm_small_totalseg.nii.gz", (slice(12, 18), slice(2, 98), slice(13, 109))),
    "Chest": ("ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz", (slice(8, 14), slice(200, 296), slice(150, 246))),
}
SMALL = {  # what is typed into the form, so that an epoch takes seconds
    "base_width": "8", "depth": "2", "discriminator_width": "8", "patch_size": "48", "batch_size": "4",
    "epochs": "12", "steps_per_epoch": "30", "adversarial_start": "4", "kernel_augmentation": "0",
    "structure_augmentation": "0", "learning_rate_generator": "0.001", "averaging": "0.98",
}  # fmt: skip


def readScans():
    """Part of every scan as a volume in HU, by patient; skips the test where the shared images are not."""
    scans = {}
    for patient, (name, (k, j, i)) in SCANS.items():
        volume, _notes = read_volume(shared_data.dataFile(name), modality="CT")
        scans[patient] = volume.with_array(
            np.ascontiguousarray(volume.array[k, j, i]), geometry=volume.geometry.shifted((i.start, j.start, k.start))
        )
    return scans


@unittest.skipUnless(importlib.util.find_spec("torch"), "a training needs PyTorch in the process that trains")
@unittest.skipUnless(CAN_MEASURE, "measuring needs scikit-image, scipy and matplotlib")
class StoryTest(TrainingPanelTest):
    def setUp(self):
        self.scans = readScans()
        super().setUp()
        engineClient.stopEngine()
        self.addCleanup(engineClient.stopEngine)

    def test_fromScansToTheirOwnDenoiser(self):
        dataset = self.makeDataset()
        self.plan()
        run = self.train()
        self.checkCurves(run)
        self.measure(dataset)
        bundle = self.install()
        self.apply(bundle)

    def makeDataset(self):
        """From the scene to a finished dataset, while the scene is closed on the way."""
        section = self.section("dataset")
        ui = section.ui
        for patient, volume in self.scans.items():
            study = addStudy(addPatient(patient, f"ID {patient}"))
            put(addVolumeNode(volume, f"{patient} CT"), study, "CT")
        self.pick(ui.taskComboBox, "denoise-ct")
        self.pick(ui.kindComboBox, "low-dose")
        section.chooseFolder = lambda title: str(self.folder / "dataset")
        self.press(ui.newFolderButton)
        self.press(ui.findPairsButton)
        self.assertEqual(ui.pairsTableWidget.rowCount, 3, ui.statusLabel.text)
        self.press(ui.addPairsButton)
        slicer.mrmlScene.Clear(0)
        self.assertEqual(self.texts(ui.casesTableWidget, CaseTable.STATE), ["Waiting"] * 3, ui.statusLabel.text)

        self.press(ui.prepareButton)
        self.wait(lambda: not section.busy)
        self.assertIn("3 ready", ui.statusLabel.text)
        ui.casesTableWidget.selectRow(0)
        self.assertFalse(ui.thumbnailLabel.pixmap.isNull())
        self.press(ui.assignButton)
        ui.licenceLineEdit.text = "Apache-2.0"
        ui.descriptionLineEdit.text = "Parts of three scans"
        self.press(ui.finishButton)

        dataset = Dataset.load(self.folder / "dataset")
        self.assertEqual({case.split for case in dataset.cases}, {"train", "validation", "test"})
        truths = [dataset.volumes(case)[1] for case in dataset.cases]
        for truth, scan in zip(truths, self.scans.values(), strict=True):
            np.testing.assert_array_equal(truth.array, scan.array)  # it went through the scene and the disk unchanged
            self.assertTrue(truth.geometry.is_close(scan.geometry, 1e-6))
        return dataset

    def plan(self):
        """Small numbers typed into the form, and what they come to."""
        section = self.section("plan")
        for name, text in SMALL.items():
            row = section.form.rows[name]
            row.editor.text = text
            row.editor.editingFinished.emit()
        section._onDevice("cpu")
        self.assertEqual(set(json.loads(self.parameters.parametersJson)), set(SMALL))
        self.press(section.ui.measureButton)
        self.wait(lambda: section._task is None)
        self.assertIsNotNone(section.report, section.ui.statusLabel.text)
        self.assertGreater(section.report.seconds_per_epoch, 0)
        planned = {one.name: one.value for one in section.report.parameters}
        self.assertEqual((planned["epochs"], planned["base_width"]), (12, 8))

    def train(self):
        """Begun, paused, continued, finished."""
        section = self.section("run")
        ui = section.ui
        self.press(ui.newFolderButton)
        self.press(ui.startButton)
        run = section.run
        self.wait(lambda: (run.state == "running" and run.status.step >= 5) or run.state == "failed")
        section.look()
        self.press(ui.pauseButton)
        self.wait(lambda: run.state == "paused")
        section.look()
        self.assertEqual(ui.pauseButton.text, "Continue")
        self.press(ui.pauseButton)
        self.wait(lambda: not run.status.live)
        section.look()
        self.assertEqual(run.state, "finished", run.status.message)
        self.assertIn("Finished", ui.statusLabel.text)
        self.assertEqual(len(run.history()), 12)
        return run

    def checkCurves(self, run):
        """The numbers of the plots are those of the history."""
        plots, history = self.section("run").pictures.plots, run.history()
        table = plots.node("table", "epochs")
        self.assertEqual(column(table, "epoch"), [row["epoch"] for row in history])
        for name, key in (("output_psnr_db", "output"), ("baseline_psnr_db", "input")):
            self.assertEqual(column(table, name), [row[f"validation_{key}_psnr_db"] for row in history])
        self.assertEqual(column(plots.node("table", "steps"), "step")[-1], run.status.steps)
        chart = plots.node("chart", "metric-psnr_db")
        self.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 2)
        likeness = column(table, "l1")
        self.assertLess(likeness[-1], likeness[0])

    def measure(self, dataset):
        """The model of the run is chosen by itself; the table has a row for the test patient, the filters beside."""
        section = self.section("evaluation")
        ui = section.ui
        self.press(ui.evaluateButton)
        self.wait(lambda: section.task is None)
        self.assertIsNotNone(section._results.results, ui.statusLabel.text)
        content = section._results.results.content
        self.assertEqual(ui.verdictLabel.text, content["verdict"])
        self.press(ui.showTableButton)
        (table,) = [node for node in slicer.util.getNodesByClass("vtkMRMLTableNode") if "patients" in node.GetName()]
        (test,) = dataset.split("test")
        self.assertEqual(column(table, "Patient"), [test.patient])
        (row,) = content["patients"]
        for method in ("output", "input", "gaussian", "nlm"):
            shown = column(table, f"PSNR (dB), {content['methods'][method]}")
            self.assertEqual(shown, [row[f"{method}_psnr_db"]])

    def install(self):
        """Into the list of MedGAN Synthesis, which has been looked at before."""
        self.openSynthesis()
        self.assertNotIn("Our denoiser", self.offered())
        self.open()
        ui = self.section("evaluation").ui
        ui.nameLineEdit.text = "Our denoiser"
        ui.licenceComboBox.setEditText("Apache-2.0")
        self.press(ui.installButton)
        self.assertIn("Our denoiser", ui.statusLabel.text)
        (bundle,) = [one for one in find_bundles("denoise-ct") if one.title == "Our denoiser"]
        self.assertEqual(bundle.licence, "Apache-2.0")
        self.assertIn(self.folder / "models", bundle.path.parents)
        return bundle

    def apply(self, bundle):
        """The panel of MedGAN Synthesis gives a new volume on the grid of the scan."""
        self.openSynthesis()
        node = addVolumeNode(self.scans["Chest"], "Chest")
        scan, ui = voxels(node), self.synthesis.ui
        ui.sourceVolumeSelector.setCurrentNode(node)
        ui.modelComboBox.currentIndex = self.offered().index("Our denoiser")
        before = nodeIDs()
        self.press(ui.applyButton)
        self.wait(lambda: not self.synthesis.logic.jobs)
        made = [slicer.mrmlScene.GetNodeByID(nodeID) for nodeID in nodeIDs() - before]
        (result,) = [one for one in made if one.IsA("vtkMRMLScalarVolumeNode")]
        self.assertEqual(result.GetAttribute("MedGAN.Model"), bundle.name)
        self.assertEqual(gridBits(result), gridBits(node))
        self.assertEqual(voxels(result).shape, scan.shape)
        self.assertTrue((voxels(result) != scan).any())
        np.testing.assert_array_equal(voxels(node), scan)
        self.assertLess(np.abs(voxels(result).astype(float) - scan).mean(), 50)  # HU: still the same scan

    def openSynthesis(self):
        """Leave the module for MedGAN Synthesis, and choose the effect."""
        self.widget.exit()
        slicer.util.selectModule("MedGANSynthesis")
        self.synthesis = slicer.util.getModuleWidget("MedGANSynthesis")
        self.synthesis.enter()
        slicer.util.findChild(self.synthesis.ui.effectsFrame, "denoise-ctEffectButton").click()

    def offered(self):
        """What the list of models offers."""
        combo = self.synthesis.ui.modelComboBox
        return [combo.itemText(index) for index in range(combo.count)]

    def pick(self, box, data):
        """Choose an entry as a user does."""
        box.currentIndex = box.findData(data)
        box.activated.emit(box.currentIndex)

    def press(self, button):
        self.assertTrue(button.enabled, f"{button.objectName}: {button.toolTip}")
        button.click()

    def texts(self, table, index):
        return [table.item(row, index).text() for row in range(table.rowCount)]


if __name__ == "__main__":
    unittest.main()
