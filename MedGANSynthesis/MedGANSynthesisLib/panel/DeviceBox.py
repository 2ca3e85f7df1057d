"""DeviceBox: where to compute, and how much memory is free there."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..engineClient import engineClient
from .Box import Box


class DeviceBox(Box):
    """Asks the worker for its devices once somebody looks: that starts it, and PyTorch with it."""

    def __init__(self, panel):
        super().__init__(panel)
        self._devices: list = []
        self._filled: list[str] = []
        self._updating = False
        self._asking = self._closed = False
        self.ui.advancedCollapsibleButton.connect("contentsCollapsed(bool)", self._onFolded)
        self.ui.deviceComboBox.connect("currentIndexChanged(int)", self._onChosen)

    def update(self) -> None:
        chosen = self.panel.parameters.device
        names = ["auto", *(device.name for device in self._devices)]
        if chosen not in names:
            names.append(chosen)  # of a scene from another computer
        self._updating = True
        try:
            if names != self._filled:
                self._fill(names)
            self.ui.deviceComboBox.currentIndex = names.index(chosen)
        finally:
            self._updating = False
        self.ui.deviceLabel.text = self._description(chosen)

    def ask(self) -> None:
        """Ask for the devices and their free memory, if anybody sees the answer."""
        if self._asking or self.ui.advancedCollapsibleButton.collapsed or self.panel.parameters is None:
            return
        self._asking = True
        engineClient().devices(self._onDevices)

    def leave(self) -> None:
        self._asking = False  # there is no answer if the engine is stopped meanwhile

    def cleanup(self) -> None:
        self._closed = True

    def _fill(self, names: list[str]) -> None:
        self._filled = names
        labels = {device.name: device.label for device in self._devices} | {"auto": _("Automatic")}
        self.ui.deviceComboBox.clear()
        for name in names:
            self.ui.deviceComboBox.addItem(labels.get(name, name), name)

    def _description(self, chosen: str) -> str:
        """The device that is chosen, or that automatic has come to, with its memory."""
        name = chosen if chosen != "auto" else self.panel.deviceUsed()
        labels = [device.label for device in self._devices if device.name == name or device.name.startswith(f"{name}:")]
        if name and labels:
            return _("In use: {device}").format(device=labels[0])
        return _("Which device is taken is known after the first run.") if chosen == "auto" else ""

    def _onDevices(self, devices) -> None:
        self._asking = False
        if not self._closed:
            self._devices = list(devices)
            self.panel.update()

    def _onFolded(self, collapsed: bool) -> None:
        if not collapsed:
            self.ask()

    def _onChosen(self, index: int) -> None:
        if not self._updating and self.panel.parameters is not None and 0 <= index < len(self._filled):
            self.panel.parameters.device = self._filled[index]
