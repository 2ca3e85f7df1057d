"""FilesBox: cases from saved scenes, folders, tables and DICOM."""

from __future__ import annotations

from medgan.errors import InputError
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

from .AddPair import addScenePair
from .DatabasePairs import addDatabase
from .FolderImport import addFolder
from .SceneImport import addScenes


class FilesBox(Box):
    """What names look like, and a button for each place."""

    def __init__(self, section):
        super().__init__(section)
        self._buttons = {
            self.ui.addScenesButton: self.addScenes,
            self.ui.addFoldersButton: self.addFolders,
            self.ui.addTableButton: self.addTable,
            self.ui.addStudiesButton: self.addStudies,
            self.ui.addDatabaseButton: self.addDatabase,
        }
        for button, action in self._buttons.items():
            button.connect("clicked()", action)

    def update(self) -> None:
        paired = self.panel.draft is not None and self.panel.draft.settings.paired
        for button in self._buttons:
            button.enabled = self.panel.draft is not None and not self.panel.busy
        for button in (self.ui.addStudiesButton, self.ui.addDatabaseButton):
            button.enabled = button.enabled and paired

    def addScenes(self) -> None:
        """Add the pairs of saved scenes."""
        paths = self.panel.chooseFiles(_("Choose saved scenes"), _("Scenes (*.mrb *.mrml)"))
        if paths:
            self.panel.run(lambda: self._fromScenes(paths))

    def addFolders(self) -> None:
        """Add the pairs of two folders."""
        source = self.panel.chooseFolder(_("Choose the folder of the sources"))
        if source:
            self.panel.run(lambda: self._fromFolders(source))

    def addTable(self) -> None:
        """Add what a table lists."""
        paths = self.panel.chooseFiles(_("Choose a table of pairs"), _("Tables (*.csv)"), several=False)
        if paths:
            self.panel.run(lambda: self._added(addFolder, paths[0]))

    def addStudies(self) -> None:
        """Add a pair from each sub-folder of a folder of DICOM studies."""
        folder = self.panel.chooseFolder(_("Choose a folder with a sub-folder per DICOM study"))
        if folder:
            self.panel.run(lambda: self._fromStudies(folder))

    def addDatabase(self) -> None:
        """Add a pair from each study of the DICOM database."""
        self.panel.run(lambda: self._added(addDatabase, *self._texts()))

    def _texts(self) -> tuple[str, str]:
        return self.ui.filesSourceLineEdit.text.strip(), self.ui.filesTargetLineEdit.text.strip()

    def _fromFolders(self, source: str) -> str:
        alone = bool(self.panel.draft.settings.degrade)
        target = None if alone else self.panel.chooseFolder(_("Choose the folder of the targets"))
        if not (alone or target):
            return ""
        return self._added(addFolder, source, target, pattern=self._texts())

    def _fromScenes(self, paths) -> str:
        draft, (source, target) = self.panel.draft, self._texts()
        remembered = {"assume_hu": True} if self.ui.assumeHuCheckBox.checked else {}

        def add(pair, name):
            cases = []
            error = self.panel.attempt(
                lambda answers: cases.append(addScenePair(draft, pair, answers=answers, name=name)), remembered
            )
            if error:
                raise InputError(error)
            return cases[0]  # not the pair, which would keep the volumes of every scene in memory

        rule = "name" if source and target and "{" in source else self.ui.ruleComboBox.currentData
        cases, failed = addScenes(draft, paths, rule, source, target, add, self.panel.showProgress)
        return self.panel.summary(len(cases), [f"{one['id']}: {one['reason']}" for one in failed])

    def _fromStudies(self, folder: str) -> str:
        source, target = self._texts()
        if not source or not (target or self.panel.draft.settings.degrade):
            raise InputError(
                _("Say which series to take, by modality or a part of their description, such as MR and CT.")
            )
        return self._added(addFolder, folder, sourceSeries=source, targetSeries=target)

    def _added(self, add, *arguments, **settings) -> str:
        draft = self.panel.draft
        settings["assume_hu"] = self.ui.assumeHuCheckBox.checked
        cases, failed = add(draft, *arguments, onProgress=self.panel.showProgress, **settings)
        return self.panel.summary(len(cases), [f"{one['id']}: {one['reason']}" for one in failed])
