"""JobBox: Apply and Cancel, the progress of what runs and what waits, what became of it, undo and redo."""

from __future__ import annotations

import html
import logging

import qt
import slicer
from medgan.errors import Cancelled, InputError, MedGANError
from slicer.i18n import tr as _

from ..SynthesisParameterNode import PreviewMode
from .Box import Box
from .views import showInsteadOf


class JobBox(Box):
    """One button that is Cancel while the selected volume has an unfinished job, so that another one can be queued."""

    def __init__(self, panel):
        super().__init__(panel)
        self._outcome: list[str] = []  # lines of rich text
        self._closed = False
        self.ui.applyButton.connect("clicked()", self.applyOrCancel)
        self.ui.cancelAllButton.connect("clicked()", self.cancelAll)
        self.ui.undoButton.setIcon(qt.QIcon(":/Icons/Medium/SlicerUndo.png"))
        self.ui.redoButton.setIcon(qt.QIcon(":/Icons/Medium/SlicerRedo.png"))
        self.ui.undoButton.connect("clicked()", self.undo)
        self.ui.redoButton.connect("clicked()", self.redo)

    def update(self) -> None:
        jobs = self.panel.logic.jobs
        cancels, obstacle = self._jobOfSource() is not None, self._obstacle()
        self.ui.applyButton.text = _("Cancel") if cancels else _("Apply")
        self.ui.applyButton.enabled = cancels or not obstacle
        toolTip = obstacle or _("Compute the result.")
        self.ui.applyButton.toolTip = _("Stop the computation. Nothing is changed.") if cancels else toolTip
        self.ui.cancelAllButton.visible = len(jobs) > 1
        self.ui.progressBar.visible = bool(jobs)
        history = self.panel.logic.gate.history
        self.ui.undoButton.enabled = not jobs and history.canUndo()
        self.ui.redoButton.enabled = not jobs and history.canRedo()
        self._showProgress()

    def cleanup(self) -> None:
        self._closed = True
        self.cancelAll()

    def applyOrCancel(self) -> None:
        """Start a job for the selected volume, or stop the one it has."""
        job = self._jobOfSource()
        if job is not None:
            job.cancel()
        else:
            self._outcome = []
            self._guarded(self._start)
        self.panel.update()

    def cancelAll(self) -> None:
        """Drop what waits, then stop what runs."""
        self.panel.logic.cancelAll()

    def undo(self) -> None:
        """Take back what was written over last."""
        self._step(self.panel.logic.undo, self.ui.undoButton)

    def redo(self) -> None:
        """Write again what was undone last."""
        self._step(self.panel.logic.redo, self.ui.redoButton)

    def showError(self, error: Exception) -> None:
        """One line in the panel; the log gets what else there is to know."""
        if isinstance(error, MedGANError):
            logging.error(str(error))
        else:
            logging.exception("MedGAN Synthesis failed unexpectedly", exc_info=error)
            error = _("Something unexpected went wrong ({reason}); the log says more.").format(reason=error)
        sentence = " ".join(str(error).split())
        self._outcome = [f'<font color="#d62728"><b>!</b></font> {html.escape(sentence, quote=False)}']

    def _start(self) -> None:
        panel = self.panel
        obstacle = self._obstacle()
        if obstacle:
            raise InputError(obstacle)
        panel.logic.apply(
            panel.effect.key,
            panel.source,
            **panel.arguments(),
            wait=False,
            onProgress=self._onProgress,
            onDone=self._onDone,
        )

    def _obstacle(self) -> str:
        """Why nothing can be applied, in one sentence; '' if something can."""
        return self.panel.obstacle() or self.panel.outputObstacle()

    def _step(self, step, button) -> None:
        if button.enabled:  # the keys come here as well
            self._outcome = []
            self._guarded(step)
            self.panel.update()

    def _guarded(self, action) -> None:
        try:
            action()
        except Exception as error:
            self.showError(error)

    def _onProgress(self, job) -> None:
        if not self._closed:
            self._showProgress()

    def _onDone(self, job) -> None:
        if self._closed:
            return
        try:
            self._finish(job, job.result())
        except Cancelled as error:
            self._outcome = [html.escape(str(error), quote=False)]
        except Exception as error:
            self.showError(error)
        self.panel.onJobDone()

    def _finish(self, job, outputNode) -> None:
        name = outputNode.GetName() if outputNode is not None else ""
        done = _("Done: {name}.").format(name=name) if outputNode is not None else _("Done.")
        self._outcome = [html.escape(line, quote=False) for line in (done, *job.notes)]
        self.panel.showProvenanceOf(outputNode)
        if self.panel.parameters is not None and job.sourceNode is self.panel.source:
            # It would lie over the result, or be computed from it.
            self.panel.parameters.previewMode = PreviewMode.Off
        source = job.sourceNode
        if outputNode is None or source is None or slicer.app.layoutManager() is None:
            return
        if not showInsteadOf(outputNode, source) and source is self.panel.source:  # else the user looks elsewhere
            slicer.util.setSliceViewerLayers(background=outputNode, fit=True)

    def _jobOfSource(self):
        source = self.panel.source
        return next((job for job in self.panel.logic.jobs if source is not None and job.sourceNode is source), None)

    def _showProgress(self) -> None:
        jobs = self.panel.logic.jobs
        self.ui.progressBar.value = round(100 * jobs[0].progress) if jobs else 0
        lines = list(self._outcome)
        if jobs:
            lines.append(html.escape(_progressText(jobs), quote=False))
        self.ui.statusLabel.text = "<br>".join(lines)


def _progressText(jobs) -> str:
    """What the first job does, how long it will take, and how many wait."""
    parts = [jobs[0].message or _("Starting...")]
    left = jobs[0].remainingSeconds
    if left is not None and left >= 90:
        parts.append(_("About {minutes} min left.").format(minutes=round(left / 60)))
    elif left is not None:
        parts.append(_("About {seconds} s left.").format(seconds=max(1, round(left))))
    if len(jobs) > 1:
        parts.append(_("{count} more in the queue.").format(count=len(jobs) - 1))
    return " ".join(parts)
