"""DeviceChoice: where to compute; which graphics cards there are is asked only when the user wants to know."""

from __future__ import annotations

from collections.abc import Callable

from MedGANSynthesisLib.engineClient import engineClient
from slicer.i18n import tr as _


class DeviceChoice:
    """Fills a ``QComboBox`` with devices.

    Args:
        comboBox: to fill. onChosen: called with the engine's name of a device.
    """

    def __init__(self, comboBox, onChosen: Callable[[str], None]):
        self._combo, self._onChosen = comboBox, onChosen
        self._labels = {"auto": _("Automatic"), "cpu": _("Processor (CPU)")}
        self._names: list[str] = []
        self._closed = False
        comboBox.connect("activated(int)", lambda index: onChosen(self._names[index]))

    def show(self, chosen: str) -> None:
        """Show which device is chosen; one of another computer is added."""
        names = list(dict.fromkeys([*self._labels, chosen]))
        if names != self._names:
            self._names = names
            self._combo.clear()
            self._combo.addItems([self._labels.get(name, name) for name in names])
        self._combo.currentIndex = names.index(chosen)

    def ask(self) -> None:
        """Ask the engine for its devices; they are in the list when it has answered."""
        engineClient().devices(self._onDevices)

    def cleanup(self) -> None:
        """An answer that is still to come is of no interest any more."""
        self._closed = True

    def _onDevices(self, devices) -> None:
        if not self._closed:
            self._labels |= {device.name: device.label for device in devices}
            self.show(self._names[self._combo.currentIndex])
