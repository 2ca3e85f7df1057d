"""PreviewLayers: the previews of one volume, and the views that show them."""

from __future__ import annotations

from .PreviewLayer import PreviewLayer
from .SliceViews import compositeNodeOf, layersShowing, viewsThat

ROI_KEY = "ROI"


class PreviewLayers:
    """One layer per view, under the name of the view, or one for all views, under ``ROI_KEY``."""

    def __init__(self):
        self._layers: dict[str, PreviewLayer] = {}
        self._leftAlone: set[str] = set()  # views whose foreground the user has chosen himself since
        self._opacity, self._sourceShown = 1.0, False

    def views(self, sourceNode) -> dict:
        """Slice nodes by view name: the views that show the source, all if none does, less those to be left alone."""
        layers = self._layers.values()

        def shows(composite) -> bool:
            shown = layersShowing(composite, sourceNode)
            if any(layer.underlays(composite) for layer in layers):
                shown = [layer for layer in shown if layer != composite.LayerBackground]
            return bool(shown) or any(layer.covers(composite) for layer in layers)

        return {name: node for name, node in viewsThat(shows).items() if name not in self._leftAlone}

    def write(self, key: str, sourceNode, gate, image, sameUnits: bool) -> None:
        """Put an image (``Volume``) into a layer, and show it where the layer belongs."""
        if key not in self._layers:
            self._layers[key] = PreviewLayer(key, sourceNode)
        self._layers[key].write(gate, image, sameUnits)
        self.show(key, sourceNode)

    def show(self, key: str, sourceNode) -> None:
        """Let the views that should show a layer show it, and no others; nothing happens if there is none."""
        if key not in self._layers:
            return
        nodes = [node for name, node in self.views(sourceNode).items() if key in (name, ROI_KEY)]
        self._layers[key].showIn([compositeNodeOf(node) for node in nodes], self._shownOpacity)

    def setOpacity(self, opacity: float) -> None:
        """How much of the previews is seen, 0 to 1."""
        if opacity != self._opacity:  # else what the user has set in the view stays
            self._opacity = opacity
            self._showOpacity()

    def showSource(self, shown: bool) -> None:
        """Hide the previews for the moment, or show them again."""
        if shown != self._sourceShown:
            self._sourceShown = shown
            self._showOpacity()

    def compositeChanged(self, compositeNode) -> None:
        """If somebody has chosen another foreground for a view, it is his from now on."""
        for layer in self._layers.values():
            if layer.wasReplacedIn(compositeNode):
                self._leftAlone.add(compositeNode.GetLayoutName())

    def remove(self, key: str) -> None:
        """Give the views back what they showed before this layer."""
        layer = self._layers.pop(key, None)
        if layer is not None:
            layer.remove()

    def clear(self) -> None:
        """Remove all layers; no view is left alone any more."""
        for key in list(self._layers):
            self.remove(key)
        self._leftAlone.clear()

    @property
    def _shownOpacity(self) -> float:
        return 0.0 if self._sourceShown else self._opacity

    def _showOpacity(self) -> None:
        for layer in self._layers.values():
            layer.setOpacity(self._shownOpacity)
