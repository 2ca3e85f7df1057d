"""CasesBox: the table of cases, what is known about the selected one, and what can be decided about it."""

from __future__ import annotations

import html

import qt
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

from .CaseTable import CaseTable
from .DraftCommands import setMask
from .SegmentChoice import SegmentChoice

_THUMBNAIL_WIDTH = 380  # no wider than the panel usually is


class CasesBox(Box):
    """Accept, reject, remove, split and mask of the selected case.

    Attributes:
        table: the ``CaseTable``.
    """

    def __init__(self, section):
        super().__init__(section)
        ui = self.ui
        self.table = CaseTable(ui.casesTableWidget, self._onSplit)
        self._segment = SegmentChoice(ui.caseMaskSelector, ui.caseSegmentComboBox)
        ui.casesTableWidget.connect("itemSelectionChanged()", section.caseSelected)
        self._actions = {
            ui.acceptButton: lambda draft, caseID: draft.accept(caseID),
            ui.rejectButton: lambda draft, caseID: draft.reject(caseID),
            ui.undecideButton: lambda draft, caseID: draft.undecide(caseID),
            ui.setMaskButton: self._setMask,
        }
        for button, action in self._actions.items():
            button.connect("clicked()", lambda action=action: self._do(action))
        ui.removeButton.connect("clicked()", self._remove)

    def update(self) -> None:
        draft, ui = self.panel.draft, self.ui
        self.table.fill(draft.cases if draft is not None else ())
        self._segment.refresh()
        case, free = self.table.selected, not self.panel.busy
        ui.acceptButton.enabled = free and case is not None and case.accepted is not True
        ui.rejectButton.enabled = free and case is not None and case.accepted is not False
        ui.undecideButton.enabled = free and case is not None and case.accepted is not None
        ui.removeButton.enabled = ui.setMaskButton.enabled = free and case is not None
        ui.caseMaskSelector.enabled = case is not None
        lines = []
        if case is not None:
            lines = [case.name or case.id, *([case.reason] if case.reason else []), *case.problems]
        ui.caseLabel.text = "<br>".join(html.escape(line, quote=False) for line in lines)
        self._showThumbnail(case)

    def _showThumbnail(self, case) -> None:
        label = self.ui.thumbnailLabel
        pixmap = qt.QPixmap(str(self.panel.draft.path(case.thumbnail))) if case and case.thumbnail else qt.QPixmap()
        label.visible = not pixmap.isNull()
        if pixmap.isNull():
            label.clear()
        elif pixmap.width() > _THUMBNAIL_WIDTH:
            pixmap = pixmap.scaledToWidth(_THUMBNAIL_WIDTH, qt.Qt.SmoothTransformation)
        if not pixmap.isNull():
            label.setPixmap(pixmap)

    def _do(self, action) -> None:
        case = self.table.selected
        if case is not None:
            self.panel.run(lambda: action(self.panel.draft, case.id) and "")

    def _setMask(self, draft, caseID: str):
        self._segment.refresh()
        return setMask(draft, caseID, self._segment.node, self._segment.segmentID)

    def _remove(self) -> None:
        case = self.table.selected
        question = _("Delete the case {name} and its images from the dataset? This cannot be undone.")
        if case is not None and self.panel.confirm(question.format(name=case.name or case.id)):
            self.panel.forget(case.id)
            self.panel.run(lambda: self.panel.draft.remove(case.id) or _("The case was removed."))

    def _onSplit(self, caseID: str, split: str) -> None:
        self.panel.run(lambda: self.panel.draft.set_split(caseID, split) and "")
