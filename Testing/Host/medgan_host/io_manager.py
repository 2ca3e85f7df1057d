"""What ``slicer.util.loadVolume``, ``saveNode`` and their like ask of the application: reading and writing nodes."""

from pathlib import Path

_VOLUME_SUFFIXES = (
    ".nrrd",
    ".nhdr",
    ".nii",
    ".nii.gz",
    ".mha",
    ".mhd",
    ".dcm",
    ".tif",
    ".tiff",
    ".png",
    ".jpg",
    ".bmp",
)


class CoreIOManager:
    """Loads and saves with the storage nodes and logics of slicer-core."""

    def __init__(self, host):
        self._host = host
        self._loaders = {
            "VolumeFile": self._loadVolume,
            "SegmentationFile": self._loadSegmentation,
            "TransformFile": self._loadByNode("vtkMRMLTransformStorageNode", "vtkMRMLLinearTransformNode"),
            "TableFile": self._loadByNode("vtkMRMLTableStorageNode", "vtkMRMLTableNode"),
            "TextFile": self._loadByNode("vtkMRMLTextStorageNode", "vtkMRMLTextNode"),
            "SceneFile": self._loadScene,
        }

    def fileType(self, fileName):
        """Name of the reader that takes the file; 'NoFile' when none does."""
        name = str(fileName).lower()
        if name.endswith((".seg.nrrd", ".seg.nhdr")):
            return "SegmentationFile"
        if name.endswith((".mrml", ".mrb")):
            return "SceneFile"
        if name.endswith((".tfm", ".h5", ".mat")):
            return "TransformFile"
        return "VolumeFile" if name.endswith(_VOLUME_SUFFIXES) else "NoFile"

    def fileWriterFileType(self, node, fileName=""):
        if node.IsA("vtkMRMLSegmentationNode"):
            return "SegmentationFile"
        if node.IsA("vtkMRMLVolumeNode"):
            return "VolumeFile"
        return "TransformFile" if node.IsA("vtkMRMLTransformNode") else "NodeFile"

    def loadNodes(self, fileType, properties, loadedNodes=None, userMessages=None):
        """Load; True when it worked. ``loadedNodes`` (vtkCollection) gets the nodes."""
        if fileType not in self._loaders:
            raise NotImplementedError(f"The test host has no reader for file type '{fileType}'.")
        path = Path(properties["fileName"])
        if not path.exists():
            return False
        node = self._loaders[fileType](path, properties)
        if node is None or node is False:
            return False
        if node is not True and loadedNodes is not None:
            loadedNodes.AddItem(node)
        return True

    def saveNodes(self, fileType, properties, userMessages=None):
        """Save one node (``nodeID``) or the scene; True when it worked."""
        fileName = str(properties["fileName"])
        scene = self._host.scene
        if fileType == "SceneFile":
            return self._saveScene(fileName)
        node = scene.GetNodeByID(properties["nodeID"])
        if node is None or not Path(fileName).absolute().parent.is_dir():
            return False
        storage = node.GetStorageNode()
        if storage is None:
            node.AddDefaultStorageNode()
            storage = node.GetStorageNode()
        if storage is None:
            return False
        storage.SetFileName(fileName)
        storage.SetUseCompression(int(properties.get("useCompression", storage.GetUseCompression())))
        return bool(storage.WriteData(node))

    def _saveScene(self, fileName):
        scene = self._host.scene
        if fileName.lower().endswith(".mrb"):
            return bool(scene.WriteToMRB(fileName))
        scene.SetURL(fileName)
        return bool(scene.Commit(fileName))

    def _loadScene(self, path, properties):
        scene = self._host.scene
        if properties.get("clear"):
            scene.Clear(0)
        if path.suffix.lower() == ".mrb":
            return bool(scene.ReadFromMRB(str(path)))
        scene.SetURL(str(path))
        return bool(scene.Import())

    def _loadVolume(self, path, properties):
        logic = self._host.moduleLogics["Volumes"]
        name = properties.get("name") or path.name.split(".")[0]
        singleFile = 2 if properties.get("singleFile") else 0
        return logic.AddArchetypeVolume(str(path), name, int(bool(properties.get("labelmap"))) | singleFile)

    def _loadSegmentation(self, path, properties):
        name = properties.get("name") or path.name.split(".")[0]
        return self._loadByNode("vtkMRMLSegmentationStorageNode", "vtkMRMLSegmentationNode")(path, {"name": name})

    def _loadByNode(self, storageClass, nodeClass):
        def load(path, properties):
            scene = self._host.scene
            storage = scene.AddNewNodeByClass(storageClass)
            node = scene.AddNewNodeByClass(nodeClass, properties.get("name") or path.stem)
            storage.SetFileName(str(path))
            if not storage.ReadData(node):
                scene.RemoveNode(node)
                scene.RemoveNode(storage)
                return None
            node.SetAndObserveStorageNodeID(storage.GetID())
            return node

        return load
