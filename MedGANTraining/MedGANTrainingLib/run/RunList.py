"""RunList: the trainings known on this computer as rows, running or not; also those that Slicer did not see begin."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from ..dataset.SetupBox import taskTitles
from .TrainingRun import TrainingRun, runs
from .words import durationText, stateTitle


class RunList:
    """Fills and reads a ``QTableWidget``.

    Attributes:
        runs: what its rows show.
    """

    def __init__(self, tableWidget):
        self._table = tableWidget
        self._cells: list[list[str]] = []
        self.runs: list[TrainingRun] = []
        titles = [_("Task"), _("State"), _("Progress"), _("Left"), _("Folder")]
        tableWidget.setColumnCount(len(titles))
        tableWidget.setHorizontalHeaderLabels(titles)
        tableWidget.horizontalHeader().setStretchLastSection(True)
        tableWidget.verticalHeader().setVisible(False)

    @property
    def selected(self) -> TrainingRun | None:
        """The run of the selected row."""
        rows = self._table.selectionModel().selectedRows()
        return self.runs[rows[0].row()] if rows else None

    def refresh(self) -> None:
        """Look again at what runs there are; the selection stays with its run."""
        found = runs()
        cells = [_cellsOf(run) for run in found]
        if cells == self._cells:
            return
        folder = self.selected.folder if self.selected is not None else None
        self.runs, self._cells = found, cells
        self._table.clearSelection()
        self._table.setRowCount(len(found))
        for row, (run, texts) in enumerate(zip(found, cells, strict=True)):
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(str(run.folder))
                self._table.setItem(row, column, item)
        self._table.resizeColumnsToContents()
        self.select(folder)

    def select(self, folder: Path | None) -> None:
        """Select the run in a folder; nothing happens if it is not there."""
        for row, run in enumerate(self.runs):
            if run.folder == folder:
                self._table.selectRow(row)


def _cellsOf(run: TrainingRun) -> list[str]:
    status = run.status
    task = status.request.task if status.request is not None else ""
    progress = f"{100 * status.fraction:.0f} %" if status.steps else ""
    left = durationText(status.remaining_s) if status.live and status.remaining_s is not None else ""
    return [taskTitles().get(task, task), stateTitle(status.state), progress, left, str(run.folder)]
