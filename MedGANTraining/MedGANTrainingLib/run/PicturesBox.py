"""PicturesBox: the controls of what is seen of a run: curves in a plot view, the sample in the slice views."""

from __future__ import annotations

import html
from typing import Any

from slicer.i18n import tr as _

from .RunPlots import RunPlots
from .RunSample import RunSample
from .TrainingRun import TrainingRun

_MOST_STEPS = 2000


class PicturesBox:
    """Brings plots and sample up to date, and shows them on request.

    Args:
        ui: the child widgets of the section.

    Attributes:
        plots, sample: the nodes.
    """

    def __init__(self, ui):
        self.ui = ui
        self.plots, self.sample = RunPlots(), RunSample()
        self._curvesShown = False
        ui.showCurvesButton.connect("clicked()", self.showCurves)
        ui.chartComboBox.connect("activated(int)", self._onChart)
        ui.sampleCheckBox.connect("toggled(bool)", self._onSampleToggled)

    def update(self, run: TrainingRun | None) -> None:
        """Show what is new of a run; nothing of none."""
        if run is not None:
            self.plots.update(run.history(), run.steps(_MOST_STEPS))
        self._fillCharts()
        self._showSample(run.sample() if run is not None else None)

    def showCurves(self) -> None:
        """Show the chosen chart in a plot view; from now on also those that are chosen later."""
        self._curvesShown = True
        self.plots.show(self.ui.chartComboBox.currentData or "")

    def leave(self) -> None:
        """The module is left: the slice views show again what they showed. The curves stay in the scene."""
        self.sample.remove()
        self.plots.forget()

    def cleanup(self) -> None:
        """Leave no node behind."""
        self.sample.remove()
        self.plots.clear()

    def _fillCharts(self) -> None:
        combo, titles = self.ui.chartComboBox, self.plots.titles()
        if [combo.itemData(index) for index in range(combo.count)] != list(titles):
            chosen = combo.currentData
            combo.clear()
            for key, title in titles.items():
                combo.addItem(title, key)
            if chosen in titles:
                combo.currentIndex = list(titles).index(chosen)
        self.ui.showCurvesButton.enabled = combo.enabled = bool(titles)

    def _showSample(self, sample: dict[str, Any] | None) -> None:
        self.ui.sampleCheckBox.enabled = sample is not None
        if sample is None:
            self.ui.sampleLabel.text = ""
            self.sample.remove()
            return
        text = _("Case {case} after {steps} steps: input in the red, generated in the green, truth in the yellow view.")
        self.ui.sampleLabel.text = html.escape(text.format(case=sample["case"], steps=sample["step"]), quote=False)
        self.sample.update(sample)
        if self.ui.sampleCheckBox.checked and not self.sample.shown:
            self.sample.show()

    def _onChart(self, index: int) -> None:
        if self._curvesShown:
            self.showCurves()

    def _onSampleToggled(self, checked: bool) -> None:
        if checked:
            self.sample.show()
        else:
            self.sample.hide()
