"""HandOverBox: a model goes to MedGAN Synthesis, a dataset to another computer, and a model comes back."""

from __future__ import annotations

from collections.abc import Callable

import qt
from medgan.errors import MedGANError
from slicer.i18n import tr as _

from .HandOver import LICENCES, isInstalled
from .Package import exportPackage


class HandOverBox:
    """Asks for name and license, and for files.

    Args:
        section: the ``EvaluationSection``, whose model and dataset are meant.
        onMessage: called with what happened, or went wrong, in one sentence.
    """

    def __init__(self, section, onMessage: Callable[[str], None]):
        self.section, self.ui, self._onMessage = section, section.ui, onMessage
        self._packing = None
        licences = self.ui.licenceComboBox
        licences.addItem("")
        licences.addItem(_("Not stated"))
        licences.addItems(list(LICENCES))
        licences.lineEdit().placeholderText = _("Choose one, or enter another")
        licences.connect("editTextChanged(QString)", self._onLicence)
        self.ui.installButton.connect("clicked()", self.install)
        self.ui.exportPackageButton.connect("clicked()", self.exportPackage)
        self.ui.importModelButton.connect("clicked()", self.importFile)
        self.ui.importModelFolderButton.connect("clicked()", self.importFolder)

    def update(self) -> None:
        """Bring the buttons in line with what is chosen."""
        section = self.section
        chosen = section.parameters.evaluationBundle
        self.ui.installButton.enabled = bool(chosen) and bool(self._licence()) and not isInstalled(chosen)
        self.ui.exportPackageButton.enabled = section.dataset is not None
        packing = self._packing is not None
        self.ui.exportPackageButton.text = _("Cancel packing") if packing else _("Export training package...")

    def install(self) -> None:
        """Hand the chosen model over."""
        licence = self._licence()
        licence = "" if licence == _("Not stated") else licence
        name = self.ui.nameLineEdit.text.strip()
        try:
            bundle = self.section.logic.install(
                self.section.parameters.evaluationBundle, name, licence, dataset=self.section.dataset
            )
        except MedGANError as error:
            self._onMessage(str(error))
            return
        message = _("'{title}' is in the list of models of MedGAN Synthesis now.")
        self._onMessage(message.format(title=bundle.title))
        self.section.onChanged()

    def exportPackage(self) -> None:
        """Pack dataset and plan, or stop packing."""
        if self._packing is not None:
            self._packing.cancel()
            return
        plan = self.section.plan()
        if plan is None:
            self._onMessage(_("There is no plan for this dataset yet; make one in the section Plan first."))
            return
        path = self.chooseTarget()
        if not path:
            return
        try:
            self._packing = exportPackage(self.section.dataset, path, plan, False, self._onProgress, self._onPacked)
        except MedGANError as error:
            self._onMessage(str(error))
        self.update()

    def importFile(self) -> None:
        """Install a packed model."""
        kinds = _("Packed models (*.zip)")
        self._import(qt.QFileDialog.getOpenFileName(self.section.widget, _("Choose a packed model"), "", kinds))

    def importFolder(self) -> None:
        """Install the model in a folder."""
        self._import(qt.QFileDialog.getExistingDirectory(self.section.widget, _("Choose the folder of a model")))

    def chooseTarget(self) -> str:
        """The file to pack into, '' for none."""
        kinds = _("Training packages (*.zip)")
        return qt.QFileDialog.getSaveFileName(self.section.widget, _("Save training package"), "package.zip", kinds)

    def cleanup(self) -> None:
        """Stop packing; nothing half-written stays."""
        if self._packing is not None:
            self._packing.end()

    def _import(self, path: str) -> None:
        if not path:
            return
        try:
            bundle = self.section.logic.importBundle(path)
        except MedGANError as error:
            self._onMessage(str(error))
            return
        self._onMessage(_("The model '{title}' was installed.").format(title=bundle.title))
        self.section.onChanged()

    def _licence(self) -> str:
        return self.ui.licenceComboBox.currentText.strip()

    def _onLicence(self, text: str) -> None:
        if self.section.parameters is not None:
            self.update()

    def _onProgress(self, task) -> None:
        self._onMessage(task.message)

    def _onPacked(self, task) -> None:
        self._packing = None
        self._onMessage(
            str(task.error) if task.error else _("The training package is {path}.").format(path=task.result())
        )
        if self.section.parameters is not None:
            self.update()
