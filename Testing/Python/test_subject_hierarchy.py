""" "Synthesize..." in the context menu of the subject hierarchy, as a right-click brings it."""

import unittest

import numpy as np
import slicer
from MedGANSynthesisLib.subjectHierarchy import registerSubjectHierarchyPlugin
from slicer_fixtures import addSegment, addVolume, randomArray


class SubjectHierarchyTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        registerSubjectHierarchyPlugin()
        self.handler = slicer.qSlicerSubjectHierarchyPluginHandler.instance()
        self.plugin = self.handler.pluginByName("MedGAN")
        (self.action,) = self.plugin.itemContextMenuActions()

    def tearDown(self):
        slicer.util.selectModule("MedGANSynthesis")
        slicer.mrmlScene.Clear(0)

    def click(self, node):
        """Right-click on the item of a node; returns whether the action is offered."""
        item = slicer.mrmlScene.GetSubjectHierarchyNode().GetItemByDataNode(node) if node is not None else 0
        self.handler.setCurrentItem(item)
        self.action.visible = False  # as the handler does with all actions
        self.plugin.showContextMenuActionsForItem(item)
        return self.action.visible

    def test_registeredOnce(self):
        registerSubjectHierarchyPlugin()
        self.assertEqual([plugin.name for plugin in self.handler.registeredPlugins()].count("MedGAN"), 1)
        self.assertEqual(self.plugin.canOwnSubjectHierarchyItem(1), 0.0)
        self.assertGreater(len(self.action.toolTip), 20)

    def test_offeredForImagesOnly(self):
        volume = addVolume(randomArray())
        segmentation, _segmentID = addSegment(volume, np.ones((5, 17, 23)))
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        slicer.util.updateVolumeFromArray(labels, np.ones((5, 17, 23), np.int16))
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        self.assertTrue(self.click(volume))
        self.assertTrue(self.click(addVolume(np.zeros((2, 3, 4, 3), np.uint8), name="Slide")))
        for node in (segmentation, labels, empty, None):
            self.assertFalse(self.click(node))

    def test_opensTheModuleWithTheVolume(self):
        addVolume(randomArray(), name="First")
        second = addVolume(randomArray(), name="Second")
        self.assertTrue(self.click(second))
        self.action.trigger()
        self.assertEqual(slicer.util.mainWindow().moduleSelector().selectedModule, "MedGANSynthesis")
        widget = slicer.util.getModuleWidget("MedGANSynthesis")
        self.assertIs(widget.ui.sourceVolumeSelector.currentNode(), second)

    def test_stillWorksAfterTheModuleWasReloaded(self):
        slicer.util.selectModule("MedGANSynthesis")
        slicer.util.reloadScriptedModule("MedGANSynthesis")
        volume = addVolume(randomArray())
        self.assertTrue(self.click(volume))
        self.action.trigger()
        widget = slicer.util.getModuleWidget("MedGANSynthesis")
        self.assertIs(widget.logic.getParameterNode().sourceVolume, volume)

    def test_nothingHappensIfTheVolumeIsGone(self):
        volume = addVolume(randomArray())
        self.click(volume)
        slicer.mrmlScene.RemoveNode(volume)
        self.action.trigger()
        self.assertIsNone(slicer.util.getModuleWidget("MedGANSynthesis").logic.getParameterNode().sourceVolume)


if __name__ == "__main__":
    unittest.main()
