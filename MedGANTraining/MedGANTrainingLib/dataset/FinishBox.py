"""FinishBox: what the cases are for, what the images are, and the dataset that is made of it."""

from __future__ import annotations

import html

from medgan.errors import InputError
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

from .DraftCommands import finish
from .SetupBox import quietly


class FinishBox(Box):
    """Split, description, license, problems, and the button that finishes."""

    def __init__(self, section):
        super().__init__(section)
        ui = self.ui
        ui.assignButton.connect("clicked()", self.assign)
        ui.finishButton.connect("clicked()", self.finish)
        for edit, name in ((ui.descriptionLineEdit, "description"), (ui.licenceLineEdit, "licence")):
            edit.connect("editingFinished()", lambda edit=edit, name=name: self._set(name, edit.text.strip()))

    def update(self) -> None:
        draft, ui = self.panel.draft, self.ui
        there = draft is not None and bool(draft.cases)
        for widget in (ui.trainSpinBox, ui.validationSpinBox, ui.testSpinBox, ui.seedSpinBox, ui.assignButton):
            widget.enabled = there and not self.panel.busy
        obstacles = draft.obstacles() if draft is not None else []
        problems = draft.problems() if draft is not None else []
        ui.problemsLabel.text = "<br>".join(html.escape(text, quote=False) for text in problems)
        ui.problemsLabel.visible = bool(problems)
        ui.finishButton.enabled = there and not self.panel.busy and not obstacles
        ui.finishButton.toolTip = obstacles[0] if obstacles else _("Write the dataset, so that it can be trained on.")
        for edit, name in ((ui.descriptionLineEdit, "description"), (ui.licenceLineEdit, "licence")):
            edit.enabled = draft is not None
            if draft is not None and not edit.hasFocus():
                text = getattr(draft.settings, name)
                quietly(edit, lambda edit=edit, text=text: edit.setText(text))

    def assign(self) -> None:
        """Draw the splits by patient."""
        self.panel.run(self._assign)

    def finish(self) -> None:
        """Write the dataset."""
        self.panel.run(self._finish)

    def _assign(self) -> str:
        ui = self.ui
        fractions = (ui.trainSpinBox.value, ui.validationSpinBox.value, ui.testSpinBox.value)
        if sum(fractions) <= 0:
            raise InputError(_("The shares of training, validation and test are all 0; give the training a share."))
        self.panel.draft.assign_splits(ui.seedSpinBox.value, fractions)
        return ""

    def _finish(self) -> str:
        ui = self.ui
        dataset = finish(self.panel.draft, ui.licenceLineEdit.text, ui.descriptionLineEdit.text)
        counts = {split: len(dataset.split(split)) for split in ("train", "validation", "test")}
        self.panel.finished = True
        text = _("The dataset is finished: {train} cases to train on, {validation} to validate, {test} to test.")
        return text.format(**counts)

    def _set(self, name: str, text: str) -> None:
        draft = self.panel.draft

        def change() -> None:
            if getattr(draft.settings, name) != text:
                self.panel.run(lambda: draft.change(**{name: text}))

        if draft is not None:
            self.panel.guarded(change)
