"""PlanTable: what the images of a dataset are like, and what follows from it on this computer."""

from __future__ import annotations

from typing import Any

import qt
from medgan.plan_report import PlanReport
from slicer.i18n import tr as _

from ..run.words import durationText
from .ParameterRow import asText


class PlanTable:
    """Fills a ``QTableWidget``: property, value, and why it is so."""

    def __init__(self, tableWidget):
        self._table = tableWidget
        titles = [_("Property"), _("Value"), _("Reason")]
        tableWidget.setColumnCount(len(titles))
        tableWidget.setHorizontalHeaderLabels(titles)
        header = tableWidget.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        for column in (1, 2):
            header.setSectionResizeMode(column, qt.QHeaderView.Stretch)
        tableWidget.verticalHeader().setVisible(False)
        tableWidget.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)

    def show(self, report: PlanReport | None) -> None:
        """Show a plan; None for no rows."""
        rows = planRows(report) if report is not None else []
        self._table.setRowCount(len(rows))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                self._table.setItem(row, column, item)


def planRows(report: PlanReport) -> list[tuple[str, str, str]]:
    """A plan as rows: the images, then the time and the memory it takes, then what was decided and why."""
    facts = report.fingerprint
    rows = [
        (_("Cases"), _splits(facts["cases"]), ""),
        (_("Patients to learn from"), str(facts["patients"]), ""),
        (_("Size of the images"), _range(facts["smallest"], facts["largest"], _("voxels")), ""),
        (_("Spacing of the images"), _range(*facts["spacing_mm"], _("mm")), ""),
    ]
    for role, values in facts["percentiles"].items():
        names = {"source": _("Values of the sources"), "target": _("Values of the targets")}
        low, median, high = (asText(values[key]) for key in ("1", "50", "99"))
        text = _("{low} to {high}, median {median}").format(low=low, high=high, median=median)
        rows.append((names.get(role, role), text, _("1st to 99th percentile")))
    rows += [
        (_("Time per epoch"), durationText(report.seconds_per_epoch), _("measured on {device}").format(
            device=report.device)),
        (_("Whole training"), durationText(report.total_s), _("if nothing else runs")),
        (_("Memory"), _gigabytes(report.memory_bytes), _("{room} may be used").format(
            room=_gigabytes(report.free_bytes))),
    ]  # fmt: skip
    rows += [(one.label, asText(one.value), one.reason) for one in report.parameters if one.reason]
    return rows + [(_noteTitle(note), asText(note["value"]), str(note["reason"])) for note in report.notes]


def _noteTitle(note: Any) -> str:
    titles = {"device": _("Device"), "images": _("Images are kept"), "precision": _("Precision")}
    return titles.get(note["parameter"], str(note["parameter"]))


def _splits(cases: dict[str, int]) -> str:
    text = _("{train} to learn from, {validation} to validate, {test} to test")
    return text.format(**{name: cases.get(name, 0) for name in ("train", "validation", "test")})


def _range(low: list, high: list, unit: str) -> str:
    texts = [" x ".join(asText(value) for value in values) for values in (low, high)]
    if texts[0] == texts[1]:
        return f"{texts[0]} {unit}"
    return _("{low} to {high} {unit}").format(low=texts[0], high=texts[1], unit=unit)


def _gigabytes(count: float) -> str:
    return _("{size} GB").format(size=f"{count / 1e9:.2g}")
