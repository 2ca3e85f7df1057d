"""ViewBox: the selected case in the slice views, its histograms, and its alignment by hand."""

from __future__ import annotations

from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

from . import DraftCommands
from .CaseHistogram import CaseHistogram
from .CaseView import BLEND, CHECKERBOARD, SIDE_BY_SIDE, CaseView
from .ManualAdjust import ManualAdjust

_OFF = "off"


class ViewBox(Box):
    """Follows the selection while a way of showing is chosen.

    Attributes:
        view, adjustment, histogram: what does the work.
    """

    def __init__(self, section):
        super().__init__(section)
        self.view, self.histogram = CaseView(), CaseHistogram()
        self.adjustment = ManualAdjust(self.view)
        self._shown = None  # the case as it is in the views
        ui = self.ui
        titles = {
            _OFF: _("Nothing"),
            BLEND: _("Target over source"),
            CHECKERBOARD: _("Checkerboard"),
            SIDE_BY_SIDE: _("Side by side"),
        }
        for mode, title in titles.items():
            ui.viewModeComboBox.addItem(title, mode)
        ui.viewModeComboBox.connect("activated(int)", self._onMode)
        ui.opacitySliderWidget.connect("valueChanged(double)", self.view.setOpacity)
        ui.histogramButton.connect("clicked()", self.showHistogram)
        ui.adjustButton.connect("clicked()", self.adjust)
        ui.acceptAdjustButton.connect("clicked()", self.acceptAdjustment)
        ui.cancelAdjustButton.connect("clicked()", self.cancelAdjustment)

    @property
    def mode(self) -> str:
        """What is chosen: one of ``CaseView.MODES``, or "off"."""
        return self.ui.viewModeComboBox.currentData

    def update(self) -> None:
        ui, case, adjusting = self.ui, self.panel.selected, self.adjustment.active
        pair = case is not None and {"source", "target"} <= set(case.raw)
        ui.adjustButton.visible = not adjusting
        ui.adjustButton.enabled = pair and not self.panel.busy and not self.panel.draft.settings.degrade
        ui.acceptAdjustButton.visible = ui.cancelAdjustButton.visible = adjusting
        ui.acceptAdjustButton.enabled = not self.panel.busy
        ui.histogramButton.enabled = case is not None and bool(case.histograms)
        ui.viewModeComboBox.enabled = case is not None and not adjusting
        ui.opacitySliderWidget.enabled = case is not None and (adjusting or self.mode == BLEND)
        if not adjusting:
            self._follow(case)

    def sceneCloses(self) -> None:
        """Forget every node, and what the views showed before: other nodes get those IDs."""
        for one in (self.view, self.adjustment, self.histogram, DraftCommands):
            one.sceneClosed()
        self._shown = None

    def cleanup(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Show nothing any more, and forget the adjustment."""
        self.adjustment.cancel()
        self.view.clear()
        self.histogram.clear()
        self._shown = None

    def adjust(self) -> None:
        """Let the user move the target of the selected case."""
        self.panel.run(self._begin)

    def acceptAdjustment(self) -> None:
        """Prepare the case with the alignment the user has made."""
        self.panel.run(self._accept)

    def cancelAdjustment(self) -> None:
        """Leave the case as it was."""
        self.adjustment.cancel()
        self.panel.update()

    def showHistogram(self) -> None:
        """Plot the histograms of the selected case."""
        self.panel.run(lambda: self.histogram.show(self.panel.selected) and "")

    def _begin(self) -> str:
        self._shown = None  # from here on the views show it as it was added
        self.adjustment.begin(self.panel.draft, self.panel.selected)
        return _("Move the target with the handles in the views or in the Transforms module, then use the alignment.")

    def _accept(self) -> str:
        caseID = self.adjustment.caseID
        self.adjustment.accept(self.panel.draft)
        self.panel.prepare.start(caseID)
        return _("The case is prepared with your alignment...")

    def _onMode(self, index: int) -> None:
        self.panel.run(self._changeMode)

    def _changeMode(self) -> str:
        if self.mode != _OFF:
            self.view.setMode(self.mode)
        return ""

    def _follow(self, case) -> None:
        """Show the selected case, again if it was prepared anew; an error is told once."""
        if self.mode == _OFF:
            self._shown = None
            if self.view.case is not None:  # it was chosen, or the case was only shown to be adjusted
                self.view.clear()
            return
        if case is None or (case == self._shown and self._isThere()):
            return
        self._shown = case
        self.view.mode, self.view.opacity = self.mode, self.ui.opacitySliderWidget.value
        error = self.panel.guarded(lambda: self.view.show(self.panel.draft, case))
        if error:
            self.view.clear()

    def _isThere(self) -> bool:
        return all(node.GetScene() is not None for node in self.view.nodes.values())
