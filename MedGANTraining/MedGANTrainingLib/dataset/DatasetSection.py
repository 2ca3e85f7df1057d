"""DatasetSection: the part of the panel in which volumes become a dataset."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from medgan.draft import Draft
from medgan.draft_case import DraftCase
from medgan.draft_checks import DifferentPatients, UnitsUnknown
from medgan.errors import MedGANError
from slicer.i18n import tr as _

from ..Section import Section
from .CasesBox import CasesBox
from .FilesBox import FilesBox
from .FinishBox import FinishBox
from .FolderBox import FolderBox, remember
from .HandBox import HandBox
from .PrepareBox import PrepareBox
from .SceneBox import SceneBox
from .SetupBox import SetupBox
from .ViewBox import ViewBox


class DatasetSection(Section):
    """Boxes around one draft, which lies on disk: the parameter node only says where.

    Attributes:
        draft: the ``medgan.draft.Draft`` that is worked on, None for none.
        confirm: asks a question that is answered by yes or no; never asked but for what cannot be taken back.
    """

    uiName = "DatasetSection"

    def __init__(self, logic, onChanged: Callable[[], None]):
        super().__init__(logic, onChanged)
        self.draft: Draft | None = None
        self.confirm = slicer.util.confirmYesNoDisplay
        self.finished = False  # by what is running now
        self._opened = self._task = ""  # the folder and its task, which may be gone from the disk
        self.setup, self.folder = SetupBox(self), FolderBox(self)
        self.scenePairs, self.byHand, self.files = SceneBox(self), HandBox(self), FilesBox(self)
        self.cases, self.prepare = CasesBox(self), PrepareBox(self)
        self.views, self.finish = ViewBox(self), FinishBox(self)
        adding = (self.scenePairs, self.byHand, self.files)
        self._boxes = (self.folder, self.setup, *adding, self.cases, self.prepare, self.views, self.finish)

    @property
    def busy(self) -> bool:
        """Whether cases are being prepared; they may be looked at, but not be changed meanwhile."""
        return self.prepare.task is not None

    @property
    def selected(self) -> DraftCase | None:
        """The case selected in the table."""
        return self.cases.table.selected

    def setParameterNode(self, parameters) -> None:
        if parameters is not None and self.draft is not None and not parameters.datasetFolder:
            # The scene was closed, to load the next patient for example: the dataset is still the one worked on.
            parameters.task, parameters.datasetFolder = self._task, self._opened
        super().setParameterNode(parameters)

    def update(self) -> None:
        if self.parameters is None:
            return
        self._follow(self.parameters.datasetFolder)
        if self.guarded(self._updateBoxes):
            self._leaveDraft()  # its folder was moved, or changed by something else
            self._updateBoxes()

    def leave(self) -> None:
        for box in self._boxes:
            box.leave()

    def sceneCloses(self) -> None:
        self.scenePairs.clear()
        self.views.sceneCloses()

    def cleanup(self) -> None:
        for box in self._boxes:
            box.cleanup()
        self.draft = None

    def begin(self, folder: str) -> None:
        """Begin a dataset in a folder."""
        task, settings = self.ui.taskComboBox.currentData, self.setup.settings()
        self._goTo(folder, lambda: Draft.create(folder, task, **settings), _("The dataset was begun; add cases."))

    def open(self, folder: str) -> None:
        """Go on with the dataset in a folder."""
        self._goTo(folder, lambda: Draft.load(folder), "")

    def run(self, action: Callable[[], str | None]) -> None:
        """Do something a button asks for; what it returns is shown, and so is the error if it fails."""
        error = self.guarded(lambda: self.tell(action() or ""))
        if self.finished and not error:
            self.finished = False
            self.onChanged()
        self.update()

    def guarded(self, action: Callable[[], None]) -> str:
        """Do something. Returns the sentence that says what went wrong, which is shown then; '' if nothing did."""
        try:
            action()
        except Exception as error:
            return self.showError(error)
        return ""

    def attempt(self, add: Callable[[dict], DraftCase], remembered: dict) -> str:
        """Add a case, after asking where the engine wants to know more. Returns why it was not added, '' if it was.

        Args:
            add: called with the answers, as keywords of ``Draft.add``.
            remembered: the answers that hold for all cases that are added together.
        """
        answers = dict(remembered)
        while True:
            try:
                add(answers)
                return ""
            except DifferentPatients as error:
                question = _("{problem} Add the pair nevertheless?").format(problem=error)
                if "allow_different_patients" in answers or not self.confirm(question):
                    return str(error)
                answers["allow_different_patients"] = True
            except UnitsUnknown as error:
                question = _("{problem} Are the values Hounsfield units?").format(problem=error)
                if "assume_hu" in answers or not self.confirm(question):
                    return str(error)
                answers["assume_hu"] = remembered["assume_hu"] = True
            except MedGANError as error:
                return str(error)

    def tell(self, text: str) -> None:
        """Show a sentence in the status line."""
        self.ui.statusLabel.text = html.escape(text, quote=False)

    def showError(self, error: Exception) -> str:
        """Show what went wrong in one line; the log gets what else there is to know. Returns the sentence."""
        if isinstance(error, MedGANError):
            logging.error(str(error))
            sentence = " ".join(str(error).split())
        else:
            logging.exception("MedGAN Training failed unexpectedly", exc_info=error)
            sentence = _("Something unexpected went wrong ({reason}); the log says more.").format(reason=error)
        self.ui.statusLabel.text = f'<font color="#d62728"><b>!</b></font> {html.escape(sentence, quote=False)}'
        return sentence

    def showProgress(self, fraction: float, message: str, wait: bool = True) -> None:
        """Show how far something is; with ``wait`` it holds up the application, which is repainted here."""
        self.ui.progressBar.visible = True
        self.ui.progressBar.setRange(0, 100)
        self.ui.progressBar.value = round(100 * fraction)
        self.tell(message)
        if wait:
            slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)

    def summary(self, added: int, refused: list[str]) -> str:
        """What came of adding cases, in a line. Raises MedGANError: nothing was added."""
        if refused and not added:
            more = _("{reason} ({count} more like this)").format(reason=refused[0], count=len(refused) - 1)
            raise MedGANError(more if len(refused) > 1 else refused[0])
        if refused:
            text = _("Added: {added}. Left out: {count}, the first because: {reason}")
            return text.format(added=added, count=len(refused), reason=refused[0])
        return _("Added: {added}. Prepare the cases to see how well they fit.").format(added=added)

    def casesChanged(self) -> None:
        """Cases were prepared, whether the module is shown or not."""
        if self.parameters is not None:
            self.update()

    def caseSelected(self) -> None:
        """Another row of the table is selected."""
        self.update()

    def forget(self, caseID: str) -> None:
        """A case is about to be removed: the views let go of it."""
        if self.views.adjustment.caseID == caseID or (self.views.view.case and self.views.view.case.id == caseID):
            self.views.clear()

    def chooseFolder(self, title: str) -> str:
        """A folder that the user chooses, '' for none."""
        return qt.QFileDialog.getExistingDirectory(self.widget, title)

    def chooseFiles(self, title: str, kinds: str, several: bool = True) -> list[str]:
        """Files of some kinds that the user chooses."""
        if several:
            return list(qt.QFileDialog.getOpenFileNames(self.widget, title, "", kinds))
        path = qt.QFileDialog.getOpenFileName(self.widget, title, "", kinds)
        return [path] if path else []

    def _updateBoxes(self) -> None:
        for box in self._boxes:
            box.update()

    def _goTo(self, folder: str, make: Callable[[], Draft], message: str) -> None:
        def go() -> str:
            draft = make()
            task = draft.task
            self._leaveDraft()
            self.draft, self._task, self._opened = draft, task, str(draft.folder)
            remember(self._opened)
            self.parameters.task, self.parameters.datasetFolder = task, self._opened
            return message

        self.run(go)

    def _follow(self, folder: str) -> None:
        """Open what the parameter node names; what cannot be opened is told once."""
        if folder == self._opened:
            return
        self._leaveDraft()
        self._opened = folder
        if folder:
            self.guarded(lambda: self._load(folder))

    def _load(self, folder: str) -> None:
        if (Path(folder) / "dataset.json").is_file() and not (Path(folder) / "draft.json").is_file():
            self.tell(_("This dataset was built elsewhere: it can be trained on, but not be changed here."))
        else:
            draft = Draft.load(folder)
            self.draft, self._task = draft, draft.task
            self.tell("")

    def _leaveDraft(self) -> None:
        self.prepare.cleanup()
        self.views.clear()
        self.draft = None
