"""The qMRML widgets: they show and follow nodes of the scene."""

import weakref

import slicer

from .ctk_widgets import ctkSliderWidget
from .fields import field
from .native_qt import QtCore, QtWidgets
from .qt_special import registerHostClass


class SceneWidget(QtWidgets.QWidget):
    """Base: holds the scene; ``_sceneEvents`` names the events after which ``_refresh`` is called."""

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
            tag = scene.AddObserver(event, lambda *_: _refreshIfAlive(me))
            self._tags.append(tag)
            self.destroyed.connect(lambda *_, tag=tag: scene.RemoveObserver(tag))
        self._refresh()
        self.mrmlSceneChanged.emit(scene)

    def _refresh(self):
        """Bring what is shown in line with the scene."""


def _refreshIfAlive(reference):
    from .native_qt import shiboken6

    widget = reference()
    if widget is not None and shiboken6.isValid(widget):
        widget._refresh()


@registerHostClass
class qMRMLWidget(SceneWidget):
    """A widget that hands its scene on to its children, by the connections of the .ui file."""


@registerHostClass
class qSlicerWidget(SceneWidget):
    """A widget that hands its scene on to its children, by the connections of the .ui file."""


@registerHostClass
class qMRMLSliderWidget(ctkSliderWidget):
    """A slider; the scene would give it units, which the stand-in ignores."""

    quantity = field(str, "quantity", "")

    def setMRMLScene(self, scene):
        self._scene = scene

    def mrmlScene(self):
        return getattr(self, "_scene", None)


@registerHostClass
class qMRMLNodeComboBox(SceneWidget):
    """Lets the user choose a node of the scene."""

    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    _sceneEvents = (
        slicer.vtkMRMLScene.NodeAddedEvent,
        slicer.vtkMRMLScene.NodeRemovedEvent,
        slicer.vtkMRMLScene.EndCloseEvent,
        slicer.vtkMRMLScene.EndImportEvent,
    )

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodes, self._current, self._attributes = [], None, []

    def _changed(self):
        self._refresh()

    nodeTypes = field("QStringList", "nodeTypes", [], _changed)
    hideChildNodeTypes = field("QStringList", "hideChildNodeTypes", [], _changed)
    showHidden = field(bool, "showHidden", False, _changed)
    showChildNodeTypes = field(bool, "showChildNodeTypes", True, _changed)
    noneEnabled = field(bool, "noneEnabled", False, _changed)
    addEnabled = field(bool, "addEnabled", True)
    removeEnabled = field(bool, "removeEnabled", True)
    editEnabled = field(bool, "editEnabled", False)
    renameEnabled = field(bool, "renameEnabled", False)
    selectNodeUponCreation = field(bool, "selectNodeUponCreation", True)
    baseName = field(str, "baseName", "")
    noneDisplay = field(str, "noneDisplay", "None")

    def _setCurrentNodeID(self, nodeID):
        self._select(self._scene.GetNodeByID(nodeID) if self._scene is not None and nodeID else None)

    currentNodeID = QtCore.Property(
        str, lambda self: self._current.GetID() if self._current is not None else "", _setCurrentNodeID
    )

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node):
        if isinstance(node, str):
            self._setCurrentNodeID(node)
        else:
            self._select(node)

    def nodeCount(self):
        return len(self._nodes)

    def nodeFromIndex(self, index):
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def setCurrentNodeIndex(self, index):
        self._select(self.nodeFromIndex(index))

    def addAttribute(self, nodeType, name, value=None):
        self._attributes.append((nodeType, name, value))
        self._refresh()

    def addNode(self, nodeType=""):
        """Create a node, as the user does by the menu; returns it."""
        node = self._scene.AddNewNodeByClass(nodeType or self.nodeTypes[0], self.baseName)
        if self.selectNodeUponCreation:
            self._select(node)
        self.nodeAddedByUser.emit(node)
        return node

    def _accepts(self, node):
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if any(node.IsA(kind) for kind in self.hideChildNodeTypes):
            return False
        kinds = [k for k in self.nodeTypes if (node.IsA(k) if self.showChildNodeTypes else node.GetClassName() == k)]
        return bool(kinds) and all(
            node.GetAttribute(name) is not None and value in (None, "", node.GetAttribute(name))
            for kind, name, value in self._attributes
            if kind in kinds
        )

    def _refresh(self):
        nodes = []
        if self._scene is not None:
            count = self._scene.GetNumberOfNodes()
            nodes = [n for n in (self._scene.GetNthNode(i) for i in range(count)) if self._accepts(n)]
        self._nodes = nodes
        self._select(self._current)

    def _select(self, node):
        if node not in self._nodes:
            node = None
        if node is None and not self.noneEnabled and self._nodes:
            node = self._nodes[0]
        if node is self._current:
            return
        self._current = node
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(self.currentNodeID)


@registerHostClass
class qMRMLSegmentSelectorWidget(qMRMLNodeComboBox):
    """Lets the user choose a segmentation and a segment of it."""

    currentSegmentChanged = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodeTypes, self._segmentID = ["vtkMRMLSegmentationNode"], ""
        self.currentNodeChanged[object].connect(lambda *_: self._setSegment(self._segmentID))

    segmentNodeSelectorVisible = field(bool, "segmentNodeSelectorVisible", True)

    def currentSegmentID(self):
        return self._segmentID

    def setCurrentSegmentID(self, segmentID):
        self._setSegment(segmentID)

    def segmentIDs(self):
        return list(self._current.GetSegmentation().GetSegmentIDs()) if self._current is not None else []

    def _setSegment(self, segmentID):
        known = self.segmentIDs()
        if segmentID not in known:
            segmentID = known[0] if known and not self.noneEnabled else ""
        if segmentID != self._segmentID:
            self._segmentID = segmentID
            self.currentSegmentChanged.emit(segmentID)
