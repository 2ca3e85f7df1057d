"""The panel, driven as a user would: nothing chosen, an effect chosen, applied; what is wrong is one line."""

import shutil
import unittest
from pathlib import Path
from typing import ClassVar

import numpy as np
import slicer
from panel_fixtures import TASK, PanelTest
from slicer_fixtures import addVolume, nodeIDs, randomArray, setDicomModality, voxels

CONTROLS = [
    "sourceVolumeSelector",
    "effectsFrame",
    "modelComboBox",
    "modelCardButton",
    "manageModelsButton",
    "applicabilityLabel",
    "maskModeComboBox",
    "segmentationSelector",
    "segmentComboBox",
    "softEdgeSliderWidget",
    "intensityMaskCheckBox",
    "intensityRangeWidget",
    "maskRoiSelector",
    "outputVolumeSelector",
    "inPlaceCheckBox",
    "previewModeComboBox",
    "previewRoiSelector",
    "previewOpacitySliderWidget",
    "previewToggleButton",
    "previewStatusLabel",
    "applyButton",
    "cancelAllButton",
    "undoButton",
    "redoButton",
    "progressBar",
    "statusLabel",
    "deviceComboBox",
    "deviceLabel",
    "syntheticAnnotationCheckBox",
    "provenanceTableWidget",
]
GROUPS = ["effectOptionsGroupBox", "maskingGroupBox", "outputGroupBox", "previewGroupBox"]
# A training set that every image is like.
ANYTHING = {
    "spacing_mm": [[0.001] * 3, [1000.0] * 3],
    "field_of_view_mm": [[0.001] * 3, [9999.0] * 3],
    "percentiles": {"1": -1e5, "5": -9e4, "50": 0.0, "95": 9e4, "99": 1e5},
}


class SynthesisWidgetTest(PanelTest):
    models: ClassVar = {
        "identity": {"task": TASK, "fingerprint": ANYTHING},
        "for-ct": {"task": TASK, "modality": "CT", "units": "HU"},
        "gone": {"task": "somebody's"},
        "for-slides": {"task": "stain", "channels": 3},
    }

    def test_everyControlExplainsItself(self):
        for name in CONTROLS:
            self.assertGreater(len(getattr(self.ui, name).toolTip), 20, name)
        for name in ("applyButton", "undoButton", "redoButton", "cancelAllButton", "previewToggleButton"):
            self.assertTrue(getattr(self.ui, name).text, name)
        for button in slicer.util.findChildren(self.ui.effectsFrame, className="QToolButton"):
            self.assertGreater(len(button.toolTip), 20, button.text)
        module = slicer.modules.medgansynthesis
        self.assertEqual(module.title, "MedGAN Synthesis")
        self.assertIn("SlicerMedGAN#readme", module.helpText)
        self.assertTrue(module.acknowledgementText)

    def test_whatIsRarelyNeededIsFolded(self):
        for name in ("maskingGroupBox", "advancedCollapsibleButton", "provenanceCollapsibleButton"):
            self.assertTrue(getattr(self.ui, name).collapsed, name)
        for name in ("effectOptionsGroupBox", "outputGroupBox", "previewGroupBox"):
            self.assertFalse(getattr(self.ui, name).collapsed, name)

    def test_noEffectIsTheStart(self):
        self.choose("")
        self.assertTrue(self.button("").checked)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("effect", self.ui.applyButton.toolTip)
        self.assertFalse(self.ui.previewModeComboBox.enabled)
        self.assertFalse(self.ui.modelComboBox.enabled)
        self.press(TASK)
        self.assertTrue(self.ui.applyButton.enabled and self.ui.previewModeComboBox.enabled)
        self.assertFalse(self.button("").checked)
        self.press("")
        self.assertFalse(self.ui.applyButton.enabled)

    def test_nothingToApplyToWithoutSource(self):
        self.choose()
        self.ui.sourceVolumeSelector.setCurrentNode(None)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("source", self.ui.applyButton.toolTip)

    def test_whatIsShownIsProposed(self):
        first, second = addVolume(randomArray()), addVolume(randomArray(), name="Second")
        self.parameters.sourceVolume = None
        self.widget.exit()
        self.widget.enter()
        self.assertIs(self.ui.sourceVolumeSelector.currentNode(), first)
        self.parameters.sourceVolume = None
        slicer.util.setSliceViewerLayers(background=second)
        self.widget.exit()
        self.widget.enter()
        self.assertIs(self.ui.sourceVolumeSelector.currentNode(), second)

    def test_onlyImagesAreOffered(self):
        image = addVolume(randomArray())
        slide = addVolume(randomArray((1, 8, 9, 3), np.uint8), name="Slide", hounsfield=False)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        selector = self.ui.sourceVolumeSelector
        self.assertEqual([selector.nodeFromIndex(i) for i in range(selector.nodeCount())], [image, slide])

    def test_apply(self):
        node = self.choose()
        (output,) = self.apply()
        self.assertEqual(output.GetName(), "CT denoised")
        self.assertTrue(np.array_equal(voxels(output), voxels(node)))
        self.assertEqual(self.ui.applyButton.text, "Apply")
        self.assertIn("Done: CT denoised", self.ui.statusLabel.text)
        self.assertTrue(self.ui.progressBar.isHidden())
        self.assertFalse(self.ui.undoButton.enabled)  # a new volume took nothing away

    def test_resultTakesThePlaceOfItsSourceInTheViews(self):
        node, other = addVolume(randomArray()), addVolume(randomArray(), name="Other")
        slicer.util.setSliceViewerLayers(background=node)
        layout = slicer.app.layoutManager()
        composites = {name: layout.sliceWidget(name).mrmlSliceCompositeNode() for name in ("Red", "Green")}
        composites["Green"].SetBackgroundVolumeID(other.GetID())
        self.choose(source=node)
        (output,) = self.apply()
        self.assertEqual(composites["Red"].GetBackgroundVolumeID(), output.GetID())
        self.assertEqual(composites["Green"].GetBackgroundVolumeID(), other.GetID())

    def test_optionsReachTheResult(self):
        self.choose()
        self.parameters.parameterNode.SetParameter(f"{TASK}.secondOutput", "true")
        names = [node.GetName() for node in self.apply()]
        self.assertEqual(sorted(names), ["CT denoised", "CT removed"])

    def test_verdictBeforeApply(self):
        node = self.choose(source=addVolume(randomArray(), hounsfield=False), model="for-ct")
        setDicomModality(node, "MR")
        node.Modified()
        self.assertIn("MR", self.verdict())
        self.assertNotIn("<b>Suitable", self.verdict())
        self.chooseModel("identity")
        self.assertIn("<b>Suitable:</b>", self.verdict())

    def test_colorImageIsRefusedByAnEffectForGrayValues(self):
        slide = addVolume(randomArray((1, 32, 48, 3), np.uint8), name="Slide", hounsfield=False)
        self.choose(source=slide)
        self.assertTrue(self.button(TASK).enabled)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("<b>Unsuitable:</b> 'Slide'", self.verdict())
        self.assertIn("Slide", self.ui.applyButton.toolTip)
        self.press("stain")
        self.assertTrue(self.ui.applyButton.enabled, self.ui.applyButton.toolTip)
        (output,) = self.apply()
        self.assertEqual(output.GetClassName(), "vtkMRMLVectorVolumeNode")
        self.assertTrue(np.array_equal(voxels(output), voxels(slide)))

    def test_volumeOfNaNIsOneLine(self):
        self.choose(source=addVolume(np.full((3, 4, 5), np.nan, np.float32), name="Broken"))
        self.assertIn("<b>Unsuitable:</b>", self.verdict())
        self.assertIn("NaN", self.verdict())
        before = nodeIDs()
        self.ui.applyButton.click()
        self.finish()
        self.assertOneLine("NaN")
        self.assertEqual(nodeIDs(), before)

    def test_volumeWithoutVoxelsIsRefused(self):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        self.choose(source=node)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("Empty", self.verdict())
        slicer.util.updateVolumeFromArray(node, randomArray())
        self.settle()
        self.assertTrue(self.ui.applyButton.enabled)

    def test_modelThatWasDeletedMeanwhileIsOneLine(self):
        self.choose("custom", model="gone")
        shutil.rmtree(Path(self.folder) / "gone")
        self.assertEqual(self.apply(), [])
        self.assertOneLine("gone")

    def test_errorOfAnEffectIsOneLine(self):
        self.choose()
        effect = self.widget.panel.effect
        effect.arguments = lambda parameters, bundle: {"strength": 2.0}
        try:
            self.assertEqual(self.apply(), [])
            self.assertOneLine("strength")
            effect.arguments = lambda parameters, bundle: {"nonsense": 2.0}
            self.assertEqual(self.apply(), [])
            self.assertOneLine("unexpected", "nonsense")
        finally:
            del effect.arguments

    def test_missingModelIsSaid(self):
        self.choose("superres-mr")
        self.assertTrue(self.ui.applyButton.enabled)
        self.widget.panel.effect.models = list
        try:
            self.widget.panel._models.reload()
            self.assertFalse(self.ui.applyButton.enabled)
            self.assertIn("model", self.ui.applyButton.toolTip)
        finally:
            del self.widget.panel.effect.models
            self.widget.panel._models.reload()

    def test_choicesLiveOnTheParameterNode(self):
        self.choose()
        self.ui.maskModeComboBox.currentIndex = 2
        self.ui.softEdgeSliderWidget.value = 7.5
        self.ui.previewOpacitySliderWidget.value = 0.25
        self.widget.exit()
        self.ui.softEdgeSliderWidget.value = 1.5  # nobody listens while the module is closed
        self.widget.enter()
        parameters = self.widget.logic.getParameterNode()
        shown = (parameters.effect, parameters.maskMode.name, parameters.softEdgeMm, parameters.previewOpacity)
        self.assertEqual(shown, (TASK, "Outside", 7.5, 0.25))
        self.assertEqual((self.ui.softEdgeSliderWidget.value, self.ui.maskModeComboBox.currentIndex), (7.5, 2))
        self.assertTrue(self.button(TASK).checked)

    def test_synthesizeChoosesTheVolume(self):
        addVolume(randomArray())
        wanted = addVolume(randomArray(), name="Wanted")
        self.widget.synthesize(wanted)
        self.assertIs(self.ui.sourceVolumeSelector.currentNode(), wanted)
        self.widget.exit()
        self.widget.synthesize(wanted)
        self.widget.enter()
        self.assertIs(self.parameters.sourceVolume, wanted)

    def test_selfTestOfTheModule(self):
        slicer.selfTests["MedGANSynthesis"]()


if __name__ == "__main__":
    unittest.main()
