"""The smaller qMRML widgets: the slider with units and the selector of a segment."""

import weakref

import slicer

from .ctk_slider_widget import ctkSliderWidget
from .fields import field
from .native_qt import QtCore, QtWidgets
from .node_combo_box import qMRMLNodeComboBox
from .qt_special import registerHostClass
from .scene_widget import SceneWidget, WatchedNode, ifAlive

_SEGMENT_EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified")


@registerHostClass
class qMRMLSliderWidget(ctkSliderWidget):
    """A slider; the scene would give it units, which the stand-in ignores."""

    quantity = field(str, "quantity", "")

    def setMRMLScene(self, scene):
        self._scene = scene

    def mrmlScene(self):
        return getattr(self, "_scene", None)


@registerHostClass
class qMRMLSegmentSelectorWidget(SceneWidget):
    """Lets the user choose a segmentation and one segment of it."""

    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentSegmentChanged = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._segmentID = ""
        watched = self._watched = WatchedNode()
        self.destroyed.connect(lambda *_: watched.release())
        self._nodeBox = qMRMLNodeComboBox(self)
        self._nodeBox.setObjectName("MRMLNodeComboBox_Segmentation")
        self._nodeBox.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodeBox.addEnabled, self._nodeBox.renameEnabled = False, True
        self._label, self._message = QtWidgets.QLabel("Segment: ", self), QtWidgets.QLabel(self)
        self._label.setObjectName("label_Segment")
        self._message.setObjectName("label_Message")
        self._segmentBox = QtWidgets.QComboBox(self)
        self._segmentBox.setObjectName("comboBox_Segment")
        self._segmentBox.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._arrange(horizontal=False)
        self._nodeBox.currentNodeChanged[object].connect(self._onNode)
        self._nodeBox.currentNodeChanged[object].connect(self.currentNodeChanged[object])
        self._nodeBox.currentNodeChanged[bool].connect(self.currentNodeChanged[bool])
        self._segmentBox.currentIndexChanged.connect(self._onIndex)
        self._fillSegments()

    def _arrange(self, horizontal):
        layout = self.layout() or QtWidgets.QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(2)
        layout.addWidget(self._nodeBox, 0, 0, 1, 1 if horizontal else 2)
        layout.addWidget(self._label, 1, 0)
        layout.addWidget(self._segmentBox, 0 if horizontal else 1, 1)
        layout.addWidget(self._message, 2, 0, 1, 2)
        layout.setColumnStretch(1, 1)
        self._label.setText("" if horizontal else "Segment: ")
        self._horizontal = horizontal

    def _setNone(self, enabled):
        self._nodeBox.noneEnabled = enabled
        self._fillSegments()

    def _setNodeBox(name):
        return lambda self: getattr(self._nodeBox, name), lambda self, value: setattr(self._nodeBox, name, value)

    noneEnabled = QtCore.Property(bool, lambda self: self._nodeBox.noneEnabled, _setNone)
    editEnabled = QtCore.Property(bool, *_setNodeBox("editEnabled"))
    selectNodeUponCreation = QtCore.Property(bool, *_setNodeBox("selectNodeUponCreation"))
    segmentationNodeSelectorVisible = QtCore.Property(
        bool, lambda self: self._nodeBox.isVisible(), lambda self, visible: self._nodeBox.setVisible(visible)
    )
    horizontalLayout = QtCore.Property(
        bool, lambda self: self._horizontal, lambda self, horizontal: self._arrange(horizontal)
    )

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        self._nodeBox.setMRMLScene(scene)

    def currentNode(self):
        return self._nodeBox.currentNode()

    def setCurrentNode(self, node):
        self._nodeBox.setCurrentNode(node)

    def currentNodeID(self):
        return self._nodeBox.currentNodeID

    def setCurrentNodeID(self, nodeID):
        self._nodeBox.setCurrentNode(nodeID)

    def currentSegmentID(self):
        return self._segmentID

    def setCurrentSegmentID(self, segmentID):
        """Choose a segment; an unknown ID changes nothing."""
        index = 0 if not segmentID and self.noneEnabled else self._segmentBox.findData(segmentID)
        if index >= 0:
            self._segmentBox.setCurrentIndex(index)

    def _segments(self):
        node = self.currentNode()
        segmentation = node.GetSegmentation() if node is not None else None
        if segmentation is None:
            return []
        return [(segmentID, segmentation.GetSegment(segmentID).GetName()) for segmentID in segmentation.GetSegmentIDs()]

    def _onNode(self, node):
        me, events = weakref.ref(self), [getattr(slicer.vtkSegmentation, name) for name in _SEGMENT_EVENTS]
        self._watched.watch(node, events, lambda *_: ifAlive(me, "_fillSegments"))
        self._fillSegments()

    def _fillSegments(self):
        """List the segments; the one chosen stays chosen, otherwise the first is."""
        segments, box = self._segments(), self._segmentBox
        blocked = box.blockSignals(True)
        box.clear()
        if segments and self.noneEnabled:
            box.addItem("None", "")
        for segmentID, name in segments:
            box.addItem(name, segmentID)
        keep = self._segmentID in [segmentID for segmentID, _name in segments] or (
            self.noneEnabled and not self._segmentID
        )
        box.setCurrentIndex(box.findData(self._segmentID) if keep else -1)
        box.blockSignals(blocked)
        self._label.setVisible(bool(segments))
        box.setVisible(bool(segments))
        self._message.setText("No node is selected" if self.currentNode() is None else "No segments in segmentation")
        self._message.setVisible(not segments)
        if segments and not keep:
            box.setCurrentIndex(1 if self.noneEnabled else 0)

    def _onIndex(self, index):
        if self.currentNode() is not None:
            self._segmentID = self._segmentBox.itemData(index) or ""
            self.currentSegmentChanged.emit(self._segmentID)
