"""The numbers of an evaluation as table nodes: a row per patient, a summary, and the comparison of two models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import slicer
import vtk
from medgan.evaluation_results import EvaluationResults
from medgan.evaluation_table import OUTPUT
from slicer.i18n import tr as _


def addPatientTable(results: EvaluationResults, name: str):
    """A table node with a row per patient: the metrics of the model, and those of every other method beside."""
    content = results.content
    rows, methods = content["patients"], content["methods"]
    columns = [
        _textColumn(_("Patient"), (row["patient"] for row in rows)),
        _countColumn(_("Cases"), (row["cases"] for row in rows)),
    ]
    facts = {}
    for metric in _metrics(results):
        for method, label in methods.items():
            key = f"{method}_{metric}"
            if any(key in row for row in rows):
                title = f"{results.titled(metric)}, {label}"
                columns.append(_numberColumn(title, (row.get(key, float("nan")) for row in rows)))
                facts[title] = content["metrics"][metric]
    return _addTable(name, columns, facts)


def addSummaryTable(results: EvaluationResults, name: str):
    """A table node with a row per metric and method: mean, its 95 % interval over patients, median."""
    content = results.content
    rows = [row for row in content["summary"] if row["metric"] in content["metrics"]]
    rows.sort(key=lambda row: row["metric"] != content["primary"])
    columns = [
        _textColumn(_("Metric"), (results.titled(row["metric"]) for row in rows)),
        _textColumn(_("Method"), (content["methods"][row["method"]] for row in rows)),
        _numberColumn(_("Mean"), (row["mean"] for row in rows)),
        _numberColumn(_("Interval from"), (row["low"] for row in rows)),
        _numberColumn(_("Interval to"), (row["high"] for row in rows)),
        _numberColumn(_("Median"), (row["median"] for row in rows)),
        _countColumn(_("Patients"), (row["patients"] for row in rows)),
    ]
    return _addTable(name, columns)


def addComparisonTable(results: EvaluationResults, name: str):
    """A table node with a row per metric: both models, and their difference on the same patients with its interval."""
    content = results.content
    rows, methods = content["comparison"], content["methods"]
    better = {OUTPUT: methods[OUTPUT], "against": methods["against"], "": _("not shown")}
    columns = [
        _textColumn(_("Metric"), (results.titled(row["metric"]) for row in rows)),
        _numberColumn(methods[OUTPUT], (row["output"] for row in rows)),
        _numberColumn(methods["against"], (row["against"] for row in rows)),
        _numberColumn(_("Difference"), (row["difference"] for row in rows)),
        _numberColumn(_("Interval from"), (row["low"] for row in rows)),
        _numberColumn(_("Interval to"), (row["high"] for row in rows)),
        _countColumn(_("Patients"), (row["patients"] for row in rows)),
        _textColumn(_("Better"), (better[row["better"]] for row in rows)),
    ]
    return _addTable(name, columns)


def showTable(node) -> None:
    """Show a table node in a table view, which the layout gets if it has none."""
    layouts = slicer.app.layoutManager()
    layouts.setLayout(slicer.modules.tables.logic().GetLayoutWithTable(layouts.layout))
    slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(node.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()


def _metrics(results: EvaluationResults) -> list[str]:
    """The metrics that this version knows, the one that decides first."""
    names = results.content["metrics"]
    return sorted(names, key=lambda name: name != results.content["primary"])


def _addTable(name: str, columns: Sequence, facts: dict | None = None):
    """A locked table node with these columns; ``facts`` explains some of them."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    with slicer.util.NodeModify(node):
        for column in columns:
            node.AddColumn(column)
        for title, metric in (facts or {}).items():
            node.SetColumnUnitLabel(title, metric["unit"])
            node.SetColumnDescription(title, metric["definition"])
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetLocked(True)
    return node


def _textColumn(title: str, values: Iterable[str]):
    column = vtk.vtkStringArray()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(str(value))
    return column


def _numberColumn(title: str, values: Iterable[float | None]):
    """NaN where there is no number."""
    column = vtk.vtkDoubleArray()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(float("nan") if value is None else float(value))
    return column


def _countColumn(title: str, values: Iterable[int]):
    column = vtk.vtkIntArray()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(int(value))
    return column
