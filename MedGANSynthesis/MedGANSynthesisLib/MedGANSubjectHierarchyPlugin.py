"""MedGANSubjectHierarchyPlugin: "Synthesize..." in the context menu of volumes.

Slicer runs this file as a module of its own and keeps its one instance for ever, also when the MedGAN modules are
reloaded: so nothing of them is held here.
"""

import qt
import slicer
from AbstractScriptedSubjectHierarchyPlugin import AbstractScriptedSubjectHierarchyPlugin
from slicer.i18n import tr as _

MODULE = "MedGANSynthesis"


class MedGANSubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
    """Offers an action, owns no items."""

    filePath = __file__  # Slicer's convention

    def __init__(self, scriptedPlugin):
        scriptedPlugin.name = "MedGAN"
        AbstractScriptedSubjectHierarchyPlugin.__init__(self, scriptedPlugin)
        self.synthesizeAction = qt.QAction(_("Synthesize..."), scriptedPlugin)
        self.synthesizeAction.objectName = "MedGANSynthesizeAction"
        self.synthesizeAction.setToolTip(_("Open MedGAN Synthesis to compute another volume from this one."))
        self.synthesizeAction.connect("triggered()", self.onSynthesize)

    def canAddNodeToSubjectHierarchy(self, node, parentItemID):
        """Nothing is ours."""
        return 0.0

    def canOwnSubjectHierarchyItem(self, itemID):
        """Nothing is ours."""
        return 0.0

    def itemContextMenuActions(self):
        """What there is to offer."""
        return [self.synthesizeAction]

    def showContextMenuActionsForItem(self, itemID):
        """Offer it for images only."""
        self.synthesizeAction.visible = _image(itemID) is not None

    def onSynthesize(self):
        """Open the module with the volume that was clicked."""
        volumeNode = _image(slicer.qSlicerSubjectHierarchyPluginHandler.instance().currentItem())
        if volumeNode is not None:
            slicer.util.selectModule(MODULE)
            slicer.util.getModuleWidget(MODULE).synthesize(volumeNode)


def _image(itemID):
    """The gray-value or color volume of an item, None if it has none or the volume has no voxels."""
    from MedGANSynthesisLib.attributes import IMAGE_CLASSES

    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    node = hierarchy.GetItemDataNode(itemID) if itemID and hierarchy is not None else None
    if node is None or node.GetClassName() not in IMAGE_CLASSES or node.GetImageData() is None:
        return None
    return node
