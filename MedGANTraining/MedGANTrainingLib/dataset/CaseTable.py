"""CaseTable: the cases of a dataset as rows; the split is chosen in its cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt
from medgan.dataset import SPLITS
from medgan.draft_case import DraftCase
from slicer.i18n import tr as _

CASE, STATE, SCORE, SPLIT, PATIENT, SOURCE, TARGET, REGISTRATION, MASK, REMARK = range(10)


class CaseTable:
    """Fills and reads a ``QTableWidget``.

    Args:
        onSplit: called with (case ID, "train", "validation", "test" or "") when the user chooses one.

    Attributes:
        cases: what its rows show.
    """

    def __init__(self, tableWidget, onSplit: Callable[[str, str], None]):
        self._table, self._onSplit = tableWidget, onSplit
        self.cases: tuple[DraftCase, ...] = ()
        titles = [_("Case"), _("State"), _("Score"), _("Split"), _("Patient"), _("Source"), _("Target")]
        titles += [_("Alignment"), _("Mask"), _("Remark")]
        tableWidget.setColumnCount(len(titles))
        tableWidget.setHorizontalHeaderLabels(titles)
        tableWidget.horizontalHeader().setStretchLastSection(True)
        tableWidget.verticalHeader().setVisible(False)

    @property
    def selected(self) -> DraftCase | None:
        """The case of the selected row."""
        rows = self._table.selectionModel().selectedRows()
        row = rows[0].row() if rows else -1
        return self.cases[row] if 0 <= row < len(self.cases) else None

    def fill(self, cases: Sequence[DraftCase]) -> None:
        """Show other cases, or the same with other facts; the selection stays with its case."""
        if tuple(cases) == self.cases:
            return
        caseID = self.selected.id if self.selected is not None else ""
        blocked = self._table.blockSignals(True)
        try:
            self.cases = tuple(cases)
            self._table.clearSelection()
            self._table.setRowCount(len(cases))
            for row, case in enumerate(cases):
                for column, text in enumerate(cells(case)):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(_toolTip(case))
                    self._table.setItem(row, column, item)
                self._table.setCellWidget(row, SPLIT, self._splitBox(case))
            self._table.resizeColumnsToContents()
            self.select(caseID)
        finally:
            self._table.blockSignals(blocked)

    def select(self, caseID: str) -> None:
        """Select a case; nothing happens if it is not there."""
        for row, case in enumerate(self.cases):
            if case.id == caseID:
                self._table.selectRow(row)

    def splitBox(self, caseID: str):
        """The combo box in which the split of a case is chosen, None if there is no such case."""
        rows = [row for row, case in enumerate(self.cases) if case.id == caseID]
        return self._table.cellWidget(rows[0], SPLIT) if rows else None

    def _splitBox(self, case: DraftCase):
        box = qt.QComboBox()
        for split, title in ((("", _("to be drawn"))), *splitTitles().items()):
            box.addItem(title, split)
        box.currentIndex = ("", *SPLITS).index(case.split)
        box.toolTip = _("What the case is for. It holds for all cases of the patient.")
        box.connect("activated(int)", lambda index, caseID=case.id: self._onSplit(caseID, ("", *SPLITS)[index]))
        return box


def splitTitles() -> dict[str, str]:
    """What the splits are called."""
    return dict(zip(SPLITS, (_("Training"), _("Validation"), _("Test")), strict=True))


def stateText(case: DraftCase) -> str:
    """The state of a case in words."""
    if case.state == "ready":
        return _("Accepted") if case.used else _("Below the threshold")
    texts = {"waiting": _("Waiting"), "rejected": _("Rejected"), "failed": _("Failed")}
    return texts.get(case.state, case.state)


def cells(case: DraftCase) -> list[str]:
    """The texts of a row."""
    methods = {
        "as given": _("As it was"),
        "resampled": _("Resampled"),
        "rigid": _("Rigid"),
        "affine": _("Affine"),
        "bspline": _("Elastic"),
        "adjusted": _("By hand"),
    }
    method = case.registration.get("method", "")
    score = "" if case.quality is None else f"{case.quality:.2f}"
    mask = _("Segment") if case.raw.get("mask") else _("Found") if case.mask else ""
    remark = case.reason or " ".join(case.problems)
    images = [_size(case, role) for role in ("source", "target")]
    alignment = methods.get(method, method)
    return [case.name or case.id, stateText(case), score, "", case.patient, *images, alignment, mask, remark]


def _size(case: DraftCase, role: str) -> str:
    size = case.sizes.get(role)
    return " x ".join(str(number) for number in size) if size else ""


def _toolTip(case: DraftCase) -> str:
    lines = [case.name or case.id, *([case.reason] if case.reason else []), *case.problems]
    if case.spacing_mm:
        spacing = " x ".join(f"{value:.3g}" for value in case.spacing_mm)
        lines.append(_("Voxels of {spacing} mm").format(spacing=spacing))
    return "\n".join(lines)
