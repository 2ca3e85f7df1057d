"""Effects: six built-in ones, those of others, and their parameters, which a scene keeps."""

import dataclasses
import inspect
import os
import shutil
import tempfile
import textwrap
import unittest
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from medgan.bundle import Bundle
from medgan.errors import InputError
from medgan.network import NetworkSpec
from medgan.options import ApplyOptions
from medgan.parameters import parameter
from MedGANSynthesisLib import effects
from MedGANSynthesisLib.effects.parameters import readParameters, writeParameter
from MedGANSynthesisLib.engineClient import stopEngine
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from slicer_fixtures import addVolume, randomArray, voxels

KEYS = ["denoise-ct", "contrast-ct", "superres-mr", "mr-to-ct", "stain", "custom"]


@dataclass(frozen=True)
class OtherParameters:
    """Of an effect of another extension."""

    radius: int = parameter(2, label="Radius", help="A radius.", unit="voxels", minimum=1, maximum=9)
    name: str = parameter("first", label="Name", help="A name.")


class OtherEffect(effects.GeneratorEffect):
    """An effect of another extension."""

    key = "other"
    tasks = ("other",)
    order = 15
    title = "Other"
    Parameters = OtherParameters


class EffectsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.models = os.environ.get("MEDGAN_MODELS")
        os.environ["MEDGAN_MODELS"] = cls.folder
        folder = Path(cls.folder)
        cls.identity = Bundle.create_identity(folder / "identity", task="denoise-ct")
        cls.finer = Bundle.create_identity(
            folder / "finer", task="superres-mr", network=NetworkSpec(dimensions=3, scale=(1, 2, 2))
        )
        cls.synthetic = Bundle.create_identity(
            folder / "synthetic", task="mr-to-ct-unpaired", target={"modality": "CT", "units": "HU"}
        )
        cls.color = Bundle.create_identity(folder / "color", task="stain", channels=3)
        cls.foreign = Bundle.create_identity(folder / "foreign", task="sharpen-xray", title="X-ray sharpener")

    @classmethod
    def tearDownClass(cls):
        stopEngine()
        os.environ.pop("MEDGAN_MODELS")
        if cls.models is not None:
            os.environ["MEDGAN_MODELS"] = cls.models
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")

    def register(self, effectClass):
        self.addCleanup(effects.unregisterEffect, effectClass.key)
        return effects.registerEffect(effectClass)

    def test_builtInEffectsComeInOrderAndExplainThemselves(self):
        self.assertEqual([effect.key for effect in effects.effects()], KEYS)
        for effect in effects.effects():
            self.assertTrue(effect.title)
            self.assertGreater(len(effect.helpText), 60, effect.key)
            self.assertTrue(Path(effect.iconPath).is_file(), effect.key)
            for field in dataclasses.fields(effect.Parameters):
                self.assertTrue(field.metadata["label"], field.name)
                self.assertGreater(len(field.metadata["help"]), 40, field.name)
        self.assertIsNone(effects.effect("nothing"))

    def test_parametersAreKeywordsOfApply(self):
        keywords = inspect.signature(SynthesisLogic.apply).parameters
        options = {field.name: field for field in dataclasses.fields(ApplyOptions)}
        for effect in effects.effects():
            for field in dataclasses.fields(effect.Parameters):
                self.assertIn(field.name, keywords)
                snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field.name)
                if snake in options:  # one definition of what is allowed
                    for fact in ("minimum", "maximum", "choices", "unit"):
                        self.assertEqual(field.metadata[fact], options[snake].metadata[fact], field.name)

    def test_modelsAreThoseOfTheTasks(self):
        self.assertIn("identity", [bundle.name for bundle in effects.effect("denoise-ct").models()])
        self.assertNotIn("finer", [bundle.name for bundle in effects.effect("denoise-ct").models()])
        self.assertIn("synthetic", [bundle.name for bundle in effects.effect("mr-to-ct").models()])
        everything = [bundle.name for bundle in effects.effect("custom").models()]
        for name in ("identity", "finer", "synthetic", "color", "foreign"):
            self.assertIn(name, everything)

    def test_pairedModelsComeFirst(self):
        Bundle.create_identity(Path(self.folder) / "zz-paired", task="mr-to-ct")
        self.addCleanup(shutil.rmtree, Path(self.folder) / "zz-paired")
        tasks = [bundle.task for bundle in effects.effect("mr-to-ct").models()]
        self.assertEqual(tasks, sorted(tasks))

    def test_onlyWhatIsImpossibleIsRefused(self):
        gray = addVolume(randomArray(), hounsfield=False, name="Gray")
        color = addVolume(randomArray((2, 4, 5, 3), np.uint8), hounsfield=False, name="Slide")
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        taken = {"stain": {gray, color}, "custom": {gray, color}}
        for effect in effects.effects():
            for node in (gray, color, empty):
                reason = effect.accepts(node)
                self.assertEqual(not reason, node in taken.get(effect.key, {gray}), (effect.key, node.GetName()))
                self.assertTrue(not reason or node.GetName() in reason)
                self.assertNotIn("\n", reason)

    def test_whatIsAvailableDependsOnTheModel(self):
        available = {bundle.name: effects.effect("custom").available(bundle) for bundle in self.bundles()}
        self.assertTrue({"strength", "enhancementOnly", "secondOutput", "spread"} <= available["identity"])
        self.assertTrue({"targetSpacingMm", "spread"} <= available["finer"])
        self.assertFalse(available["finer"] & {"strength", "enhancementOnly", "secondOutput", "referenceNode"})
        self.assertFalse(available["synthetic"] & {"strength", "enhancementOnly", "secondOutput", "targetSpacingMm"})
        self.assertIn("referenceNode", available["color"])
        self.assertNotIn("targetSpacingMm", effects.effect("denoise-ct").available(self.finer))  # it has none

    def bundles(self):
        return self.identity, self.finer, self.synthetic, self.color

    def test_argumentsAreTakenByTheEngineWhateverTheModel(self):
        """What is set for one model must not be in the way of another, where it is shown disabled."""
        logic, gray = SynthesisLogic(), addVolume(np.zeros((4, 8, 8), np.int16))
        effect = effects.effect("custom")
        parameters = effect.Parameters(strength=0.3, enhancementOnly=True, orientations="all", secondOutput=True)
        for bundle in self.bundles():
            arguments = effect.arguments(parameters, bundle)
            options = logic.applyOptions(**arguments)
            volume = gray if bundle is not self.color else addVolume(np.zeros((1, 8, 8, 3), np.uint8), hounsfield=False)
            bundle.outputs(slicerVolume(volume), options)  # raises for what the model cannot do
        arguments = effect.arguments(dataclasses.replace(parameters, spread="dropout"), self.identity)
        self.assertEqual((arguments["strength"], arguments["spreadSamples"]), (0.3, 8))
        self.assertNotIn("spreadSamples", effect.arguments(parameters, self.identity))

    def test_titlesOfOutputs(self):
        titles = {effect.key: effect.outputTitle(self.identity) for effect in effects.effects()}
        self.assertEqual(titles["denoise-ct"], "denoised")
        self.assertEqual(titles["custom"], "denoised")
        self.assertEqual(effects.effect("custom").outputTitle(self.foreign), "X-ray sharpener")

    def test_parametersAreKeptOnTheNode(self):
        reference = addVolume(randomArray((2, 4, 5, 3), np.uint8), hounsfield=False)
        values = {
            "strength": 0.1,
            "enhancementOnly": True,
            "targetSpacingMm": (0.5, 1 / 3, 2.0),
            "orientations": "all",
            "referenceNode": reference,
            "spreadSamples": 12,
        }
        effect = effects.effect("custom")
        self.assertEqual(readParameters(effect, self.node), effect.Parameters())
        for name, value in values.items():
            writeParameter(effect, self.node, name, value)
        self.assertEqual(readParameters(effect, self.node), effect.Parameters(**values))
        self.assertEqual(readParameters(effects.effect("stain"), self.node), effects.effect("stain").Parameters())
        for name in ("targetSpacingMm", "referenceNode"):
            writeParameter(effect, self.node, name, None)
            self.assertIsNone(getattr(readParameters(effect, self.node), name))
        with self.assertRaises(KeyError):
            writeParameter(effect, self.node, "nothing", 1)

    def test_parametersSurviveASavedScene(self):
        reference = addVolume(randomArray((2, 4, 5, 3), np.uint8), hounsfield=False, name="Reference slide")
        effect = effects.effect("custom")
        writeParameter(effect, self.node, "strength", 0.25)
        writeParameter(effect, self.node, "referenceNode", reference)
        self.node.SetName("Parameters")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrml")
            slicer.mrmlScene.SetURL(path)
            slicer.mrmlScene.Commit(path)
            slicer.mrmlScene.Clear(0)
            slicer.mrmlScene.SetURL(path)
            slicer.mrmlScene.Import()
        parameters = readParameters(effect, slicer.util.getNode("Parameters"))
        self.assertEqual(parameters.strength, 0.25)
        self.assertEqual(parameters.referenceNode.GetName(), "Reference slide")

    def test_unfitTextOnTheNodeIsTheDefault(self):
        effect = effects.effect("custom")
        texts = {
            "strength": ("7", "-1", "x", '"0.5"', "NaN", "true", "null"),
            "enhancementOnly": ("1", '"yes"', "{"),
            "targetSpacingMm": ("[1, 2]", "[0, 1, 1]", "3", '["a", 1, 1]', "[1, 1, Infinity]"),
            "orientations": ('"nowhere"', "2"),
            "spreadSamples": ("1", "33", "2.5"),
        }
        for name, unfit in texts.items():
            for text in unfit:
                self.node.SetParameter(f"custom.{name}", text)
                self.assertEqual(readParameters(effect, self.node), effect.Parameters(), (name, text))
        self.node.SetParameter("custom.strength", "1")
        self.assertEqual(readParameters(effect, self.node).strength, 1.0)

    def test_othersRegisterTheirs(self):
        heard = []

        def observer():
            heard.append([effect.key for effect in effects.effects()])

        effects.addObserver(observer)
        self.addCleanup(effects.removeObserver, observer)
        effect = self.register(OtherEffect)
        self.assertIs(effects.effect("other"), effect)
        self.assertEqual(heard, [[KEYS[0], "other", *KEYS[1:]]])
        writeParameter(effect, self.node, "radius", 5)
        self.assertEqual(readParameters(effect, self.node), OtherParameters(radius=5))
        self.assertEqual(effect.iconPath, "")
        effects.unregisterEffect("other")
        self.assertEqual(heard[1:], [KEYS])
        effects.unregisterEffect("other")
        self.assertEqual(len(heard), 2)
        effects.removeObserver(observer)
        self.register(OtherEffect)
        self.assertEqual(len(heard), 2)

    def test_keysAreUniqueAndReloadingReplaces(self):
        first = self.register(OtherEffect)
        self.assertIsNot(self.register(OtherEffect), first)

        class Impostor(OtherEffect):
            """Of another name."""

        class Nameless(effects.GeneratorEffect):
            """Without a key."""

        for unfit in (Impostor, Nameless):
            with self.assertRaises(InputError) as caught:
                effects.registerEffect(unfit)
            self.assertIn(unfit.__name__, str(caught.exception))
        self.assertIs(type(effects.effect("other")), OtherEffect)

    def test_exampleOfTheDocumentation(self):
        """What the docstring tells other extensions to write is a working effect."""
        text = inspect.getdoc(effects.GeneratorEffect).split("::\n")[1].split("\nAttributes:")[0]
        self.addCleanup(effects.unregisterEffect, "sharpen-xray")
        exec(textwrap.dedent(text), {"__name__": "SharpenXray"})
        effect = effects.effect("sharpen-xray")
        self.assertEqual([bundle.name for bundle in effect.models()], ["foreign"])
        source = addVolume(randomArray(), name="Hand")
        output = SynthesisLogic().apply("sharpen-xray", source)
        self.assertTrue(np.array_equal(voxels(output), voxels(source)))
        self.assertEqual(output.GetName(), "Hand sharpened")


def slicerVolume(node):
    """A node as the engine sees it."""
    from MedGANSynthesisLib.nodes import volumeFromNode

    return volumeFromNode(node)
