"""The whole pipeline on the Slicer side: node, client, worker, gate, node."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from medgan.bundle import Bundle
from medgan.errors import BundleError, InputError, MedGANError
from medgan.network import NetworkSpec
from medgan.stain_reference import StainReference
from MedGANSynthesisLib import dependencies
from MedGANSynthesisLib.engineClient import stopEngine
from MedGANSynthesisLib.nodes import volumeFromNode
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from slicer_fixtures import (
    addGridTransform,
    addLinearTransform,
    addRoi,
    addSegment,
    addVolume,
    gridBits,
    nodeIDs,
    obliqueGeometry,
    randomArray,
    setDicomModality,
    voxels,
)

TASK = "denoise-ct"


class SynthesisLogicTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.bundle = Bundle.create_identity(Path(cls.folder) / "identity", task=TASK)

    @classmethod
    def tearDownClass(cls):
        stopEngine()
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.logic = SynthesisLogic()

    def apply(self, node, **options):
        return self.logic.apply(TASK, node, model=self.bundle, **options)

    def test_identityKeepsEveryVoxelAndBit(self):
        for dtype in (np.int16, np.uint8, np.uint16, np.float32):
            array = randomArray(dtype=dtype)
            for leftHanded in (False, True):
                source = addVolume(array, obliqueGeometry(5, leftHanded), name="CT")
                output = self.apply(source)
                self.assertEqual(voxels(output).tobytes(), array.tobytes())
                self.assertEqual(voxels(output).dtype, array.dtype)
                self.assertEqual(gridBits(output), gridBits(source))
                self.assertEqual(voxels(source).tobytes(), array.tobytes())
                self.assertTrue(output.GetName().startswith("CT denoised"))

    def test_awkwardSizes(self):
        for shape in ((1, 40, 30), (3, 3, 3), (1, 1, 1), (7, 1, 65)):
            array = randomArray(shape)
            self.assertTrue(np.array_equal(voxels(self.apply(addVolume(array))), array), shape)

    def test_provenance(self):
        output = self.apply(addVolume(randomArray(), name="CT"))
        for key in ("Model", "Task", "Device", "MedGANVersion", "Created", "Note", "Source"):
            self.assertTrue(output.GetAttribute(f"MedGAN.{key}"), key)
        self.assertEqual(output.GetAttribute("MedGAN.Task"), TASK)
        self.assertIn("SYNTHETIC", output.GetAttribute("MedGAN.Note"))

    def test_sameParentInSubjectHierarchy(self):
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        source = addVolume(randomArray())
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(source), study)
        output = self.apply(source)
        self.assertEqual(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(output)), study)

    def test_inPlaceUndoRedo(self):
        array = randomArray()
        node = addVolume(array)
        self.assertIs(self.apply(node, inPlace=True), node)
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)
        self.assertTrue(np.array_equal(voxels(node), array))
        self.assertIs(self.logic.undo(), node)
        self.assertIsNone(node.GetAttribute("MedGAN.Task"))
        self.logic.redo(node)
        self.assertEqual(node.GetAttribute("MedGAN.Task"), TASK)
        self.assertRaises(InputError, self.logic.redo)

    def test_outputIntoGivenNode(self):
        source, target = addVolume(randomArray()), addVolume(np.zeros((2, 2, 2), np.float32), name="Mine")
        self.assertIs(self.apply(source, outputNode=target), target)
        self.assertTrue(np.array_equal(voxels(target), voxels(source)))
        self.logic.undo(target)
        self.assertEqual(voxels(target).shape, (2, 2, 2))

    def test_secondOutputIsWhatWasRemoved(self):
        source = addVolume(randomArray())
        output = self.apply(source, secondOutput=True)
        removed = output.GetNodeReference("MedGAN.Removed")
        self.assertEqual(removed.GetName(), "CT removed")
        self.assertEqual(np.abs(voxels(removed)).max(), 0.0)

    def test_maskedByAllPartsTogether(self):
        """Segment, range and box under a transform: the mask is written down, and the result moves with its source."""
        source = addVolume(randomArray())
        segmentationNode, segmentID = addSegment(source, np.ones((5, 17, 23), bool))
        transform = addLinearTransform(np.diag([-1.0, -1.0, 1.0, 1.0]))
        for node in (source, segmentationNode):
            node.SetAndObserveTransformNodeID(transform.GetID())
        output = self.apply(
            source,
            segmentationNode=segmentationNode,
            segmentID=segmentID,
            softEdgeMm=4.0,
            intensityRange=(-30000, 30000),
            roiNode=addRoi(source, sizeMm=(9.0, 9.0, 9.0)),
        )
        for words in ("Lesion", "-30000 to 30000", "Box", "4 mm"):
            self.assertIn(words, output.GetAttribute("MedGAN.Mask"))
        self.assertEqual(voxels(output).tobytes(), voxels(source).tobytes())
        self.assertEqual(output.GetTransformNodeID(), transform.GetID())

    def test_resultMovesWithItsSource(self):
        """Whatever the parent transform is, linear or bent: the voxels stay, and both have the same parent."""
        source = addVolume(randomArray())
        for parent in (addLinearTransform(np.diag([2.0, 1.0, 1.0, 1.0])), addGridTransform(source)):
            source.SetAndObserveTransformNodeID(parent.GetID())
            output = self.apply(source)
            self.assertEqual(output.GetTransformNodeID(), parent.GetID())
            self.assertEqual(gridBits(output), gridBits(source))
            self.assertEqual(voxels(output).tobytes(), voxels(source).tobytes())
            bounds, boundsOfSource = [0.0] * 6, [0.0] * 6
            output.GetRASBounds(bounds)
            source.GetRASBounds(boundsOfSource)
            self.assertEqual(bounds, boundsOfSource)
            self.apply(source, inPlace=True)
            self.assertEqual(source.GetTransformNodeID(), parent.GetID())

    def test_colorVolume(self):
        array = randomArray((1, 20, 30, 3), np.uint8)
        source = addVolume(array, hounsfield=False, name="Slide")
        stain = Bundle.create_identity(Path(self.folder) / "stain", task="stain", channels=3)
        output = self.logic.apply("stain", source, model=stain, spread="flips")
        self.assertEqual(output.GetClassName(), "vtkMRMLVectorVolumeNode")
        self.assertEqual(voxels(output).tobytes(), array.tobytes())
        self.assertEqual(output.GetName(), "Slide stain-normalized")
        spread = output.GetNodeReference("MedGAN.Spread")
        self.assertEqual((spread.GetClassName(), voxels(spread).shape), ("vtkMRMLScalarVolumeNode", (1, 20, 30)))

    def test_stainingOfAReferenceImage(self):
        rng = np.random.default_rng(1)
        tissue = rng.normal((190, 90, 150), 12, (1, 40, 40, 3)).clip(0, 255).astype(np.uint8)
        reference = addVolume(tissue, hounsfield=False, name="Reference")
        options = self.logic.applyOptions(referenceNode=reference)
        self.assertEqual(options.reference, tuple(StainReference.of(volumeFromNode(reference))))
        slicer.util.arrayFromVolume(reference)[...] = 0  # nobody is told, so nobody measures again
        self.assertEqual(self.logic.applyOptions(referenceNode=reference), options)
        slicer.util.updateVolumeFromArray(reference, tissue[..., ::-1].copy())
        self.assertNotEqual(self.logic.applyOptions(referenceNode=reference).reference, options.reference)
        with self.assertRaises(InputError):
            self.logic.applyOptions(referenceNode=addVolume(randomArray()))

    def test_spreadIsASecondVolume(self):
        source = addVolume(randomArray(), name="CT")
        output = self.apply(source, spread="flips", secondOutput=True)
        spread = output.GetNodeReference("MedGAN.Spread")
        self.assertEqual(spread.GetName(), "CT spread")
        self.assertEqual(voxels(spread).dtype, np.float32)
        self.assertEqual(np.abs(voxels(spread)).max(), 0.0)  # mirrored or not, the identity gives back what it gets
        self.assertIn("flips", spread.GetAttribute("MedGAN.Parameters"))
        self.assertEqual(output.GetNodeReference("MedGAN.Removed").GetName(), "CT removed")
        self.apply(source, outputNode=output)
        self.assertIsNone(output.GetNodeReference("MedGAN.Spread"))  # it tells of the result before this one
        self.assertIsNone(output.GetNodeReference("MedGAN.Removed"))

    def test_ensembleOfAllOtherModelsOnTheSameGrid(self):
        self.addCleanup(os.environ.pop, "MEDGAN_MODELS", None)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MEDGAN_MODELS"] = folder
            source, task = addVolume(randomArray(), name="CT"), "no-shipped-task"
            first = Bundle.create_identity(Path(folder) / "first", task=task)
            with self.assertRaises(InputError) as caught:
                self.logic.apply(task, source, model=first, spread="ensemble")
            self.assertIn("no other model", str(caught.exception))
            Bundle.create_identity(Path(folder) / "second", task=task)
            Bundle.create_identity(Path(folder) / "finer", task=task, network=NetworkSpec(3, scale=(1, 2, 2)))
            Bundle.create_identity(Path(folder) / "colors", task=task, channels=3)
            Bundle.create_identity(Path(folder) / "elsewhere", task="another-task")
            output = self.logic.apply(task, source, model=first, spread="ensemble")
            parameters = json.loads(output.GetAttribute("MedGAN.Parameters"))
            self.assertEqual(parameters["ensemble"], ["second"])
            self.assertIsNotNone(output.GetNodeReference("MedGAN.Spread"))

    def test_badRequests(self):
        node = addVolume(randomArray())
        segmentationNode, segmentID = addSegment(node, np.ones((5, 17, 23), bool))
        nan = addVolume(np.full((3, 3, 3), np.nan, np.float32))
        before = nodeIDs()
        requests = (
            (InputError, None, {}),
            (InputError, nan, {}),
            (InputError, node, {"strength": 1.5}),
            (InputError, node, {"orientations": "upside-down"}),
            (InputError, node, {"targetSpacingMm": (1.0, 1.0)}),
            (InputError, node, {"targetSpacingMm": (1.0, 1.0, 1.0)}),
            (InputError, node, {"spread": "dropout", "spreadSamples": 1}),
            (InputError, node, {"spread": "guessed"}),
            (InputError, node, {"referenceNode": nan}),
            (InputError, node, {"intensityRange": (5, -5)}),
            (BundleError, node, {"spread": "ensemble", "ensemble": ("no-such-model",)}),
            (InputError, node, {"segmentationNode": segmentationNode, "segmentID": "none"}),
            (InputError, node, {"segmentationNode": segmentationNode, "segmentID": None}),
            (InputError, node, {"segmentationNode": segmentationNode, "segmentID": segmentID, "maskMode": "beside"}),
            (
                InputError,
                node,
                {"segmentationNode": segmentationNode, "segmentID": segmentID, "softEdgeMm": -1.0},
            ),
        )
        for error, volumeNode, options in requests:
            with self.assertRaises(error) as caught:
                self.apply(volumeNode, **options)
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaises(BundleError):
            self.logic.apply("no-such-task", node)
        self.assertEqual(nodeIDs(), before)

    def test_dependenciesAreLookedUpWithoutTorchAndNotInstalledInTests(self):
        dependencies.ensureEngineDependencies("no-such-file")  # would fail if it looked further in testing mode
        try:
            version = importlib.metadata.version("torch")
        except importlib.metadata.PackageNotFoundError:
            version = None
        self.assertEqual(dependencies.torchInstalled(), version is not None)

    def test_missingPyTorchExtensionIsOneSentence(self):
        if importlib.util.find_spec("PyTorchUtils"):
            self.skipTest("the PyTorch extension is installed")
        with self.assertRaises(MedGANError) as caught:
            dependencies._installTorch()
        self.assertIn("Extensions Manager", str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_modelByFolderAndName(self):
        node = addVolume(randomArray())
        self.assertTrue(np.array_equal(voxels(self.logic.apply(TASK, node, model=str(self.bundle.path))), voxels(node)))
        self.addCleanup(os.environ.pop, "MEDGAN_MODELS", None)
        os.environ["MEDGAN_MODELS"] = self.folder
        self.assertIn("identity", [bundle.name for bundle in self.logic.models(TASK)])
        self.assertTrue(np.array_equal(voxels(self.logic.apply(TASK, node, model="identity")), voxels(node)))

    def test_effectsTasksAndBundles(self):
        """Whatever it is called by, the same thing is done."""
        os.environ["MEDGAN_MODELS"] = self.folder
        self.addCleanup(os.environ.pop, "MEDGAN_MODELS", None)
        Bundle.create_identity(Path(self.folder) / "unpaired", task="mr-to-ct-unpaired")
        node = addVolume(randomArray(), name="MR", hounsfield=False)
        for what, model, title in (
            (self.bundle, None, "denoised"),
            ("custom", "identity", "denoised"),
            ("mr-to-ct-unpaired", "unpaired", "synthetic CT"),
            ("mr-to-ct", "unpaired", "synthetic CT"),
            ("unpaired", None, "synthetic CT"),
        ):
            output = self.logic.apply(what, node, model=model)
            self.assertTrue(output.GetName().startswith(f"MR {title}"), output.GetName())
        self.assertEqual(self.logic.models("mr-to-ct-unpaired")[0].name, "unpaired")
        self.assertIn("unpaired", [bundle.name for bundle in self.logic.models("mr-to-ct")])
        self.assertTrue({"unpaired", "identity"} <= {bundle.name for bundle in self.logic.models()})

    def test_verdict(self):
        forCT = Bundle.create_identity(Path(self.folder) / "for-ct", task=TASK, modality="CT", units="HU")
        node = addVolume(randomArray(), hounsfield=False)
        self.assertNotEqual(self.logic.verdict(forCT, node).level, "unsuitable")
        setDicomModality(node, "MR")
        verdict = self.logic.verdict(forCT, node)
        self.assertEqual(verdict.level, "unsuitable")
        self.assertTrue(any("MR" in reason for reason in verdict.reasons))
        self.assertNotEqual(self.logic.verdict(self.bundle, node).level, "unsuitable")

    def test_verdictOfWhatCannotBeUsed(self):
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        color = addVolume(randomArray((1, 4, 5, 3), np.uint8), hounsfield=False)
        for node in (None, empty, color, addVolume(np.full((3, 3, 3), np.nan, np.float32))):
            verdict = self.logic.verdict(self.bundle, node)
            self.assertEqual(verdict.level, "unsuitable")
            self.assertTrue(verdict.reasons and "\n" not in verdict.reasons[0])

    def test_verdictIsRememberedUntilTheVolumeChanges(self):
        node = addVolume(np.zeros((3, 4, 5), np.float32))
        verdict = self.logic.verdict(self.bundle, node)
        self.assertIs(self.logic.verdict(self.bundle, node), verdict)
        slicer.util.arrayFromVolume(node)[0, 0, 0] = np.nan
        slicer.util.arrayFromVolumeModified(node)
        self.assertEqual(self.logic.verdict(self.bundle, node).level, "unsuitable")
        slicer.util.updateVolumeFromArray(node, np.zeros((3, 4, 5), np.float32))
        self.assertEqual(self.logic.verdict(self.bundle, node), verdict)
        nodeID = node.GetID()
        slicer.mrmlScene.Clear(0)
        stranger = addVolume(np.full((3, 4, 5), np.nan, np.float32))
        self.assertEqual((stranger.GetID(), self.logic.verdict(self.bundle, stranger).level), (nodeID, "unsuitable"))

    def test_verdictKeepsNoNodeAlive(self):
        import vtk

        node, reference = addVolume(randomArray()), vtk.vtkWeakReference()
        reference.Set(node)
        self.logic.verdict(self.bundle, node)
        slicer.mrmlScene.RemoveNode(node)
        del node
        self.assertIsNone(reference.Get())
