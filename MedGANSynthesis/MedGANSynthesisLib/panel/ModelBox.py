"""ModelBox: the models of the active effect; each effect remembers the one that was chosen."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..models import modelChanges
from .Box import Box


class ModelBox(Box):
    """The list of models, with the card of the chosen one and the model manager one click away."""

    def __init__(self, panel):
        super().__init__(panel)
        self._bundles: list = []
        self._effectKey: str | None = None  # the effect of which the list shows the models; None: of no effect yet
        self._filling = False
        self._card = None
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self._onChosen)
        self.ui.modelCardButton.connect("clicked()", self._showCard)
        self.ui.manageModelsButton.connect("clicked()", self._openManager)
        modelChanges.addObserver(self.reload)

    @property
    def bundle(self):
        """The chosen model, None if there is none."""
        index = self.ui.modelComboBox.currentIndex
        return self._bundles[index] if 0 <= index < len(self._bundles) else None

    def update(self) -> None:
        effect = self.panel.effect
        key = effect.key if effect is not None else ""
        if key != self._effectKey:
            self._effectKey = key
            self._fill(list(effect.models()) if effect is not None else [])
        names = [bundle.name for bundle in self._bundles]
        chosen = self.panel.parameters.model if effect is not None else ""
        if names:
            self.ui.modelComboBox.currentIndex = names.index(chosen) if chosen in names else 0
        self.ui.modelComboBox.enabled = bool(names)
        self.ui.modelCardButton.enabled = bool(names)

    def leave(self) -> None:
        self._effectKey = None  # models may come and go meanwhile

    def cleanup(self) -> None:
        modelChanges.removeObserver(self.reload)

    def reload(self) -> None:
        """Look again for the models that are installed."""
        self._effectKey = None
        self.panel.update()

    def _fill(self, bundles: list) -> None:
        self._filling = True
        try:
            self._bundles = bundles
            self.ui.modelComboBox.clear()
            for bundle in bundles:
                self.ui.modelComboBox.addItem(bundle.title)
            if not bundles:
                self.ui.modelComboBox.addItem(_("No model is installed"))
        finally:
            self._filling = False

    def _onChosen(self, index: int) -> None:
        if not self._filling and self.panel.parameters is not None and 0 <= index < len(self._bundles):
            self.panel.parameters.model = self._bundles[index].name

    def _showCard(self) -> None:
        from ..models.ModelCard import showModelCard

        if self.bundle is not None:
            self._card = showModelCard(self.bundle, self.panel.root)  # alive as long as it is shown

    def _openManager(self) -> None:
        from ..models.ModelManagerDialog import openModelManager

        openModelManager(self.panel.root)
