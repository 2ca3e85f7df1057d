"""RunPlots: the curves of a run as table, series and chart nodes, brought up to date in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from .curves import EPOCHS, STEPS, Chart, Columns, Curve, chartsOf, epochColumns

ATTRIBUTE = "MedGAN.TrainingCurve"
_CLASSES = {"table": "vtkMRMLTableNode", "chart": "vtkMRMLPlotChartNode", "series": "vtkMRMLPlotSeriesNode"}
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by everyone (Okabe, Ito)
_BASELINE_COLOR = "#737373"
_FEW_POINTS = 50


class RunPlots:
    """Two tables, "steps" and "epochs", and the charts of their columns.

    The nodes are found by an attribute, so that a scene has one set of them, also after it was saved and loaded.
    """

    def __init__(self):
        self._shown = ""
        self._charts: list[Chart] = []

    def titles(self) -> dict[str, str]:
        """The charts that there are: key and title."""
        return {chart.key: chart.title for chart in self._charts}

    def update(self, history: Sequence[Mapping[str, Any]], steps: Columns) -> bool:
        """Show these numbers. Returns whether anything was new.

        Args:
            history: rows of ``history.json``. steps: the live losses, see ``medgan.run_folder.Run.steps``.
        """
        state = repr((history, [(name, len(column), column[-1:].tolist()) for name, column in steps.items()]))
        if state == self._shown and all(self.node("chart", chart.key) is not None for chart in self._charts):
            return False
        tables = {STEPS: steps, EPOCHS: epochColumns(history)}
        self._charts = chartsOf(tables[STEPS], tables[EPOCHS])
        for key in {chart.table for chart in self._charts}:
            self._fillTable(key, tables[key])
        for chart in self._charts:
            self._fillChart(chart)
        self._removeOthers()
        self._shown = state
        return True

    def show(self, key: str) -> None:
        """Show a chart in a plot view, in a layout that has one; nothing happens where there is no such chart."""
        chart = self.node("chart", key)
        if chart is not None:
            slicer.modules.plots.logic().ShowChartInLayout(chart)

    def forget(self) -> None:
        """Write the next numbers whatever was written last: the nodes may be those of a scene that was loaded."""
        self._shown = ""

    def clear(self) -> None:
        """Remove all nodes."""
        self._shown, self._charts = "", []
        self._removeOthers()

    def node(self, kind: str, key: str):
        """A node, None where there is none.

        Args:
            kind: "table", "chart" or "series". key: "steps" or "epochs", of the chart, or chart key / column.
        """
        nodes = slicer.util.getNodesByClass(_CLASSES[kind])
        return next((node for node in nodes if node.GetAttribute(ATTRIBUTE) == f"{kind}:{key}"), None)

    def _fillTable(self, key: str, columns: Columns) -> None:
        names = {STEPS: _("MedGAN training steps"), EPOCHS: _("MedGAN training epochs")}
        table = self._made("table", key, names[key])
        with slicer.util.NodeModify(table):
            slicer.util.updateTableFromArray(table, list(columns.values()), list(columns))

    def _fillChart(self, chart: Chart) -> None:
        table = self.node("table", chart.table)
        series = [self._fillSeries(chart, number, curve, table) for number, curve in enumerate(chart.curves)]
        node = self._made("chart", chart.key, f"MedGAN {chart.title}")
        with slicer.util.NodeModify(node):
            node.SetTitle(chart.title)
            node.SetXAxisTitle(_("Step") if chart.table == STEPS else _("Epoch"))
            node.SetYAxisLogScale(chart.logarithmic)
            if [node.GetNthPlotSeriesNode(index) for index in range(node.GetNumberOfPlotSeriesNodes())] != series:
                node.RemoveAllPlotSeriesNodeIDs()
                for one in series:
                    node.AddAndObservePlotSeriesNodeID(one.GetID())
            node.Modified()  # or a plot view may stay empty after its table was filled again

    def _fillSeries(self, chart: Chart, number: int, curve: Curve, table):
        node = self._made("series", f"{chart.key}/{curve.column}", curve.name)
        color = _BASELINE_COLOR if curve.baseline else _COLORS[number % len(_COLORS)]
        dots = not curve.baseline and table.GetTable().GetNumberOfRows() < _FEW_POINTS
        with slicer.util.NodeModify(node):
            node.SetAndObserveTableNodeID(table.GetID())
            node.SetXColumnName("step" if chart.table == STEPS else "epoch")
            node.SetYColumnName(curve.column)
            node.SetPlotType(node.PlotTypeScatter)
            node.SetColor(*(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)))
            node.SetLineStyle(node.LineStyleDash if curve.baseline else node.LineStyleSolid)
            node.SetMarkerStyle(node.MarkerStyleCircle if dots else node.MarkerStyleNone)
        return node

    def _made(self, kind: str, key: str, name: str):
        node = self.node(kind, key)
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass(_CLASSES[kind], name)
            node.SetAttribute(ATTRIBUTE, f"{kind}:{key}")
        return node

    def _removeOthers(self) -> None:
        """Remove what belongs to a run with other losses or metrics, and a second set that came with another scene."""
        wanted = {f"{kind}:{key}" for chart in self._charts for kind, key in _nodesOf(chart)}
        for className in reversed(_CLASSES.values()):
            for node in slicer.util.getNodesByClass(className):
                key = node.GetAttribute(ATTRIBUTE)
                if key is None:
                    continue
                if key in wanted:
                    wanted.discard(key)  # the first one is that which ``node`` finds
                else:
                    slicer.mrmlScene.RemoveNode(node)


def _nodesOf(chart: Chart) -> list[tuple[str, str]]:
    series = [("series", f"{chart.key}/{curve.column}") for curve in chart.curves]
    return [("table", chart.table), ("chart", chart.key), *series]
