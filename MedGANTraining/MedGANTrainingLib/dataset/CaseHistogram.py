"""CaseHistogram: how often which value occurs within the body, in source and target of a case."""

from __future__ import annotations

import numpy as np
import slicer
from medgan.draft_case import DraftCase
from slicer.i18n import tr as _

from .CaseNodes import addTransientNode, removeTransientNode

_COLORS = {"source": (0.12, 0.47, 0.71), "target": (0.84, 0.15, 0.16)}


class CaseHistogram:
    """The plot of one case at a time.

    Attributes:
        chartNode: the chart, None if nothing is plotted. seriesNodes, tableNodes: by role, "source" and "target".
    """

    def __init__(self):
        self.chartNode = None
        self.seriesNodes: dict = {}
        self.tableNodes: dict = {}
        self._layouts: tuple[int, int] | None = None  # before and after the plot was shown

    def show(self, case: DraftCase, layout: bool = True) -> bool:
        """Plot both histograms of a prepared case. Returns whether there is anything to plot.

        Args:
            layout: also choose a layout with a plot view, if there is none in the present one.
        """
        self.clear()
        if not case.histograms:
            return False
        self.chartNode = addTransientNode("vtkMRMLPlotChartNode", _("{case} histograms").format(case=case.id), case.id)
        self.chartNode.SetTitle(_("Values within the body: {name}").format(name=case.name or case.id))
        self.chartNode.SetXAxisTitle(_("Value"))
        self.chartNode.SetYAxisTitle(_("Share of voxels (%)"))
        titles = {"source": _("Source"), "target": _("Target")}
        for role, histogram in case.histograms.items():
            self._addSeries(case.id, role, titles.get(role, role), histogram)
        manager = slicer.app.layoutManager()
        if layout and manager is not None:
            before = manager.layout
            slicer.modules.plots.logic().ShowChartInLayout(self.chartNode)
            self._layouts = (before, manager.layout)
        return True

    def clear(self) -> None:
        """Remove the plot, and the plot view that was opened for it if it is still there."""
        manager = slicer.app.layoutManager()
        if self._layouts is not None and manager is not None and manager.layout == self._layouts[1]:
            manager.setLayout(self._layouts[0])
        for node in (self.chartNode, *self.seriesNodes.values(), *self.tableNodes.values()):
            removeTransientNode(node)
        self.sceneClosed()

    def sceneClosed(self) -> None:
        """The scene is gone, and the plot with it."""
        self.chartNode, self.seriesNodes, self.tableNodes, self._layouts = None, {}, {}, None

    def _addSeries(self, caseID: str, role: str, title: str, histogram) -> None:
        counts = np.asarray(histogram["counts"], np.float64)
        edges = np.linspace(histogram["low"], histogram["high"], len(counts) + 1)
        middles, shares = (edges[:-1] + edges[1:]) / 2, 100 * counts / max(counts.sum(), 1)
        name = _("{case} histogram: {image}").format(case=caseID, image=title)
        table = addTransientNode("vtkMRMLTableNode", name, caseID)
        columns = [_("Value"), _("Share of voxels (%)")]
        slicer.util.updateTableFromArray(table, (middles, shares), columns)
        series = addTransientNode("vtkMRMLPlotSeriesNode", title, caseID)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(columns[0])
        series.SetYColumnName(columns[1])
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        series.SetColor(*_COLORS.get(role, (0.0, 0.0, 0.0)))
        self.chartNode.AddAndObservePlotSeriesNodeID(series.GetID())
        self.tableNodes[role], self.seriesNodes[role] = table, series
