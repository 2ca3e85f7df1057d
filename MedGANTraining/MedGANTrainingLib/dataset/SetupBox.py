"""SetupBox: what a dataset is for and how its cases are made."""

from __future__ import annotations

from medgan.draft_settings import REGISTERED
from medgan.modalities import MODALITIES
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

UNPAIRED = "unpaired"
_FACTORS = ("2x2x2", "1x1x2", "1x1x4", "2x2x1", "4x4x4")


class SetupBox(Box):
    """Task, kind and settings. The task and the kind of a dataset are fixed once it is begun."""

    def __init__(self, section):
        super().__init__(section)
        ui = self.ui
        for task in MODALITIES:
            ui.taskComboBox.addItem(taskTitles().get(task, task), task)
        registrations = {"": _("None"), "rigid": _("Rigid"), "affine": _("Affine"), "bspline": _("Elastic")}
        for key, title in registrations.items():
            ui.registerComboBox.addItem(title, key)
        for factor in _FACTORS:
            ui.factorComboBox.addItem(factor.replace("x", " x "), factor)
        for key, title in _greyTitles().items():
            ui.greyComboBox.addItem(title, key)
        self._kindsOf = ""
        ui.taskComboBox.connect("activated(int)", self._onTask)
        ui.kindComboBox.connect("activated(int)", self._onKind)
        ui.registerComboBox.connect("activated(int)", lambda index: self._change("register", ui.registerComboBox))
        ui.factorComboBox.connect("activated(int)", lambda index: self._change("factor", ui.factorComboBox))
        ui.greyComboBox.connect("activated(int)", lambda index: self._change("grey_kind", ui.greyComboBox))
        ui.doseSpinBox.connect("valueChanged(double)", self._onDose)

    @property
    def kind(self) -> str:
        """The degradation, ``UNPAIRED``, or '' for pairs."""
        return self.ui.kindComboBox.currentData or ""

    def settings(self) -> dict:
        """The settings of a new dataset, as of ``Draft.create``."""
        if self.kind == UNPAIRED:
            return {"paired": False, "register": ""}
        if not self.kind:
            return {"register": self.ui.registerComboBox.currentData}
        settings = {"degrade": self.kind, "register": "", "dose": self.ui.doseSpinBox.value}
        return settings | {"factor": self.ui.factorComboBox.currentData, "grey_kind": self.ui.greyComboBox.currentData}

    def update(self) -> None:
        draft, ui = self.panel.draft, self.ui
        task = draft.task if draft is not None else self.panel.parameters.task
        choose(ui.taskComboBox, task)
        self._fillKinds(task)
        if draft is not None:
            settings = draft.settings
            choose(ui.kindComboBox, UNPAIRED if not settings.paired else settings.degrade)
            choose(ui.registerComboBox, settings.register)
            self._chooseFactor(settings.factor)
            choose(ui.greyComboBox, settings.grey_kind)
            showValue(ui.doseSpinBox, settings.dose)
        ui.taskComboBox.enabled = ui.kindComboBox.enabled = draft is None
        rows = {
            (ui.registerLabel, ui.registerComboBox): not self.kind,
            (ui.doseLabel, ui.doseSpinBox): self.kind == "low-dose",
            (ui.factorLabel, ui.factorComboBox): self.kind == "low-resolution",
            (ui.greyLabel, ui.greyComboBox): self.kind == "grey",
        }
        for widgets, shown in rows.items():
            for widget in widgets:
                widget.visible = shown
                widget.enabled = not self.panel.busy

    def _fillKinds(self, task: str) -> None:
        if task == self._kindsOf:
            return
        self._kindsOf = task
        self.ui.kindComboBox.clear()
        for key, title in kinds(task).items():
            self.ui.kindComboBox.addItem(title, key)
        choose(self.ui.registerComboBox, REGISTERED.get(task, ""))

    def _chooseFactor(self, factor) -> None:
        """Also one that the list does not have; the engine counts from slices to columns."""
        text = "x".join(str(step) for step in reversed(factor))
        if self.ui.factorComboBox.findData(text) < 0:
            self.ui.factorComboBox.addItem(text.replace("x", " x "), text)
        choose(self.ui.factorComboBox, text)

    def _onTask(self, index: int) -> None:
        if self.panel.parameters is not None and self.panel.draft is None:
            self.panel.parameters.task = self.ui.taskComboBox.itemData(index)
            self.panel.update()

    def _onKind(self, index: int) -> None:
        self.panel.update()

    def _onDose(self, dose: float) -> None:
        self._set("dose", dose)

    def _change(self, name: str, box) -> None:
        self._set(name, box.currentData)

    def _set(self, name: str, value) -> None:
        draft = self.panel.draft
        if draft is not None:
            self.panel.run(lambda: draft.change(**{name: value}))


def taskTitles() -> dict[str, str]:
    """What the tasks are called."""
    return {
        "denoise-ct": _("Denoise CT"),
        "contrast-ct": _("Contrast-enhance CT"),
        "superres-mr": _("Super-resolution MR"),
        "mr-to-ct": _("MR to CT"),
        "mr-to-ct-unpaired": _("MR to CT, unpaired"),
        "stain": _("Stain transfer"),
    }


def kinds(task: str) -> dict[str, str]:
    """What the cases of a task can be made from: titles by degradation, ``UNPAIRED``, or '' for pairs."""
    if task.endswith(UNPAIRED):
        return {UNPAIRED: _("Volumes without partners")}
    degradations = {
        "denoise-ct": {"low-dose": _("Single volumes, low dose is simulated")},
        "superres-mr": {"low-resolution": _("Single volumes, low resolution is computed")},
        "stain": {"grey": _("Single colored images, gray is computed")},
    }
    return {"": _("Pairs of volumes"), **degradations.get(task, {})}


def _greyTitles() -> dict[str, str]:
    return {
        "luma": _("Brightness"),
        "optical-density": _("Optical density"),
        "haematoxylin": _("Hematoxylin"),
    }


def choose(box, data) -> None:
    """Select the entry of a combo box with this data; nothing changes if there is none."""
    index = box.findData(data)
    if index >= 0:
        box.currentIndex = index


def showValue(spinBox, value: float) -> None:
    """Show a number without telling anybody. If it is shown already, what is being typed there is left alone."""
    if round(value, spinBox.decimals) != round(spinBox.value, spinBox.decimals):
        quietly(spinBox, lambda: spinBox.setValue(value))


def quietly(widget, action) -> None:
    """Set a widget without it telling anybody."""
    before = widget.blockSignals(True)
    try:
        action()
    finally:
        widget.blockSignals(before)
