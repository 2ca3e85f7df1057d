"""BundleChoice: the models that can be measured: of trainings on this computer, and installed ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medgan import model_store, runs
from medgan.bundle import Bundle
from medgan.errors import MedGANError
from slicer.i18n import tr as _


class BundleChoice:
    """Fills a ``QComboBox`` with models.

    Args:
        comboBox: to fill. none: text of the entry for no model.
        onChosen: called with the folder of a model, '' for none, after the user chose.
    """

    def __init__(self, comboBox, none: str, onChosen: Callable[[str], None]):
        self._combo, self._none, self._onChosen = comboBox, none, onChosen
        self._values: list[str] = []
        self._shown: dict[str, str] = {}
        comboBox.connect("activated(int)", self._onActivated)

    def show(self, titles: dict[str, str], chosen: str) -> None:
        """Offer models (folder to title), and show which one is chosen; one from elsewhere is added."""
        titles = {"": self._none, **titles}
        if chosen not in titles:
            bundle = _load(Path(chosen))
            titles[chosen] = f"{bundle.title} ({chosen})" if bundle is not None else chosen
        if titles != self._shown:
            self._shown, self._values = titles, list(titles)
            self._combo.clear()
            self._combo.addItems(list(titles.values()))
        self._combo.currentIndex = self._values.index(chosen)

    def _onActivated(self, index: int) -> None:
        self._onChosen(self._values[index])


def bundlesOf(task: str, runFolder: str) -> dict[str, str]:
    """Folder and title of the models of a task: of the run that is shown, of other runs, and the installed ones."""
    folders = [Path(runFolder)] if runFolder else []
    folders += [run.folder for run in runs.known_runs()]
    found: dict[str, str] = {}
    for folder in folders:
        bundle = _load(folder / "bundle")
        if bundle is not None and bundle.task == task:
            title = _("{title} (training in {folder})").format(title=bundle.title, folder=folder.name)
            found.setdefault(str(bundle.path.resolve()), title)
    for entry in model_store.installed():
        if entry.bundle is not None and entry.bundle.task == task and not entry.shadowed:
            title = _("{title} (installed)").format(title=entry.bundle.title)
            found.setdefault(str(entry.path.resolve()), title)
    return found


def _load(folder: Path) -> Bundle | None:
    try:
        return Bundle.load(folder)
    except MedGANError:  # not finished yet, or damaged
        return None
