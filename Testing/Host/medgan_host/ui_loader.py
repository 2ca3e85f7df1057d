"""``qt.QUiLoader``: Qt's own loader for .ui files, knowing the stand-in's ctk and qMRML widgets.

Connections of a .ui file may carry VTK objects (``mrmlSceneChanged(vtkMRMLScene*)``), which PySide6 cannot route; they
are taken out of the file and made afterwards.
"""

import xml.etree.ElementTree as ElementTree

from . import qt_signals
from .native_qt import QtCore, QtUiTools
from .qt_members import hostClasses
from .qt_wrapper import specialMembers, unwrap, wrap


class _Loader(QtUiTools.QUiLoader):
    unknown: list[str]

    def createWidget(self, className, parent=None, name=""):
        if className in hostClasses:
            widget = hostClasses[className]()
            widget.setParent(parent)
            widget.setObjectName(name)
            return widget
        if className not in self.availableWidgets():
            self.unknown.append(className)
        return super().createWidget(className, parent, name)


def loadUi(self, device, parent=None):
    """The widget that the open .ui file ``device`` describes; RuntimeError for a widget class the stand-in lacks."""
    root = ElementTree.fromstring(bytes(unwrap(device).readAll().data()))
    connections = root.find("connections")
    if connections is not None:
        root.remove(connections)
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(root))
    buffer.open(QtCore.QIODevice.ReadOnly)
    loader = _Loader()
    loader.unknown = []
    widget = loader.load(buffer, unwrap(parent))
    if loader.unknown:
        raise RuntimeError(f"The MedGAN test host has no widget class {', '.join(sorted(set(loader.unknown)))}.")
    for connection in connections if connections is not None else ():
        _connect(widget, *[connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")])
    return wrap(widget)


def _connect(widget, senderName, signal, receiverName, slot):
    objects = {name: _find(widget, name) for name in (senderName, receiverName)}
    sender, receiver = objects[senderName], objects[receiverName]
    function = getattr(receiver, slot.partition("(")[0], None)
    if sender is None or function is None:
        print(f"QUiLoader: cannot connect {senderName}.{signal} to {receiverName}.{slot}")
        return
    count = len([part for part in slot.partition("(")[2].rstrip(")").split(",") if part])
    qt_signals.connectNative(sender, type(sender).__name__, signal, lambda *args: function(*args[:count]))


def _find(widget, name):
    return widget if widget.objectName() == name else widget.findChild(QtCore.QObject, name)


specialMembers["QUiLoader"] = {"load": loadUi}
