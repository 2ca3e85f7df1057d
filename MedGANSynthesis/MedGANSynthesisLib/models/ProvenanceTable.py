"""ProvenanceTable: how a synthetic volume was made, read from its attributes, as rows that can be copied."""

from __future__ import annotations

import datetime
import json
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..attributes import ATTRIBUTE_PREFIX
from ..effects.fields import choiceTitle

_COPY = "copyProvenanceAction"


def showProvenance(tableWidget, node) -> None:
    """Fill a ``QTableWidget`` with the provenance of a volume node; empty for None or a node without provenance.

    Ctrl+C and the context menu copy the selected rows, or all, as tab-separated text.
    """
    _prepare(tableWidget)
    rows = provenance(node) if node is not None else []
    tableWidget.setRowCount(len(rows))
    for index, row in enumerate(rows):
        for column, text in enumerate(row):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            tableWidget.setItem(index, column, item)
    tableWidget.resizeRowsToContents()


def provenance(node) -> list[tuple[str, str]]:
    """Label and value, translated and made readable, of each ``MedGAN.*`` attribute of a node."""
    names = [name.removeprefix(ATTRIBUTE_PREFIX) for name in node.GetAttributeNames() if _isOurs(name)]
    labels = _labels()
    known, others = [key for key in labels if key in names], sorted(set(names) - set(labels))
    rows = [(labels.get(key, key), _value(key, node.GetAttribute(ATTRIBUTE_PREFIX + key))) for key in known + others]
    return [(label, value) for label, value in rows if value]


def copyToClipboard(tableWidget) -> None:
    """Put the selected rows, all if none is selected, onto the clipboard: one line each, label and value by a tab."""
    chosen = sorted({index.row() for index in tableWidget.selectedIndexes()}) or range(tableWidget.rowCount)
    lines = []
    for row in chosen:
        cells = [tableWidget.item(row, column).text() for column in range(tableWidget.columnCount)]
        lines.append("\t".join(" ".join(cell.split()) for cell in cells))
    slicer.app.clipboard().setText("\n".join(lines))


def _isOurs(name: str) -> bool:
    return name.startswith(ATTRIBUTE_PREFIX)


def _labels() -> dict[str, str]:
    """The facts in the order of the rows."""
    return {
        "Model": _("Model"),
        "ModelVersion": _("Version"),
        "ModelSHA256": _("Checksum (SHA-256)"),
        "Task": _("Task"),
        "Preset": _("Preset"),
        "Parameters": _("Parameters"),
        "Source": _("Source"),
        "Mask": _("Mask"),
        "Content": _("Content"),
        "Device": _("Device"),
        "Created": _("Time (UTC)"),
        "MedGANVersion": _("MedGAN version"),
        "Note": _("Note"),
    }


def _value(key: str, text: str) -> str:
    try:
        if key == "Created":
            return _time(text)
        if key == "Parameters":
            return "\n".join(_parameter(name, value) for name, value in json.loads(text).items())
    except (ValueError, AttributeError):
        pass  # of another program, or edited by hand: shown as it is
    return text


def _time(text: str) -> str:
    moment = datetime.datetime.fromisoformat(text)
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _parameter(name: str, value: Any) -> str:
    labels = {
        "strength": _("Strength: {value}"),
        "target_spacing_mm": _("Target spacing: {value} mm"),
        "orientations": _("Orientations: {value}"),
        "enhancement_only": _("Enhancement only: {value}"),
        "spread": _("Spread: {value}"),
        "spread_samples": _("Dropout samples: {value}"),
        "ensemble": _("Ensemble: {value}"),
        "reference": _("Staining of the reference (mean and standard deviation of L*a*b*): {value}"),
    }
    return labels.get(name, f"{name}: {{value}}").format(value=_words(name, value))


def _words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return (" x " if name == "target_spacing_mm" else ", ").join(_words(name, item) for item in value)
    return choiceTitle(name, value) if isinstance(value, str) else str(value)


def _prepare(tableWidget) -> None:
    """What is not set in the .ui file; once per widget."""
    if any(action.objectName == _COPY for action in tableWidget.actions()):
        return
    tableWidget.setColumnCount(2)
    tableWidget.setHorizontalHeaderLabels([_("Property"), _("Value")])
    tableWidget.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
    tableWidget.horizontalHeader().setStretchLastSection(True)
    tableWidget.verticalHeader().setVisible(False)
    tableWidget.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    tableWidget.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    action = qt.QAction(_("Copy"), tableWidget)
    action.objectName = _COPY
    action.setToolTip(_("Copy the selected rows, or all, to the clipboard as tab-separated text."))
    action.setShortcut(qt.QKeySequence("Ctrl+C"))
    action.setShortcutContext(qt.Qt.WidgetShortcut)
    action.connect("triggered()", lambda: copyToClipboard(tableWidget))
    tableWidget.addAction(action)
    tableWidget.setContextMenuPolicy(qt.Qt.ActionsContextMenu)
