"""``qMRMLNodeComboBox``: lets the user choose, make, rename and delete a node of the scene."""

import weakref

import slicer
import vtk

from .fields import field
from .native_qt import QtCore, QtWidgets
from .qt_special import registerHostClass
from .scene_widget import SceneWidget, WatchedNode, ifAlive


class _NodeList(QtWidgets.QComboBox):
    """The combo box inside; asks for the names of its nodes when it is drawn or opened."""

    def __init__(self, owner):
        super().__init__(owner)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding)
        self.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._owner = weakref.ref(owner)

    def paintEvent(self, event):
        self._owner().showEntries()
        super().paintEvent(event)

    def showPopup(self):
        self._owner().showEntries()
        super().showPopup()


@registerHostClass
class qMRMLNodeComboBox(SceneWidget):
    """Shows the nodes of some classes by name, with entries for none and for making a new one."""

    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)
    _sceneEvents = (
        slicer.vtkMRMLScene.NodeAddedEvent,
        slicer.vtkMRMLScene.NodeRemovedEvent,
        slicer.vtkMRMLScene.EndCloseEvent,
        slicer.vtkMRMLScene.EndImportEvent,
    )

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodes, self._current, self._attributes, self._labels = [], None, [], {}
        self._requested, self._menuActions = None, []
        watched = self._watched = WatchedNode()
        self.destroyed.connect(lambda *_: watched.release())
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(QtWidgets.QSizePolicy(policy.Preferred, policy.Fixed))
        self._list = _NodeList(self)
        layout.addWidget(self._list)
        self._list.activated.connect(self._onActivated)
        self.setEnabled(False)

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

    # --- what can be asked and set

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        self.setEnabled(scene is not None)
        if scene is not None and self._requested is not None:
            requested, self._requested = self._requested, None
            self.setCurrentNode(requested)

    def _setCurrentNodeID(self, nodeID):
        self.setCurrentNode(nodeID)

    currentNodeID = QtCore.Property(
        str, lambda self: self._current.GetID() if self._current is not None else "", _setCurrentNodeID
    )

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node):
        """Choose a node, or None, which works even where there is no entry for none."""
        if self._scene is None:
            self._requested = node
            return
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if node else None
        self._select(node if node in self._nodes else None)

    def nodeCount(self):
        return len(self._nodes)

    def nodeFromIndex(self, index):
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def setCurrentNodeIndex(self, index):
        self._select(self.nodeFromIndex(index))

    def addAttribute(self, nodeType, name, value=None):
        self._attributes.append((nodeType, name, value))
        self._refresh()

    def removeAttribute(self, nodeType, name):
        self._attributes = [entry for entry in self._attributes if entry[:2] != (nodeType, name)]
        self._refresh()

    def setNodeTypeLabel(self, label, nodeType):
        self._labels[nodeType] = label

    def nodeTypeLabel(self, nodeType):
        known = self._labels.get(nodeType, "")
        if not known and self._scene is not None and nodeType:
            known = self._scene.GetTypeDisplayNameByClassName(nodeType)
        return known or "node"

    def addMenuAction(self, action):
        self._menuActions.append(action)

    def addNode(self, nodeType=""):
        """Create a node, as the user does by the menu; returns it."""
        kind = nodeType or self.nodeTypes[0]
        node = self._scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetName(self._scene.GetUniqueNameByString(self.baseName or node.GetDefaultNodeNamePrefix()))
        for attributeKind, name, value in self._attributes:
            if attributeKind == kind:
                node.SetAttribute(name, value or "")
        node = self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self._select(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        self._scene.RemoveNode(self._current)

    def editCurrentNode(self):
        self.nodeAboutToBeEdited.emit(self._current)

    def renameCurrentNode(self):
        title = f"Rename {self.nodeTypeLabel(self._current.GetClassName())}"
        name, ok = QtWidgets.QInputDialog.getText(self, title, "New name:", text=self._current.GetName())
        if ok and name:
            self._current.SetName(name)
            self.currentNodeRenamed.emit(name)

    # --- following the scene

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
        before, self._nodes = self._nodes, []
        if self._scene is not None:
            count = self._scene.GetNumberOfNodes()
            self._nodes = [n for n in (self._scene.GetNthNode(i) for i in range(count)) if self._accepts(n)]
        for node in self._nodes:
            if node not in before:
                self.nodeAdded.emit(node)
        current = self._current if self._current in self._nodes else None
        # The first nodes that come are chosen without being asked for, and a node that goes is replaced.
        if current is None and not self.noneEnabled and (self._current is not None or not before):
            current = self.nodeFromIndex(0)
        self._select(current)

    def _select(self, node):
        if node is self._current:
            return
        self._current = node
        self._watchName(node)
        self.showEntries()
        self._announce()

    def _announce(self):
        node = self._current
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(self.currentNodeID)

    def _watchName(self, node):
        """A new name of the current node counts as a change of the current node, as in Slicer."""
        me, name = weakref.ref(self), [node.GetName() if node is not None else ""]

        def onModified(caller, event):
            if name[0] != caller.GetName():
                name[0] = caller.GetName()
                ifAlive(me, "_announce")

        self._watched.watch(node, [vtk.vtkCommand.ModifiedEvent], onModified)

    # --- the entries

    def _entries(self):
        """(text, what it stands for): a node, None for no node, or a function that does something."""
        entries = [(self.noneDisplay, None)] if self.noneEnabled else []
        entries += [(node.GetName() or "", node) for node in self._nodes]
        label = self.nodeTypeLabel(self.nodeTypes[0] if len(self.nodeTypes) == 1 else "")
        if self.renameEnabled:
            entries.append((f"Rename current {label}", self.renameCurrentNode))
        if self.editEnabled:
            entries.append((f"Edit current {label}", self.editCurrentNode))
        for kind in self.nodeTypes if self.addEnabled else ():
            entries.append((f"Create new {self.nodeTypeLabel(kind)}", lambda kind=kind: self._addByUser(kind)))
        if self.removeEnabled:
            entries.append((f"Delete current {label}", self.removeCurrentNode))
        return entries + [(action.text(), action.trigger) for action in self._menuActions]

    def showEntries(self):
        """Let the list show what there is now."""
        entries = self._entries() if self._scene is not None else []
        texts = [text for text, _target in entries]
        box = self._list
        blocked = box.blockSignals(True)
        if texts != [box.itemText(index) for index in range(box.count())]:
            box.clear()
            box.addItems(texts)
        targets = [target for _text, target in entries]
        known = self._current is not None or self.noneEnabled
        wanted = targets.index(self._current) if known and self._current in targets else -1
        if box.currentIndex() != wanted:
            box.setCurrentIndex(wanted)
        placeholder = f"Select a {self.nodeTypeLabel(self.nodeTypes[0] if self.nodeTypes else '')}"
        if box.placeholderText() != placeholder:
            box.setPlaceholderText(placeholder)
        box.blockSignals(blocked)

    def _addByUser(self, kind):
        node = self.addNode(kind)
        self._select(node)
        self.nodeAddedByUserAction.emit(node)

    def _onActivated(self, index):
        """The user chose an entry."""
        target = self._entries()[index][1]
        if callable(target):
            target()
            self.showEntries()
        else:
            self._select(target)
            self.nodeActivated.emit(target)
