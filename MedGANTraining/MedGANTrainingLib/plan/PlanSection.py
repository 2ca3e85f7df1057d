"""PlanSection: task, preset, device and parameters of a training, and what they come to with the chosen images."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from medgan import recipes
from medgan.dataset import Dataset
from medgan.errors import MedGANError
from medgan.plan_report import PlanReport
from slicer.i18n import tr as _

from ..dataset.SetupBox import taskTitles
from ..EngineTask import EngineTask
from ..Section import Section
from .DeviceChoice import DeviceChoice
from .overrides import contradiction, presetValues, readOverrides, writeOverrides
from .ParameterForm import ParameterForm
from .PlanCommand import plan
from .PlanTable import PlanTable


class PlanSection(Section):
    """The plan. What the user sets lies on the parameter node; what was measured is kept while the module lives.

    Attributes:
        form: the parameters. report: what was measured for exactly what is chosen now, else None.
    """

    uiName = "PlanSection"

    def __init__(self, logic, onChanged: Callable[[], None]):
        super().__init__(logic, onChanged)
        self._task: EngineTask | None = None
        self._reports: dict[tuple, PlanReport] = {}
        self._error = ""
        self._datasets: dict[Any, tuple[str, str]] = {}
        self.form = ParameterForm(self._onParameters, self._showParameterError)
        self.ui.parametersGroupBox.layout().addWidget(self.form.widget)
        self._table = PlanTable(self.ui.planTableWidget)
        self._devices = DeviceChoice(self.ui.deviceComboBox, self._onDevice)
        self._tasks, self._presets = recipes.names(), []
        titles = taskTitles()
        self.ui.taskComboBox.addItems([titles.get(task, task) for task in self._tasks])
        self._connect()

    @property
    def overrides(self) -> dict[str, Any]:
        """The parameters that the user set and that the task has."""
        return readOverrides(self.parameters.task, self.parameters.parametersJson)

    @property
    def report(self) -> PlanReport | None:
        return self._reports.get(self._key()) if self.parameters is not None else None

    def update(self) -> None:
        parameters, ui = self.parameters, self.ui
        task = parameters.task if parameters.task in self._tasks else self._tasks[0]
        self._fillPresets(task)
        preset = parameters.preset if parameters.preset in self._presets else "recommended"
        if (task, preset) != (parameters.task, parameters.preset):  # of a scene of another version
            with slicer.util.NodeModify(parameters.parameterNode):
                parameters.task, parameters.preset = task, preset
            return  # the change brings us here again
        ui.taskComboBox.currentIndex = self._tasks.index(task)
        ui.presetComboBox.currentIndex = self._presets.index(preset)
        self._devices.show(parameters.device)
        overrides, report = self.overrides, self.report
        planned = {one.name: (one.value, one.reason) for one in report.parameters} if report is not None else {}
        self.form.setTask(task)
        self.form.setValues(presetValues(task, preset), overrides, planned)
        self._filter()
        self._table.show(report)
        ui.implicationsGroupBox.visible = report is not None
        ui.restoreButton.enabled = bool(overrides)
        self._showParameterError(contradiction(task, preset, overrides))
        self._enable()

    def cleanup(self) -> None:
        self._devices.cleanup()
        task, self._task = self._task, None
        if task is not None:
            task.end()

    def measure(self) -> None:
        """Plan and measure in the background."""
        parameters, key = self.parameters, self._key()
        self._error = ""

        def done(task: EngineTask) -> None:
            if self._task is not task:
                return
            self._task = None
            try:
                self._reports[key] = task.result()
            except MedGANError as error:
                self._error = str(error)
            if self.parameters is not None:
                self.update()

        try:
            self._task = plan(
                parameters.datasetFolder, parameters.preset, parameters.device, self.overrides, False,
                self._onProgress, done, parameters.startFrom,
            )  # fmt: skip
        except MedGANError as error:
            self._error = str(error)
        self.ui.progressBar.setRange(0, 0)
        self._enable()

    def cancel(self) -> None:
        """Stop measuring."""
        if self._task is not None:
            self._task.cancel()

    def _connect(self) -> None:
        ui = self.ui
        ui.taskComboBox.connect("activated(int)", self._onTask)
        ui.presetComboBox.connect("activated(int)", self._onPreset)
        ui.devicesButton.connect("clicked()", self._devices.ask)
        ui.measureButton.connect("clicked()", self.measure)
        ui.cancelButton.connect("clicked()", self.cancel)
        ui.restoreButton.connect("clicked()", self.form.restoreDefaults)
        ui.searchLineEdit.connect("textChanged(QString)", lambda text: self._filter())
        ui.changedCheckBox.connect("toggled(bool)", lambda checked: self._filter())

    def _fillPresets(self, task: str) -> None:
        presets = sorted(recipes.recipe_class(task).PRESETS, reverse=True)  # recommended first
        if presets != self._presets:
            titles = {"recommended": _("Recommended"), "published": _("As published")}
            self._presets = presets
            self.ui.presetComboBox.clear()
            self.ui.presetComboBox.addItems([titles.get(preset, preset) for preset in presets])

    def _filter(self) -> None:
        self.form.filter(self.ui.searchLineEdit.text, self.ui.changedCheckBox.checked)

    def _enable(self) -> None:
        ui, busy, obstacle = self.ui, self._task is not None, self._obstacle()
        ui.measureButton.enabled = not busy and not obstacle
        toolTip = _(
            "Read the training images, fit the plan to them and to this computer, and measure some steps in the "
            "background. Nothing is kept of what they learn."
        )
        ui.measureButton.toolTip = obstacle or toolTip
        ui.progressBar.visible = ui.cancelButton.visible = busy
        if busy:
            text = html.escape(self._task.message or _("Starting..."), quote=False)
        elif self._error:
            text = f'<font color="#d62728"><b>!</b></font> {html.escape(self._error, quote=False)}'
        else:
            text = html.escape(obstacle, quote=False)
        ui.statusLabel.text = text
        ui.statusLabel.visible = bool(text)

    def _obstacle(self) -> str:
        """Why nothing can be measured, in one sentence; '' if something can."""
        if not self.parameters.datasetFolder:
            return _("Choose or make a dataset first.")
        task, problem = self._dataset()
        if problem:
            return problem
        if task != self.parameters.task:
            return _("The dataset was made for {task}; choose that task or another dataset.").format(
                task=taskTitles().get(task, task)
            )
        return contradiction(task, self.parameters.preset, self.overrides)

    def _dataset(self) -> tuple[str, str]:
        """Task of the dataset, and what is wrong with it; it is read again when its file has changed."""
        folder = Path(self.parameters.datasetFolder)
        try:
            stamp = (str(folder), (folder / "dataset.json").stat().st_mtime_ns)
        except OSError:
            return "", _("The dataset is not finished yet; finish it above.")
        if stamp not in self._datasets:
            try:
                self._datasets = {stamp: (Dataset.load(folder).task, "")}
            except MedGANError as error:
                self._datasets = {stamp: ("", str(error))}
        return self._datasets[stamp]

    def _key(self) -> tuple:
        """What a measurement depends on."""
        parameters = self.parameters
        folder = Path(parameters.datasetFolder)
        try:
            stamp = (folder / "dataset.json").stat().st_mtime_ns
        except OSError:
            stamp = 0
        chosen = (parameters.task, parameters.preset, parameters.device, parameters.startFrom)
        return (str(folder), stamp, *chosen, writeOverrides(self.overrides))

    def _onProgress(self, task: EngineTask) -> None:
        self.ui.progressBar.setRange(0, 100)
        self.ui.progressBar.value = round(100 * task.fraction)
        if self.parameters is not None and self._task is not None:
            self._enable()

    def _onParameters(self, overrides: dict[str, Any]) -> None:
        if self.parameters is not None:
            self.parameters.parametersJson = writeOverrides(overrides)

    def _onTask(self, index: int) -> None:
        self.parameters.task = self._tasks[index]

    def _onPreset(self, index: int) -> None:
        self.parameters.preset = self._presets[index]

    def _onDevice(self, name: str) -> None:
        self.parameters.device = name

    def _showParameterError(self, sentence: str) -> None:
        escaped = html.escape(sentence, quote=False)
        self.ui.parameterErrorLabel.text = f'<font color="#d62728"><b>!</b></font> {escaped}' if sentence else ""
        self.ui.parameterErrorLabel.visible = bool(sentence)
