"""Base of the widgets that follow a MRML scene."""

import weakref

from .native_qt import QtCore, QtWidgets, shiboken6
from .qt_special import registerHostClass


class SceneWidget(QtWidgets.QWidget):
    """Holds the scene; ``_sceneEvents`` names the events after which ``_refresh`` is called."""

    mrmlSceneChanged = QtCore.Signal(object)
    _sceneEvents = ()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._tags = None, []

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        me = weakref.ref(self)
        for event in self._sceneEvents if scene is not None else ():
            tag = scene.AddObserver(event, lambda *_: ifAlive(me, "_refresh"))
            self._tags.append(tag)
            self.destroyed.connect(lambda *_, tag=tag: scene.RemoveObserver(tag))
        self._refresh()
        self.mrmlSceneChanged.emit(scene)

    def _refresh(self):
        """Bring what is shown in line with the scene."""


def ifAlive(reference, method):
    """Call a method of the widget behind a weak reference, unless Python or Qt has deleted it."""
    widget = reference()
    if widget is not None and shiboken6.isValid(widget):
        getattr(widget, method)()


class WatchedNode:
    """The observers of the one node that a widget looks at."""

    def __init__(self):
        self._node, self._tags = None, []

    def watch(self, node, events, callback):
        """Look at another node, or at None."""
        self.release()
        if node is not None:
            self._node, self._tags = node, [node.AddObserver(event, callback) for event in events]

    def release(self):
        """Look at nothing any more."""
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._node, self._tags = None, []


@registerHostClass
class qMRMLWidget(SceneWidget):
    """A widget that hands its scene on to its children, by the connections of the .ui file."""


@registerHostClass
class qSlicerWidget(SceneWidget):
    """A widget that hands its scene on to its children, by the connections of the .ui file."""
