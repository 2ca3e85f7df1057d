"""FolderBox: the dataset that is worked on: begun, opened, or one of the last."""

from __future__ import annotations

from pathlib import Path

import slicer
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

_KEY = "MedGAN/RecentDatasets"
_MOST = 10


class FolderBox(Box):
    """The row of the folder."""

    def __init__(self, section):
        super().__init__(section)
        self._listed: list[str] | None = None
        self.ui.newFolderButton.connect("clicked()", self.new)
        self.ui.openFolderButton.connect("clicked()", self.open)
        self.ui.recentComboBox.connect("activated(int)", self._onRecent)

    def update(self) -> None:
        recent = recentFolders()
        if recent != self._listed:
            self._listed = recent
            self.ui.recentComboBox.clear()
            self.ui.recentComboBox.addItem(_("Recent datasets"), "")
            for folder in recent:
                self.ui.recentComboBox.addItem(Path(folder).name or folder, folder)
        for widget in (self.ui.newFolderButton, self.ui.openFolderButton, self.ui.recentComboBox):
            widget.enabled = not self.panel.busy
        folder = self.panel.parameters.datasetFolder
        self.ui.folderLabel.text = folder or _("No dataset yet: begin one in a new folder, or open one.")

    def new(self) -> None:
        """Begin a dataset in a folder that the user chooses."""
        folder = self.panel.chooseFolder(_("Choose an empty folder for the dataset"))
        if folder:
            self.panel.begin(folder)

    def open(self) -> None:
        """Go on with a dataset that the user chooses."""
        folder = self.panel.chooseFolder(_("Choose the folder of a dataset"))
        if folder:
            self.panel.open(folder)

    def _onRecent(self, index: int) -> None:
        folder = self.ui.recentComboBox.itemData(index)
        self.ui.recentComboBox.currentIndex = 0
        if folder:
            self.panel.open(folder)


def recentFolders() -> list[str]:
    """The datasets that were worked on lately and are still there, the last one first."""
    stored = slicer.app.userSettings().value(_KEY) or ()
    folders = [stored] if isinstance(stored, str) else list(stored)
    return [folder for folder in folders if folder and Path(folder).is_dir()]


def remember(folder: str) -> None:
    """Put a dataset on top of the list."""
    others = [one for one in recentFolders() if one != folder]
    slicer.app.userSettings().setValue(_KEY, [folder, *others][:_MOST])
