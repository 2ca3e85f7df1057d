"""Section: a part of the panel, with a .ui file of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import slicer

_UI = Path(__file__).parents[1] / "Resources" / "UI"


class Section:
    """A part of the panel. ``update`` follows every change; ``leave``, ``sceneCloses`` and ``cleanup`` are the ends.

    Args:
        logic: the module's logic.
        onChanged: call it after something has changed on disk that other sections show, such as a dataset that was
            finished; all sections are updated. What changes on the parameter node needs no call.

    Attributes:
        uiName: of the .ui file in Resources/UI, without suffix.
        widget: what the file describes. ui: its child widgets by name.
        parameters: the ``TrainingParameterNode`` while the module is shown, else None.
    """

    uiName = ""

    def __init__(self, logic, onChanged: Callable[[], None]):
        self.logic, self.onChanged = logic, onChanged
        self.widget = slicer.util.loadUI(str(_UI / f"{self.uiName}.ui"))
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.parameters = self._guiTag = None

    def setParameterNode(self, parameters) -> None:
        """Show and follow a parameter node, or none: the module is left, or its scene about to be closed."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.leave()
        self.parameters, self._guiTag = parameters, None
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self.update()

    def update(self) -> None:
        """Bring the widgets in line with the parameters and the files; ``parameters`` is not None."""

    def leave(self) -> None:
        """The module is left, or its scene closed while it is shown: stop timers. ``update`` may come again."""

    def sceneCloses(self) -> None:
        """The scene is about to be closed, also while another module is shown: let go of every node."""

    def cleanup(self) -> None:
        """The panel goes: end processes, drop connections to what outlives it. Comes after ``leave``, nothing after."""
