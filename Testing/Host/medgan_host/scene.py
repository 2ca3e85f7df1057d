"""The MRML scene and the logics of the modules that Slicer loads at start, all from slicer-core."""

import colorsys
from pathlib import Path

import slicer
import vtk

# Slicer module name -> logic class of slicer-core; each registers its node classes with the scene.
_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Units": "vtkSlicerUnitsLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Sequences": "vtkSlicerSequencesLogic",
}
# Nodes that appear in the subject hierarchy.
_HIERARCHY_CLASSES = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
)
_SLICES = {"Red": ("Axial", "R"), "Green": ("Coronal", "G"), "Yellow": ("Sagittal", "Y")}


class SceneHost:
    """Owns ``scene``, ``applicationLogic``, ``moduleLogics`` (by module name) and ``sliceLogics`` (by view name)."""

    def __init__(self, temporaryPath):
        self.scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = self.scene
        self.applicationLogic = slicer.vtkSlicerApplicationLogic()
        self.applicationLogic.SetTemporaryPath(temporaryPath)
        self.applicationLogic.SetHomeDirectory(temporaryPath)
        self.applicationLogic.SetShareDirectory("share")
        (Path(temporaryPath) / "share" / "ColorFiles").mkdir(parents=True)
        self.applicationLogic.SetMRMLScene(self.scene)
        self._remoteIO = self._addDataIO(temporaryPath)
        self.moduleLogics = {}
        for moduleName, className in _LOGICS.items():
            logic = getattr(slicer, className)()
            logic.SetMRMLApplicationLogic(self.applicationLogic)
            self.applicationLogic.SetModuleLogic(moduleName, logic)
            logic.SetMRMLScene(self.scene)
            self.moduleLogics[moduleName] = logic
        self._addGenericColors()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
        self.scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._onNodeAdded)
        self.scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved)
        self.scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, self._onEndImport)
        self._sliceLogicCollection = vtk.vtkCollection()
        self.applicationLogic.SetSliceLogics(self._sliceLogicCollection)
        self.sliceLogics = {name: self._addSliceView(name, *view) for name, view in _SLICES.items()}

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene, event, node):
        """Give a data node its item in the subject hierarchy, as the plugins of the application do."""
        if not scene.IsImporting():  # the scene being read has a hierarchy of its own
            self._addToHierarchy(node)

    def _onEndImport(self, scene, event):
        for index in range(scene.GetNumberOfNodes()):
            self._addToHierarchy(scene.GetNthNode(index))

    def _addToHierarchy(self, node):
        hierarchy = self.scene.GetSubjectHierarchyNode()
        if hierarchy is None or node.GetHideFromEditors() or not any(node.IsA(name) for name in _HIERARCHY_CLASSES):
            return
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAboutToBeRemoved(self, scene, event, node):
        # Looking for the hierarchy merges two of them, which removes one; while the scene closes that goes wrong.
        if scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = scene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
        if item:
            hierarchy.RemoveItem(item, False, False)

    def _addDataIO(self, temporaryPath):
        """What the scene unpacks .mrb files with."""
        logic = slicer.vtkMRMLRemoteIOLogic()
        logic.SetMRMLScene(self.scene)
        logic.GetCacheManager().SetRemoteCacheDirectory(str(Path(temporaryPath) / "cache"))
        logic.AddDataIOToScene()
        return logic

    def _addGenericColors(self):
        """The default colors of labelmaps, which Slicer reads from a file of its install."""
        node = slicer.vtkMRMLColorTableNode()
        node.SetTypeToFile()
        node.SetName("GenericColors")
        node.SetNumberOfColors(256)
        for index in range(256):
            rgb = colorsys.hsv_to_rgb(index * 0.618034 % 1.0, 0.7, 0.9) if index else (0.0, 0.0, 0.0)
            node.SetColor(index, f"{index}", *rgb, 1.0 if index else 0.0)
        node.SetSaveWithScene(False)
        node.SetSingletonTag("FileGenericColors.txt")
        node.SetHideFromEditors(0)
        self.scene.AddNode(node)

    def _addSliceView(self, name, orientation, label):
        node = self.scene.CreateNodeByClass("vtkMRMLSliceNode")
        node.UnRegister(None)
        node.SetName(name)
        node.SetSingletonTag(name)
        node.SetLayoutName(name)
        node.SetLayoutLabel(label)
        node.SetOrientation(orientation)
        return self.addSliceLogic(self.scene.AddNode(node))

    def addSliceLogic(self, node):
        """A logic for a slice node that is new in the scene."""
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self.applicationLogic)
        logic.SetMRMLScene(self.scene)
        logic.SetSliceNode(node)
        self._sliceLogicCollection.AddItem(logic)
        return logic
