"""HandBox: one case from volumes that the user selects."""

from __future__ import annotations

from medgan.errors import InputError
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

from .AddPair import addScenePair
from .ScenePairs import pairOf
from .SegmentChoice import SegmentChoice


class HandBox(Box):
    """Source, target, mask and patient of one case."""

    def __init__(self, section):
        super().__init__(section)
        self._segment = SegmentChoice(self.ui.maskSelector, self.ui.maskSegmentComboBox)
        for selector in (self.ui.sourceSelector, self.ui.targetSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._onChosen)
        self.ui.addByHandButton.connect("clicked()", self.add)

    def update(self) -> None:
        ui, draft = self.ui, self.panel.draft
        pairs = draft is None or not draft.settings.degrade
        ui.targetSelector.enabled = pairs
        self._segment.refresh()
        chosen = ui.sourceSelector.currentNode() is not None or ui.targetSelector.currentNode() is not None
        ui.addByHandButton.enabled = draft is not None and not self.panel.busy and chosen

    def add(self) -> None:
        """Add the case."""
        self.panel.run(self._add)

    def _add(self) -> str:
        ui, draft = self.ui, self.panel.draft
        self._segment.refresh()
        source = ui.sourceSelector.currentNode()
        target = None if draft.settings.degrade else ui.targetSelector.currentNode()
        both = draft.settings.paired and not draft.settings.degrade
        if both and (source is None or target is None):
            raise InputError(_("A pair needs a source and a target; select both volumes."))
        if source is None and draft.settings.paired:
            raise InputError(_("No source volume is selected; choose it first."))
        pair = pairOf(source, target, ui.patientLineEdit.text.strip())
        mask = (self._segment.node, self._segment.segmentID)
        error = self.panel.attempt(lambda answers: addScenePair(draft, pair, *mask, answers=answers), {})
        if error:
            raise InputError(error)
        return self.panel.summary(1, [])

    def _onChosen(self, node) -> None:
        if self.panel.parameters is not None:
            self.panel.guarded(self.update)
