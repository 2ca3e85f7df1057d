"""ModelTable: the installed models as rows, damaged ones with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qt
from medgan.cli.models import measured_gain
from slicer.i18n import tr as _

from ..effects import registry

if TYPE_CHECKING:
    from medgan.model_store import Installed


class ModelTable:
    """Fills and reads a ``QTableWidget``.

    Attributes:
        entries: what its rows show, ``medgan.model_store.Installed``.
    """

    def __init__(self, tableWidget):
        self._table = tableWidget
        self.entries: list[Installed] = []
        titles = [_("Model"), _("Task"), _("Version"), _("Origin"), _("Size"), _("License"), _("Measured gain")]
        tableWidget.setColumnCount(len(titles))
        tableWidget.setHorizontalHeaderLabels(titles)
        tableWidget.horizontalHeader().setStretchLastSection(True)
        tableWidget.verticalHeader().setVisible(False)

    @property
    def selected(self) -> Installed | None:
        """The entry of the selected row."""
        rows = self._table.selectionModel().selectedRows()
        return self.entries[rows[0].row()] if rows else None

    def fill(self, entries: list[Installed]) -> None:
        """Show other entries; the selection stays with its model."""
        path = self.selected.path if self.selected is not None else None
        self.entries = list(entries)
        self._table.clearSelection()
        self._table.setRowCount(len(entries))
        for row, entry in enumerate(entries):
            for column, text in enumerate(_cells(entry)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(entry.error or str(entry.path))
                self._table.setItem(row, column, item)
        self._table.resizeColumnsToContents()
        self.select(path)

    def select(self, path) -> None:
        """Select the model in a folder; nothing happens if it is not there."""
        for row, entry in enumerate(self.entries):
            if entry.path == path:
                self._table.selectRow(row)


def sizeText(bytes: int) -> str:
    """Bytes for people."""
    return _("{size} MB").format(size=f"{bytes / 1e6:.1f}")


def _cells(entry: Installed) -> list[str]:
    origins = {"shipped": _("Shipped"), "user": _("Your folder"), "trained": _("Trained here")}
    origin = origins.get(entry.origin, entry.origin)
    if entry.shadowed:
        origin = _("{origin}, hidden by another of this name").format(origin=origin)
    bundle = entry.bundle
    if bundle is None:
        damage = _("Damaged: {reason}").format(reason=entry.error)
        return [entry.name, "", "", origin, sizeText(entry.bytes), "", damage]
    licence = bundle.licence or _("not stated")
    gain = measured_gain(bundle.manifest.results)
    return [bundle.title, _task(bundle.task), bundle.version, origin, sizeText(entry.bytes), licence, gain]


def _task(task: str) -> str:
    """The title of the effect that lists models of a task, else the task itself."""
    return next((effect.title for effect in registry.effects() if task in effect.tasks), task)
