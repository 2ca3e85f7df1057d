"""PrepareBox: the preparation of the cases in the background, its progress, and the least score."""

from __future__ import annotations

from medgan.errors import Cancelled
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

from ..EngineTask import EngineTask
from .DraftCommands import prepare
from .SetupBox import showValue


class PrepareBox(Box):
    """One button that is Cancel while it works.

    Attributes:
        task: the ``EngineTask`` that runs, None if there is none.
    """

    def __init__(self, section):
        super().__init__(section)
        self.task: EngineTask | None = None
        self.ui.prepareButton.connect("clicked()", self.prepareOrCancel)
        self.ui.thresholdSpinBox.connect("valueChanged(double)", self._onThreshold)

    def update(self) -> None:
        draft, ui, busy = self.panel.draft, self.ui, self.task is not None
        waiting = sum(case.state == "waiting" for case in draft.cases) if draft is not None else 0
        ui.prepareButton.text = _("Cancel") if busy else _("Prepare {count}").format(count=waiting or "").strip()
        ui.prepareButton.enabled = busy or (waiting > 0 and not self.panel.busy)
        ui.progressBar.visible = busy
        ui.thresholdSpinBox.enabled = draft is not None
        if draft is not None:
            showValue(ui.thresholdSpinBox, draft.threshold)

    def cleanup(self) -> None:
        if self.task is not None:
            self.task.end()
            self.task = None

    def prepareOrCancel(self) -> None:
        """Prepare all cases that wait, or stop doing so; what is finished stays."""
        if self.task is not None:
            self.task.cancel()
        else:
            self.panel.run(self.start)

    def start(self, caseID: str = "") -> str:
        """Prepare one case, or all that wait. Returns what to tell. Raises MedGANError: packages are missing."""
        self.ui.progressBar.setRange(0, 0)
        self.task = prepare(self.panel.draft, False, self._onProgress, self._onDone, caseID)
        return _("Preparing the cases...")

    def _onProgress(self, task: EngineTask) -> None:
        self.panel.showProgress(task.fraction, task.message, wait=False)
        if self.panel.parameters is not None:
            # A case may be ready, and can be looked at while the others are made.
            self.panel.guarded(self.panel.cases.update)

    def _onDone(self, task: EngineTask) -> None:
        self.task = None
        if isinstance(task.error, Cancelled):
            self.panel.tell(_("Cancelled. The cases that were finished are kept, the others wait."))
        elif task.error is not None:
            self.panel.showError(task.error)
        else:
            cases = task.result()
            counts = {state: sum(case.state == state for case in cases) for state in ("ready", "failed")}
            text = _("Prepared: {ready} ready, {failed} failed.") if counts["failed"] else _("Prepared: {ready} ready.")
            self.panel.tell(text.format(**counts))
        self.panel.casesChanged()

    def _onThreshold(self, value: float) -> None:
        draft = self.panel.draft
        if draft is not None:

            def change() -> str:
                draft.threshold = value
                return ""

            self.panel.run(change)
