"""EvaluationSection: measures models, compares them, and hands them over."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

from medgan.dataset import Dataset
from medgan.errors import MedGANError
from medgan.evaluation_results import RESULTS, EvaluationResults
from MedGANSynthesisLib.models import modelChanges
from slicer.i18n import tr as _

from ..EngineTask import EngineTask
from ..Section import Section
from .BundleChoice import BundleChoice, bundlesOf
from .EvaluationCommand import evaluationFolder, measure, modelOf
from .EvaluationResult import EvaluationResult
from .HandOverBox import HandOverBox
from .ResultsBox import ResultsBox


class EvaluationSection(Section):
    """What was measured lies beside the dataset, and is shown again whenever model and dataset are chosen.

    Args:
        plan: gives the plan for what is chosen in the panel (``PlanReport``), None while there is none.

    Attributes:
        dataset: the dataset that is chosen, None where it is not finished or damaged.
        task: the evaluation that runs, an ``EngineTask``, else None.
    """

    uiName = "EvaluationSection"

    def __init__(self, logic, onChanged: Callable[[], None], plan: Callable[[], object] = lambda: None):
        super().__init__(logic, onChanged)
        self.plan = plan
        self.dataset: Dataset | None = None
        self._datasetError, self._outdated = "", False
        self.task: EngineTask | None = None
        self._seen: dict[str, tuple] = {}  # what was read of files last, and when they were written
        self._titles: dict[str, str] = {}  # of the models that can be measured
        self._models = BundleChoice(self.ui.modelComboBox, _("Choose a model"), self._onModel)
        self._others = BundleChoice(self.ui.againstComboBox, _("No other model"), self._onAgainst)
        self._results = ResultsBox(self.ui, self._show)
        self._handOver = HandOverBox(self, self._show)
        self.ui.evaluateButton.connect("clicked()", self.evaluateOrCancel)
        modelChanges.addObserver(self._onModelsChanged)

    def update(self) -> None:
        parameters = self.parameters
        self._readDataset(parameters.datasetFolder)
        self._findModels(self.dataset.task if self.dataset is not None else parameters.task)
        self._models.show(self._titles, self._chosen())
        self._others.show(self._titles, parameters.evaluationAgainst)
        self._readResults()
        self._handOver.update()
        running, obstacle = self.task is not None, self._obstacle()
        self.ui.evaluateButton.text = _("Cancel") if running else _("Evaluate")
        self.ui.evaluateButton.enabled = running or not obstacle
        self.ui.progressBar.visible = running
        if self._outdated and not obstacle:
            obstacle = _("This model was measured on an earlier version of the dataset; evaluate it again.")
        self.ui.obstacleLabel.text = html.escape(obstacle, quote=False)
        self.ui.obstacleLabel.visible = bool(obstacle) and not running

    def leave(self) -> None:
        self._results.forget()
        self._forgetModels()  # they may come and go meanwhile

    def cleanup(self) -> None:
        modelChanges.removeObserver(self._onModelsChanged)
        self._handOver.cleanup()
        if self.task is not None:
            self.task.end()
            self.task = None

    def evaluateOrCancel(self) -> None:
        """Measure the chosen model, or stop measuring."""
        if self.task is not None:
            self.task.cancel()
            return
        parameters = self.parameters
        try:
            self.task = measure(
                parameters.evaluationBundle,
                self.dataset,
                parameters.evaluationAgainst or None,
                parameters.device,
                parameters.evaluationBaselines,
                parameters.evaluationErrorMaps,
                self._onProgress,
                self._onDone,
            )
            self.ui.progressBar.value = 0
            self._show(_("Starting."))
        except MedGANError as error:
            self._show(str(error))
        self.update()

    def _obstacle(self) -> str:
        """Why nothing can be measured, in one sentence; '' if something can."""
        if self.dataset is None:
            return self._datasetError
        if not self.parameters.evaluationBundle:
            return _("Choose a model to measure; a training makes one.")
        return ""

    def _findModels(self, task: str) -> None:
        """Look for models again if there may be others."""
        bundle = Path(self.parameters.runFolder) / "bundle" / "configs" / "metadata.json"
        stamp = (task, self.parameters.runFolder, _written(bundle))
        if self._seen.get("models") != stamp:
            self._seen["models"], self._titles = stamp, bundlesOf(task, self.parameters.runFolder)

    def _chosen(self) -> str:
        """The model to be measured; where none was chosen yet, that of the run that is shown."""
        parameters = self.parameters
        own = str((Path(parameters.runFolder) / "bundle").resolve()) if parameters.runFolder else ""
        if not parameters.evaluationBundle and own in self._titles:
            parameters.evaluationBundle = own
        return parameters.evaluationBundle

    def _forgetModels(self) -> None:
        self._seen.pop("models", None)

    def _onModelsChanged(self) -> None:
        self._forgetModels()
        if self.parameters is not None:
            self.update()

    def _readDataset(self, folder: str) -> None:
        """Read the dataset if its file has changed."""
        stamp = (folder, _written(Path(folder) / "dataset.json") if folder else None)
        if self._seen.get("dataset") == stamp:
            return
        self._seen["dataset"], self.dataset, self._datasetError = stamp, None, ""
        if stamp[1] is None:
            self._datasetError = _("Finish the dataset first; a model is measured on its test cases.")
        else:
            try:
                self.dataset = Dataset.load(folder)
            except MedGANError as error:
                self._datasetError = str(error)
        text = _testCases(self.dataset) if self.dataset is not None else _("No dataset")
        self.ui.datasetLabel.text = html.escape(text, quote=False)

    def _readResults(self) -> None:
        """Show what was measured last for what is chosen, if the file has changed."""
        parameters, results = self.parameters, None
        folder = None
        if self.dataset is not None and parameters.evaluationBundle:
            try:
                other = modelOf(parameters.evaluationAgainst) if parameters.evaluationAgainst else None
                folder = evaluationFolder(modelOf(parameters.evaluationBundle), self.dataset.folder, other)
            except MedGANError as error:
                self._show(str(error))
        stamp = self._stampOf(folder)
        if self._seen.get("results") == stamp:
            return
        self._seen["results"], self._outdated = stamp, False
        if stamp[1] is not None:
            try:
                results = EvaluationResults.load(folder)
                self._outdated = not results.is_of(self.dataset)
            except MedGANError as error:
                self._show(str(error))
        self._results.show(None if self._outdated else results)

    def _stampOf(self, folder: Path | None) -> tuple:
        """What it depends on whether, and which, results are shown."""
        return folder, _written(folder / RESULTS) if folder is not None else None, self._seen.get("dataset")

    def _onProgress(self, task: EngineTask) -> None:
        self.ui.progressBar.value = round(100 * task.fraction)
        self._show(task.message)

    def _onDone(self, task: EngineTask) -> None:
        self.task = None
        self._show(str(task.error) if task.error is not None else "")
        if self.parameters is None:
            return  # the module was left, or its scene closed; the results are on disk
        self._readDataset(self.parameters.datasetFolder)
        if task.error is None and self.dataset is not None and task.result().is_of(self.dataset):
            results = task.result()
            self._seen["results"], self._outdated = self._stampOf(results.folder), False
            self._results.show(results, EvaluationResult(results))
        self.update()

    def _onModel(self, folder: str) -> None:
        if self.parameters is not None:
            self.parameters.evaluationBundle = folder

    def _onAgainst(self, folder: str) -> None:
        if self.parameters is not None:
            self.parameters.evaluationAgainst = folder

    def _show(self, text: str) -> None:
        self.ui.statusLabel.text = html.escape(text, quote=False)
        self.ui.statusLabel.visible = bool(text)


def _written(path: Path) -> int | None:
    """When a file was written, None if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _testCases(dataset: Dataset) -> str:
    """What is measured on, in words."""
    split = "test" if dataset.split("test") else "validation"
    cases = dataset.split(split)
    text = {
        "test": _("{cases} test cases of {patients} patients, {name}"),
        "validation": _("{cases} validation cases of {patients} patients (there are no test cases), {name}"),
    }[split]
    patients = len({case.patient for case in cases})
    return text.format(cases=len(cases), patients=patients, name=dataset.description or dataset.folder.name)
