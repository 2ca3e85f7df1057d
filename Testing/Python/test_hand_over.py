"""Hand-over: a trained model is in MedGANSynthesis' list at once, with its card; packages go out, models come back."""

import importlib.util
import json
import shutil
import unittest
from pathlib import Path

import evaluation_fixtures
import slicer
from medgan import model_store
from medgan.bundle import Bundle
from medgan.errors import InputError, MedGANError
from medgan.evaluation_results import EvaluationResults
from medgan.hand_over import folder_name, hand_over
from training_panel_fixtures import CAN_MEASURE, TrainingPanelTest


def results(folder, bundle, **values):
    """Results on disk as an evaluation of a bundle writes them, of two patients."""
    folder.mkdir(parents=True, exist_ok=True)
    patients = [{"patient": "Doe^Jane", "cases": 1, **values}, {"patient": "Roe^Max", "cases": 2, **values}]
    model = {"name": bundle.name, "title": bundle.title, "sha256": bundle.sha256, "path": str(bundle.path)}
    content = {"schema": 1, "patients": patients, "models": {"output": model}}
    (folder / "results.json").write_text(json.dumps(content))
    return EvaluationResults.load(folder)


class HandOverTest(TrainingPanelTest):
    def run_folder(self, name="run", **fields):
        """The folder of a finished training."""
        facts = {"data": "three heads", "licence": "CC0-1.0", "patients": 3, "cases": 4}
        fields = {"training": facts, "fingerprint": {"patients": 3}, **fields}
        return Bundle.create_identity(self.folder / name / "bundle", name="trained-denoiser", **fields).path.parent

    def listed(self):
        """What MedGANSynthesis offers for denoising."""
        ui = slicer.util.getModuleWidget("MedGANSynthesis").ui
        return [ui.modelComboBox.itemText(index) for index in range(ui.modelComboBox.count)]

    def openSynthesis(self):
        slicer.util.selectModule("MedGANSynthesis")
        widget = slicer.util.getModuleWidget("MedGANSynthesis")
        widget.enter()
        self.addCleanup(widget.exit)
        slicer.util.findChild(widget.ui.effectsFrame, "denoise-ctEffectButton").click()

    def test_theListIsUpToDateAtOnce(self):
        self.openSynthesis()
        self.assertNotIn("My denoiser", self.listed())
        bundle = self.logic.install(self.run_folder(title="As trained"), "My denoiser", "CC-BY-4.0")
        self.assertIn("My denoiser", self.listed())
        self.assertEqual(bundle.path, self.models / "trained" / "My-denoiser")
        (entry,) = [entry for entry in model_store.installed() if entry.name == "My-denoiser"]
        self.assertEqual((entry.origin, entry.removable), ("trained", True))

    def test_theInstalledModelIsApplied(self):
        import numpy as np

        self.logic.install(self.run_folder(), "My denoiser", "CC-BY-4.0")
        array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
        source = slicer.util.addVolumeFromArray(array, name="CT")
        synthesis = slicer.util.getModuleLogic("MedGANSynthesis")
        self.addCleanup(synthesis.stopEngine)
        output = synthesis.apply("denoise-ct", source, model="My-denoiser")
        self.assertTrue((slicer.util.arrayFromVolume(output) == array).all())

    def test_theCardTellsOfDataPatientsLicenceAndMetrics(self):
        folder = self.run_folder()
        measured = results(self.folder / "out", Bundle.load(folder / "bundle"), output_psnr_db=40.0, input_psnr_db=35.5,
                           against_psnr_db=1.0)  # fmt: skip
        bundle = hand_over(folder / "bundle", title="My denoiser", licence="CC-BY-4.0", results=measured)
        card = (bundle.path / "docs" / "README.md").read_text(encoding="utf-8")
        for words in ("# My denoiser", "three heads", "patients: 3", "CC-BY-4.0", "output | 40", "input | 35.5"):
            self.assertIn(words, card)
        for words in ("Jane", "Roe", "against"):  # the card travels
            self.assertNotIn(words, card)
        self.assertEqual((bundle.licence, (bundle.path / "LICENSE").read_text()), ("CC-BY-4.0", "CC-BY-4.0\n"))
        self.assertEqual([row["output_psnr_db"] for row in bundle.manifest.results], [40.0, 40.0])
        bundle.verify()
        untouched = Bundle.load(folder / "bundle")
        self.assertEqual((untouched.title, untouched.licence), ("Identity (returns its input)", "CC0-1.0"))

    def test_resultsOfOtherWeightsAreRefused(self):
        bundle = Bundle.load(self.run_folder() / "bundle")
        measured = results(self.folder / "out", bundle, output_psnr_db=40.0)
        measured.content["models"]["output"]["sha256"] = "of other weights"
        with self.assertRaisesRegex(InputError, "of another model"):
            hand_over(bundle, results=measured)
        self.assertFalse((self.models / "trained").exists())

    def test_aNameThatIsTaken(self):
        run = self.run_folder()
        self.assertEqual(self.logic.install(run).name, "trained-denoiser")
        second = self.logic.install(run)
        self.assertEqual((second.name, second.title), ("trained-denoiser-2", "Identity (returns its input) 2"))
        self.assertEqual(self.logic.install(run, "trained denoiser", replace=True).name, "trained-denoiser")
        with self.assertRaisesRegex(InputError, "already a model named 'trained-denoiser'"):
            self.logic.install(run, "trained denoiser")
        with self.assertRaisesRegex(InputError, "already a model named 'denoise-ct-multi' .shipped."):
            self.logic.install(run, "denoise-ct-multi", replace=True)
        with self.assertRaisesRegex(InputError, "use letters and digits"):
            folder_name("???")
        self.assertEqual(len([entry for entry in model_store.installed() if entry.origin == "trained"]), 2)

    def test_noFinishedModel(self):
        (self.folder / "begun").mkdir()

        class Run:
            folder = self.folder / "begun"

        with self.assertRaisesRegex(InputError, "no finished model yet"):
            self.logic.install(Run())
        with self.assertRaises(MedGANError):
            self.logic.install(self.folder / "nowhere")

    def test_aModelComesBack(self):
        self.openSynthesis()
        run = self.run_folder(title="From the server")
        self.assertEqual(self.logic.importBundle(run).title, "From the server")
        self.assertIn("From the server", self.listed())
        with self.assertRaisesRegex(InputError, "already a model named"):
            self.logic.importBundle(run / "bundle")
        packed = shutil.make_archive(str(self.folder / "packed"), "zip", run / "bundle")
        self.assertEqual(self.logic.importBundle(packed, replace=True).title, "From the server")

    def test_thePanelAsksForTheLicence(self):
        run = self.run_folder(title="As trained")
        self.parameters.evaluationBundle = str(run / "bundle")
        section = self.section("evaluation")
        ui = section.ui
        self.assertFalse(ui.installButton.enabled)
        ui.licenceComboBox.setEditText("CC-BY-4.0")
        self.assertTrue(ui.installButton.enabled)
        ui.nameLineEdit.text = "Panel's own"
        ui.installButton.click()
        self.assertIn("'Panel's own' is in the list", ui.statusLabel.text)
        (bundle,) = [entry.bundle for entry in model_store.installed() if entry.origin == "trained"]
        self.assertEqual((bundle.title, bundle.licence), ("Panel's own", "CC-BY-4.0"))
        self.assertIn("Panel's own (installed)", [ui.modelComboBox.itemText(i) for i in range(ui.modelComboBox.count)])
        ui.installButton.click()
        self.assertIn("already a model named", ui.statusLabel.text)
        self.parameters.evaluationBundle = str(bundle.path)
        self.assertFalse(ui.installButton.enabled)  # it is installed

    @unittest.skipUnless(importlib.util.find_spec("torch"), "planning needs PyTorch")
    def test_aPackageGoesOut(self):
        from medgan.package import import_package
        from medgan.plan import make_plan
        from medgan.recipes import recipe_class

        dataset = evaluation_fixtures.denoising(self.folder / "data", patients=1)
        plan = make_plan(recipe_class("denoise-ct"), dataset, overrides={"epochs": 1})
        path, done = self.folder / "package.zip", []
        self.assertEqual(self.logic.exportPackage(dataset, path, plan), path)
        self.assertEqual(import_package(path, self.folder / "there").task, "denoise-ct")
        task = self.logic.exportPackage(dataset.folder, path, plan.to_dict(), wait=False, onDone=done.append)
        self.assertEqual((task.wait(), done), (path, [task]))
        plan.save(self.folder / "plan.json")
        with self.assertRaisesRegex(MedGANError, "could not be written|cannot be written|is no folder|not a directory"):
            self.logic.exportPackage(dataset, path / "package.zip", self.folder / "plan.json")

    def test_thePanelPacksWithThePlanOfItsSection(self):
        dataset = evaluation_fixtures.denoising(self.folder / "data", patients=1)
        section = self.section("evaluation")
        self.assertFalse(section.ui.exportPackageButton.enabled)
        self.parameters.datasetFolder = str(dataset.folder)
        section.ui.exportPackageButton.click()
        self.assertIn("no plan for this dataset yet", section.ui.statusLabel.text)
        section.plan, section._handOver.chooseTarget = (
            lambda: {"damaged": True},
            lambda: str(self.folder / "package.zip"),
        )
        section.ui.exportPackageButton.click()
        self.assertEqual(section.ui.exportPackageButton.text, "Cancel packing")
        self.wait(lambda: section._handOver._packing is None)
        self.assertIn("no plan of a training", section.ui.statusLabel.text)
        self.assertEqual(section.ui.exportPackageButton.text, "Export training package...")
        self.assertFalse((self.folder / "package.zip").exists())

    @unittest.skipUnless(CAN_MEASURE, "measuring needs scikit-image, scipy and matplotlib")
    def test_whatWasMeasuredGoesOntoTheCard(self):
        dataset = evaluation_fixtures.denoising(self.folder / "data", patients=2)
        run = self.run_folder()
        measured = self.logic.evaluate(run / "bundle", dataset, baselines=False, errorMaps=False).results.content
        bundle = self.logic.install(run, licence="CC0-1.0", dataset=dataset)
        self.assertEqual(
            [row["output_psnr_db"] for row in bundle.manifest.results],
            [row["output_psnr_db"] for row in measured["patients"]],
        )
        self.assertNotIn("test-0", Path(bundle.path / "docs" / "README.md").read_text())


if __name__ == "__main__":
    unittest.main()
