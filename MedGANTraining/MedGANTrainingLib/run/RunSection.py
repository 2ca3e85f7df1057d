"""RunSection: starts a training, follows it, and finds those that Slicer did not see begin."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable

import qt
from medgan import runs as registry
from medgan.dataset import Dataset
from medgan.errors import InputError, MedGANError
from medgan.run_status import RunStatus
from MedGANSynthesisLib.panel.Later import Later
from slicer.i18n import tr as _

from ..dataset.SetupBox import taskTitles
from ..evaluation.BundleChoice import BundleChoice, bundlesOf
from ..plan.overrides import contradiction, readOverrides
from ..Section import Section
from .PicturesBox import PicturesBox
from .RunList import RunList
from .TrainingRun import OVER, TrainingRun, freeFolder, train
from .words import numbersText, progressText

_LOOK_MS = 1000
_FOLDER_MS = 400  # a path is typed letter by letter
_LIST_EVERY = 5  # looks; there may be many runs


class RunSection(Section):
    """The run in ``parameters.runFolder``. It is looked at once a second, and only while the module is shown.

    Attributes:
        run: the run that is shown, None where no folder is chosen. pictures: its curves and sample.
    """

    uiName = "RunSection"

    def __init__(self, logic, onChanged: Callable[[], None]):
        super().__init__(logic, onChanged)
        self.run: TrainingRun | None = None
        self._list = RunList(self.ui.runsTableWidget)
        self.pictures = PicturesBox(self.ui)
        self._models = BundleChoice(self.ui.startFromComboBox, _("New, from random weights"), self._onStartFrom)
        self._titles: tuple[str, dict[str, str]] = ("", {})  # task, and its models
        self._error, self._looks, self._updating = "", 0, False
        self._stateSeen = ""
        self._folderLater = Later(_FOLDER_MS, self._takeFolder)
        self._timer = qt.QTimer()
        self._timer.setInterval(_LOOK_MS)
        self._timer.connect("timeout()", self.look)
        self._connect()

    def update(self) -> None:
        parameters = self.parameters
        folder = parameters.runFolder.strip()
        self._updating = True
        try:
            typing = self._folderLater.pending
            if not typing and self.ui.runFolderPathLineEdit.currentPath.strip() != folder:
                self.ui.runFolderPathLineEdit.currentPath = folder
            if not self._timer.active or self._titles[0] != parameters.task:  # just entered: there may be new ones
                self._titles = (parameters.task, bundlesOf(parameters.task, ""))
            self._models.show(self._titles[1], parameters.startFrom)
        finally:
            self._updating = False
        if not folder:
            self.run = None
        elif self.run is None or self.run.folder != TrainingRun(folder).folder:
            self.run, self._error, self._stateSeen = TrainingRun(folder), "", ""
        if not self._timer.active:
            self._timer.start()
            self._looks = 0
        self.look()

    def leave(self) -> None:
        if self._folderLater.pending:
            self._takeFolder()
        self._timer.stop()
        self.pictures.leave()

    def cleanup(self) -> None:
        self._timer.stop()
        self._timer.disconnect("timeout()")
        self._folderLater.cleanup()
        self.pictures.cleanup()

    def look(self) -> None:
        """Look at the folder again, and show what is new."""
        if self.parameters is None:
            return
        status = self.run.status if self.run is not None else RunStatus()
        self._showStatus(status)
        self._enable(status)
        self.pictures.update(self.run)
        if self._looks % _LIST_EVERY == 0 or status.state != self._stateSeen:
            self._list.refresh()
            self._enableList()
        self._looks += 1
        ended = self._stateSeen not in ("", status.state) and status.bundle
        self._stateSeen = status.state
        if ended:
            self.onChanged()  # there is a model that other sections can list

    def start(self) -> None:
        """Begin a training, or go on with the one in the folder."""
        self._takeFolder()
        self._guarded(self._start)

    def pauseOrContinue(self) -> None:
        """Have the process wait, or go on."""
        self._guarded(self.run.resume if self.run.state == "paused" else self.run.pause)

    def stop(self) -> None:
        """End the training; it can be resumed."""
        self._guarded(self.run.stop)

    def newFolder(self) -> None:
        """Propose a folder that is free, beside the dataset."""
        parameters = self.parameters
        if parameters.datasetFolder:
            self._folderLater.cancel()
            parameters.runFolder = str(freeFolder(parameters.datasetFolder, parameters.task))

    def openPicture(self) -> None:
        """Show the picture of all curves."""
        self._open(self.run.folder / "curves.png")

    def openFolder(self) -> None:
        """Show the folder of the run in the file manager."""
        self._open(self.run.folder)

    def showSelected(self) -> None:
        """Show the run that is selected in the list."""
        if self._list.selected is not None:
            self._folderLater.cancel()
            self.parameters.runFolder = str(self._list.selected.folder)

    def resumeSelected(self) -> None:
        """Show the run that is selected in the list, and go on with it."""
        self.showSelected()
        self._guarded(self.run.resume)

    def forgetSelected(self) -> None:
        """Leave the selected run out of the list; its folder stays."""
        self._guarded(lambda: registry.forget(self._list.selected))
        self._list.refresh()
        self._enableList()

    def _connect(self) -> None:
        ui = self.ui
        actions = {
            ui.newFolderButton: self.newFolder,
            ui.startButton: self.start,
            ui.pauseButton: self.pauseOrContinue,
            ui.stopButton: self.stop,
            ui.openPictureButton: self.openPicture,
            ui.openFolderButton: self.openFolder,
            ui.showRunButton: self.showSelected,
            ui.resumeRunButton: self.resumeSelected,
            ui.forgetRunButton: self.forgetSelected,
        }
        for button, action in actions.items():
            button.connect("clicked()", action)
        ui.runFolderPathLineEdit.filters = int(qt.QDir.Dirs)
        ui.runFolderPathLineEdit.connect("currentPathChanged(QString)", self._onFolder)
        ui.runFolderPathLineEdit.connect("validInputChanged(bool)", self._onFolder)  # all that tells of an emptied one
        ui.startFromButton.connect("clicked()", self._chooseModel)
        ui.runsTableWidget.connect("itemSelectionChanged()", self._enableList)
        ui.runsTableWidget.connect("cellDoubleClicked(int,int)", lambda row, column: self.showSelected())

    def _start(self) -> None:
        parameters = self.parameters
        if not self._isFresh(self.run.status if self.run is not None else RunStatus()):
            self.run.resume()
            return
        if not parameters.datasetFolder:
            raise InputError(_("Choose or make a dataset first."))
        overrides = readOverrides(parameters.task, parameters.parametersJson)
        problem = contradiction(parameters.task, parameters.preset, overrides)
        if problem:
            raise InputError(problem)
        dataset = Dataset.load(parameters.datasetFolder)
        if dataset.task != parameters.task:
            message = _("The dataset was made for {task}; choose that task in the plan, or another dataset.")
            raise InputError(message.format(task=taskTitles().get(dataset.task, dataset.task)))
        if not parameters.runFolder.strip():
            self.newFolder()
        train(
            dataset,
            parameters.runFolder.strip(),
            parameters.preset,
            parameters.device,
            parameters.startFrom,
            parameters=overrides,
            name=self.ui.nameLineEdit.text.strip(),
        )

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something, and show in one line why it could not be done."""
        self._error = ""
        try:
            action()
        except MedGANError as error:
            self._error = str(error)
            logging.error(self._error)
        except Exception as error:
            logging.exception("MedGAN Training failed unexpectedly")
            message = _("Something unexpected went wrong ({reason}); the log says more.")
            self._error = message.format(reason=" ".join(str(error).split()))
        self._looks = 0
        self.look()

    def _showStatus(self, status: RunStatus) -> None:
        ui = self.ui
        ui.progressBar.value = round(100 * status.fraction)
        ui.progressBar.visible = status.state != "new"
        lines = [html.escape(progressText(status), quote=False)] if self.run is not None else []
        if status.message and not (status.state == "running" and status.epochs):
            lines.append(html.escape(status.message, quote=False))
        if self._error:
            lines = [f'<font color="#d62728"><b>!</b></font> {html.escape(" ".join(self._error.split()), quote=False)}']
        ui.statusLabel.text = "<br>".join(lines)
        ui.numbersLabel.text = html.escape(numbersText(status), quote=False)
        ui.warningsLabel.text = "<br>".join(
            html.escape(_("Warning: {sentence}").format(sentence=sentence), quote=False) for sentence in status.warnings
        )
        for label in (ui.numbersLabel, ui.warningsLabel):
            label.visible = bool(label.text)

    def _enable(self, status: RunStatus) -> None:
        ui, state = self.ui, status.state
        obstacle = self._obstacle(status)
        fresh = self._isFresh(status)
        ui.startButton.text = _("Start training") if fresh else _("Resume training")
        ui.startButton.enabled = not obstacle
        begin = _("Train in the background; it goes on when Slicer is closed.")
        ui.startButton.toolTip = obstacle or (begin if fresh else _("Go on from the last checkpoint."))
        ui.pauseButton.text = _("Continue") if state == "paused" else _("Pause")
        ui.pauseButton.enabled = state in ("running", "paused")
        ui.stopButton.enabled = status.live
        exists = self.run is not None and self.run.folder.is_dir()
        ui.openFolderButton.enabled = exists
        ui.openPictureButton.enabled = exists and (self.run.folder / "curves.png").exists()
        for widget in (ui.nameLineEdit, ui.startFromComboBox, ui.startFromButton):
            widget.enabled = fresh
        ui.newFolderButton.enabled = bool(self.parameters.datasetFolder)

    def _obstacle(self, status: RunStatus) -> str:
        """Why nothing can be started, '' if something can."""
        if status.live:
            return _("The training is running.")
        if status.state in OVER:
            return _("This training is finished; to train further, choose New and start from its model.")
        if status.state == "diverged":
            return _("The training diverged; choose New for another folder, and other parameters.")
        if self._isFresh(status) and not self.parameters.datasetFolder:
            return _("Choose or make a dataset first.")
        return ""

    def _isFresh(self, status: RunStatus) -> bool:
        """Whether a training in the folder would begin from the start, with what is chosen now."""
        return not status.live and (self.run is None or not self.run.has_checkpoint)

    def _enableList(self) -> None:
        run = self._list.selected
        state = run.state if run is not None else ""
        self.ui.showRunButton.enabled = self.ui.forgetRunButton.enabled = run is not None
        self.ui.resumeRunButton.enabled = state in ("paused", "stopped", "failed", "interrupted")

    def _open(self, path) -> None:
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path))):
            self._error = _("{path} cannot be shown; open it in your file manager.").format(path=path)
            self.look()

    def _chooseModel(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Choose the folder of a model"))
        if folder:
            self.parameters.startFrom = folder

    def _onFolder(self, *_arguments) -> None:
        if not self._updating and self.parameters is not None:
            self._folderLater.request()

    def _takeFolder(self) -> None:
        """Take over what was typed."""
        self._folderLater.cancel()
        path = self.ui.runFolderPathLineEdit.currentPath.strip()
        if self.parameters is not None and self.parameters.runFolder.strip() != path:
            self.parameters.runFolder = path

    def _onStartFrom(self, value: str) -> None:
        if not self._updating and self.parameters is not None:
            self.parameters.startFrom = value
