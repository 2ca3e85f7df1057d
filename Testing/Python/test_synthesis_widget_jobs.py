"""Jobs in the panel: cancelled in the middle, queued, killed, left alone while another module is shown."""

import unittest
from typing import ClassVar

import slicer
from panel_fixtures import TASK, PanelTest, kill
from slicer_fixtures import FAKE_WORKER, addVolume, nodeIDs, processEventsUntil, randomArray


class SynthesisWidgetJobsTest(PanelTest):
    worker = FAKE_WORKER
    models: ClassVar = {
        kind: {"task": TASK} for kind in ("copy", "slow", "stuck", "crash", "raise", "input-error", "no-torch")
    }

    def begin(self, model, name="CT"):
        """Press Apply and wait until the worker is in the middle of it."""
        node = self.choose(source=addVolume(randomArray(), name=name), model=model)
        self.ui.applyButton.click()
        job = self.widget.logic.jobs[-1]
        return node, job

    def inTheMiddle(self, job):
        self.assertTrue(processEventsUntil(lambda: job.progress > 0.0 or job.finished))
        self.assertEqual(job.state, "running")

    def test_progressAndCancelInTheMiddle(self):
        before = nodeIDs()
        node, job = self.begin("stuck")
        self.assertEqual(self.ui.applyButton.text, "Cancel")
        self.assertFalse(self.ui.progressBar.isHidden())
        self.inTheMiddle(job)
        self.assertEqual(self.ui.progressBar.value, 25)
        self.assertIn("stuck", self.ui.statusLabel.text)
        self.assertTrue(self.ui.cancelAllButton.isHidden())
        self.ui.applyButton.click()
        self.assertEqual((job.state, self.ui.applyButton.text), ("cancelled", "Apply"))
        self.assertTrue(self.ui.progressBar.isHidden())
        self.assertIn("Cancel", self.ui.statusLabel.text)
        self.assertEqual(
            nodeIDs() - before - {node.GetID()} & {image.GetID() for image in self.newImages(before)}, set()
        )
        self.chooseModel("copy")
        self.assertEqual(len(self.apply()), 1)

    def test_remainingTimeIsSaid(self):
        _node, job = self.begin("slow")
        self.assertTrue(processEventsUntil(lambda: job.finished or " s left" in self.ui.statusLabel.text))
        self.assertFalse(job.finished)
        self.finish()
        self.assertNotIn(" s left", self.ui.statusLabel.text)

    def test_twoVolumesQueue(self):
        _first, firstJob = self.begin("slow", "First")
        self.inTheMiddle(firstJob)
        _second, secondJob = self.begin("copy", "Second")
        self.assertEqual(self.widget.logic.jobs, (firstJob, secondJob))
        self.assertFalse(self.ui.cancelAllButton.isHidden())
        self.assertIn("1 more in the queue", self.ui.statusLabel.text)
        self.assertEqual(self.ui.applyButton.text, "Cancel")
        self.ui.sourceVolumeSelector.setCurrentNode(addVolume(randomArray(), name="Third"))
        self.assertEqual(self.ui.applyButton.text, "Apply")
        before = nodeIDs()
        self.finish()
        names = [node.GetName() for node in self.newImages(before)]
        self.assertEqual(names, ["First denoised", "Second denoised"])
        self.assertTrue(self.ui.cancelAllButton.isHidden())

    def test_cancelOfTheSelectedVolumeLeavesTheOther(self):
        first, firstJob = self.begin("slow", "First")
        _second, secondJob = self.begin("copy", "Second")
        self.ui.applyButton.click()
        self.assertEqual((secondJob.state, firstJob.finished), ("cancelled", False))
        self.ui.sourceVolumeSelector.setCurrentNode(first)
        self.assertEqual(self.ui.applyButton.text, "Cancel")
        self.finish()
        self.assertEqual(firstJob.state, "done")

    def test_cancelAll(self):
        jobs = [self.begin("stuck", "First")[1], self.begin("copy", "Second")[1], self.begin("copy", "Third")[1]]
        before = nodeIDs()
        self.ui.cancelAllButton.click()
        self.assertEqual([job.state for job in jobs], ["cancelled"] * 3)
        self.assertEqual((self.widget.logic.jobs, self.ui.applyButton.text), ((), "Apply"))
        self.assertEqual(nodeIDs(), before)

    def test_workerThatDiesIsOneLineAndTheNextRunWorks(self):
        self.choose(model="crash")
        self.assertEqual(self.apply(), [])
        self.assertOneLine("ended unexpectedly")
        self.chooseModel("copy")
        self.assertEqual(len(self.apply()), 1)
        self.assertIn("Done", self.ui.statusLabel.text)

    def test_workerThatIsKilledInTheMiddle(self):
        from MedGANSynthesisLib.engineClient import engineClient

        _node, job = self.begin("stuck")
        self.inTheMiddle(job)
        kill(engineClient().worker_pid)
        self.finish()
        self.assertOneLine("ended unexpectedly")
        self.chooseModel("copy")
        self.assertEqual(len(self.apply()), 1)

    def test_whatTheWorkerSaysIsOneLine(self):
        self.choose(model="input-error")
        for model, words in (("input-error", "upside down"), ("raise", "no such thing"), ("no-torch", "PyTorch")):
            self.chooseModel(model)
            self.assertEqual(self.apply(), [])
            self.assertOneLine(words)

    def test_undoWaitsForTheQueue(self):
        self.choose(model="copy")
        self.ui.inPlaceCheckBox.checked = True
        self.apply()
        self.assertTrue(self.ui.undoButton.enabled)
        self.begin("stuck", "Other")
        self.assertFalse(self.ui.undoButton.enabled)
        self.ui.applyButton.click()
        self.assertTrue(self.ui.undoButton.enabled)

    def test_jobGoesOnWhileAnotherModuleIsShown(self):
        before = nodeIDs()
        _node, job = self.begin("slow")
        self.widget.exit()
        self.assertTrue(processEventsUntil(lambda: job.finished))
        self.assertEqual([node.GetName() for node in self.newImages(before)], ["CT", "CT denoised"])
        self.widget.enter()
        self.assertIn("Done", self.ui.statusLabel.text)
        self.assertEqual(self.ui.applyButton.text, "Apply")

    def test_sourceDeletedWhileRunning(self):
        node, _job = self.begin("slow", "Gone")
        slicer.mrmlScene.RemoveNode(node)
        self.finish()
        self.assertOneLine("Gone")
        self.assertEqual(self.ui.applyButton.text, "Apply")

    def test_sceneClosedWhileRunning(self):
        _node, job = self.begin("slow", "Old")
        self.inTheMiddle(job)
        slicer.mrmlScene.Clear(0)
        self.finish()
        self.assertIn("Old", self.ui.statusLabel.text)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])
        self.choose(model="copy")
        self.assertEqual(len(self.apply()), 1)


if __name__ == "__main__":
    unittest.main()
