"""The parameter node of the panel: sensible from the start, and the same after its scene was saved and opened."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from MedGANSynthesisLib.SynthesisParameterNode import MaskMode, PreviewMode, SynthesisParameterNode
from slicer.parameterNodeWrapper import FloatRange
from slicer_fixtures import addRoi, addVolume, randomArray


class ParameterNodeTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Parameters")
        self.parameters = SynthesisParameterNode(node)

    def test_atFirstNothingIsChosen(self):
        parameters = self.parameters
        self.assertEqual((parameters.effect, parameters.model, parameters.device), ("", "", "auto"))
        for nothing in (parameters.sourceVolume, parameters.outputVolume, parameters.maskRoi, parameters.previewRoi):
            self.assertIsNone(nothing)
        self.assertEqual((parameters.maskMode, parameters.previewMode), (MaskMode.Everywhere, PreviewMode.Off))
        self.assertFalse(parameters.inPlace or parameters.intensityMask)
        self.assertTrue(parameters.syntheticAnnotation)

    def test_everyEffectKeepsItsOwnModel(self):
        for effect, model in (("denoise-ct", "first"), ("stain", "second")):
            self.parameters.effect = effect
            self.parameters.model = model
        self.parameters.effect = "denoise-ct"
        self.assertEqual(self.parameters.model, "first")
        self.parameters.effect = "custom"
        self.assertEqual(self.parameters.model, "")
        self.assertEqual(self.parameters.parameterNode.GetParameter("stain.model"), "second")

    def test_choicesHaveWords(self):
        for mode in (*MaskMode, *PreviewMode):
            self.assertGreater(len(mode.label()), 2)

    def test_savedAndOpenedAgain(self):
        values = {
            "effect": "mr-to-ct",
            "device": "cuda:1",
            "maskMode": MaskMode.Outside,
            "softEdgeMm": 2.5,
            "intensityMask": True,
            "intensityRange": FloatRange(-150.0, 250.5),
            "inPlace": True,
            "previewMode": PreviewMode.Roi,
            "previewOpacity": 0.25,
            "syntheticAnnotation": False,
        }
        for name, value in values.items():
            setattr(self.parameters, name, value)
        self.parameters.model = "chosen"
        source = addVolume(randomArray(dtype=np.int16), name="Source")
        self.parameters.sourceVolume = source
        self.parameters.maskRoi = addRoi(source, sizeMm=(5.0, 5.0, 5.0), name="Mask box")
        self.parameters.previewRoi = addRoi(source, sizeMm=(5.0, 5.0, 5.0), name="Preview box")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            slicer.util.loadScene(path)
            opened = SynthesisParameterNode(slicer.util.getNode("Parameters"))
        for name, value in values.items():
            self.assertEqual(getattr(opened, name), value, name)
        self.assertEqual(opened.model, "chosen")
        names = [node.GetName() for node in (opened.sourceVolume, opened.maskRoi, opened.previewRoi)]
        self.assertEqual(names, ["Source", "Mask box", "Preview box"])
