"""The write gate: exact grids, faithful types, all that belongs to a result, and nothing left after a failure."""

import dataclasses
import unittest
from unittest import mock

import numpy as np
import slicer
from medgan.errors import InputError, MedGANError
from medgan.masking import soft_weight
from medgan.volume import Geometry
from MedGANSynthesisLib import Gate as gateModule
from MedGANSynthesisLib.displays import CT_WINDOW_LEVEL_HU, SPREAD_COLORS
from MedGANSynthesisLib.Gate import Gate
from MedGANSynthesisLib.masks import Mask
from MedGANSynthesisLib.nodes import geometryOfNode, volumeFromNode
from MedGANSynthesisLib.Prepared import Prepared, castLike
from slicer_fixtures import (
    addLinearTransform,
    addVolume,
    gridBits,
    nodeIDs,
    obliqueGeometry,
    randomArray,
    setDicomModality,
    voxels,
)

PROVENANCE = {"Model": "identity", "Note": "SYNTHETIC"}


def resultOf(node, array, **changes):
    """A result on the grid of a node."""
    return volumeFromNode(node).with_array(array, **changes)


class GateTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.gate = Gate()

    def test_newNodeIsCompleteAndExact(self):
        source = addVolume(randomArray(), obliqueGeometry(7, leftHanded=True), name="CT chest")
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        source.SetAndObserveTransformNodeID(transform.GetID())
        source.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeRed")
        array = randomArray(seed=1)
        node = self.gate.writeNew(Prepared.of(source, resultOf(source, array), PROVENANCE), "denoised")

        self.assertTrue(np.array_equal(voxels(node), array))
        self.assertEqual(voxels(node).dtype, array.dtype)
        self.assertEqual(gridBits(node), gridBits(source))
        self.assertEqual(node.GetName(), "CT chest denoised")
        self.assertEqual(node.GetTransformNodeID(), transform.GetID())
        self.assertEqual(node.GetAttribute("MedGAN.Model"), "identity")
        self.assertEqual(node.GetAttribute("MedGAN.Note"), "SYNTHETIC")
        self.assertEqual(node.GetAttribute("MedGAN.Source"), f"CT chest ({source.GetID()})")
        self.assertEqual(node.GetVoxelValueUnits().GetCodeValue(), "[hnsf'U]")
        self.assertIsNot(node.GetDisplayNode(), source.GetDisplayNode())
        self.assertEqual((node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()), (350.0, 40.0))
        self.assertEqual(node.GetDisplayNode().GetColorNodeID(), "vtkMRMLColorTableNodeRed")

    def test_namesAreUnique(self):
        source = addVolume(randomArray())
        prepared = Prepared.of(source, resultOf(source, randomArray()), PROVENANCE)
        names = [self.gate.writeNew(prepared, "denoised").GetName() for _attempt in range(3)]
        self.assertEqual(len(set(names)), 3)
        self.assertTrue(all(name.startswith("CT denoised") for name in names))

    def test_outputLiesBesideItsSource(self):
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        source = addVolume(randomArray())
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
        item = hierarchy.GetItemByDataNode(source)
        if item == hierarchy.GetInvalidItemID():
            item = hierarchy.CreateItem(study, source)
        hierarchy.SetItemParent(item, study)
        node = self.gate.writeNew(Prepared.of(source, resultOf(source, randomArray()), PROVENANCE), "denoised")
        self.assertEqual(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)), study)

    def test_valuesAreRoundedAndKeptWithinTheTypeOfTheSource(self):
        source = addVolume(np.zeros((1, 1, 6), np.int16))
        values = np.array([[[1.5, 2.5, -0.6, 4e4, -4e4, np.nan]]], np.float32)
        node = self.gate.writeNew(Prepared.of(source, resultOf(source, values), {}), "denoised")
        self.assertEqual(voxels(node).dtype, np.int16)
        self.assertEqual(voxels(node).ravel().tolist(), [2, 2, -1, 32767, -32768, 0])

    def test_castKeepsExtremesOfWideTypes(self):
        values = np.array([[[4294967295.0, -1.0, 5e9]]])
        self.assertEqual(castLike(values, np.dtype(np.uint32)).ravel().tolist(), [4294967295, 0, 4294967295])

    def test_otherUnitKeepsTypeOfResultAndOwnDisplay(self):
        source = addVolume(randomArray(dtype=np.uint8), hounsfield=False)
        setDicomModality(source, "MR")
        values = randomArray(dtype=np.float32)
        result = resultOf(source, values, units="HU", modality="CT")
        node = self.gate.writeNew(Prepared.of(source, result, {}), "CT")
        self.assertTrue(np.array_equal(voxels(node), values))
        self.assertEqual(node.GetVoxelValueUnits().GetCodeValue(), "[hnsf'U]")
        with self.assertRaises(InputError):
            self.gate.writeInto(source, Prepared.of(source, result, {}))

    def test_unknownUnitStaysUnknown(self):
        source = addVolume(randomArray(), hounsfield=False)
        result = resultOf(source, randomArray(seed=1), units="HU", modality="CT")
        node = self.gate.writeNew(Prepared.of(source, result, {}), "denoised")
        self.assertEqual(voxels(node).dtype, np.int16)
        self.assertIsNone(node.GetVoxelValueUnits())

    def test_anotherKindOfImageFromAVolumeOfUnknownUnit(self):
        """A synthetic CT of an MR that came without modality is in HU all the same, and not an integer copy of it."""
        source = addVolume(randomArray(), hounsfield=False)
        values = randomArray(dtype=np.float32) + 0.25
        result = resultOf(source, values, units="HU", modality="CT")
        prepared = Prepared.of(source, result, {}, sameKind=False)
        node = self.gate.writeNew(prepared, "synthetic CT")
        self.assertTrue(np.array_equal(voxels(node), values))
        self.assertEqual(node.GetVoxelValueUnits().GetCodeValue(), "[hnsf'U]")
        self.assertRaises(InputError, prepared.removed)

    def test_finerGridIsWrittenExactlyAndNeverInPlace(self):
        source = addVolume(randomArray())
        finer = volumeFromNode(source).geometry.shifted((0, 0, 0), (2, 2, 1))
        result = resultOf(source, randomArray((5, 34, 46)), geometry=finer)
        prepared = Prepared.of(source, result, {})
        node = self.gate.writeNew(prepared, "fine")
        self.assertEqual(gridBits(node)[0], finer.origin_mm.tobytes())
        before = voxels(source)
        for refused in (lambda: self.gate.writeInto(source, prepared), prepared.removed):
            self.assertRaises(InputError, refused)
        self.assertTrue(np.array_equal(voxels(source), before))

    def test_colorResult(self):
        source = addVolume(randomArray((3, 4, 5, 3), np.uint8), hounsfield=False, name="Slide")
        array = randomArray((3, 4, 5, 3), np.uint8, seed=2)
        node = self.gate.writeNew(Prepared.of(source, resultOf(source, array), {}), "stained")
        self.assertEqual(node.GetClassName(), "vtkMRMLVectorVolumeNode")
        self.assertTrue(np.array_equal(voxels(node), array))
        gray = addVolume(randomArray())
        self.assertRaises(InputError, self.gate.writeInto, gray, Prepared.of(source, resultOf(source, array), {}))

    def test_maskWithSoftEdge(self):
        source = addVolume(np.zeros((7, 20, 40), np.float32), Geometry(spacing_mm=(0.5, 0.8, 2.0)))
        mask = np.zeros((7, 20, 40), bool)
        mask[:, :, 20:] = True
        result = resultOf(source, np.full((7, 20, 40), 100.0, np.float32))
        for inside in (True, False):
            counts = Mask(mask == inside, geometryOfNode(source), 3.0, "description")
            prepared = Prepared.of(source, result, {}, counts)
            node = self.gate.writeNew(prepared, "denoised")
            distance_mm = (np.arange(40) - 19.5) * 0.5  # the surface lies between voxel 19 and 20
            expected = 100.0 * np.clip(0.5 + distance_mm / 3.0, 0.0, 1.0)
            expected = expected if inside else 100.0 - expected
            self.assertLess(np.abs(voxels(node) - expected).max(), 1e-3)
            self.assertEqual(node.GetAttribute("MedGAN.Mask"), "description")

    def test_hardMaskKeepsSourceBitForBit(self):
        source = addVolume(randomArray(dtype=np.float32))
        array = randomArray(dtype=np.float32, seed=4)
        mask = randomArray(dtype=np.int8, seed=5) > 0
        prepared = Prepared.of(source, resultOf(source, array), {}, Mask(mask, geometryOfNode(source)))
        node = self.gate.writeNew(prepared, "denoised")
        self.assertEqual(voxels(node).tobytes(), np.where(mask, array, voxels(source)).tobytes())

    def test_softEdgeMeasuresAcrossAnisotropicVoxels(self):
        """Along the coarse axis the same millimeters are fewer voxels."""
        mask = np.zeros((12, 12, 12), bool)
        mask[:6] = True
        weight = soft_weight(mask, Geometry(spacing_mm=(1.0, 1.0, 3.0)), 6.0)
        expected = np.clip(0.5 - (np.arange(12) - 5.5) * 3.0 / 6.0, 0, 1)
        self.assertLess(np.abs(weight[:, 5, 5] - expected).max(), 1e-6)
        self.assertRaises(InputError, soft_weight, mask, Geometry(), -1.0)
        for uniform in (np.zeros_like(mask), np.ones_like(mask)):
            self.assertTrue(np.array_equal(soft_weight(uniform, Geometry(), 4.0), uniform.astype(np.float32)))

    def test_removedIsSourceMinusWhatWasStored(self):
        source = addVolume(randomArray(dtype=np.int16))
        mask = np.zeros((5, 17, 23), bool)
        mask[1:3, 4:9, 4:9] = True
        result = resultOf(source, randomArray(dtype=np.float32, seed=3))
        prepared = Prepared.of(source, result, {}, Mask(mask, geometryOfNode(source), 4.0))
        output = self.gate.writeNew(prepared, "denoised")
        removed = self.gate.writeNew(prepared.removed(), "removed")
        difference = voxels(source).astype(np.float32) - voxels(output)
        self.assertTrue(np.array_equal(voxels(removed), difference))
        self.assertTrue(removed.GetAttribute("MedGAN.Content"))
        self.assertEqual(gridBits(removed), gridBits(source))

    def test_failureLeavesNoNewNode(self):
        source = addVolume(randomArray())
        prepared = Prepared.of(source, resultOf(source, randomArray()), {})
        before = nodeIDs()
        for error in (MemoryError(), RuntimeError("no")):
            with mock.patch.object(gateModule, "_placeBeside", side_effect=error), self.assertRaises(MedGANError):
                self.gate.writeNew(prepared, "denoised")
            self.assertEqual(nodeIDs(), before)

    def test_failureInPlacePutsTheOldVoxelsBack(self):
        source = addVolume(randomArray())
        source.SetAttribute("MedGAN.Model", "older")
        other = addVolume(randomArray((2, 3, 4), np.uint8), Geometry(), name="Other", hounsfield=False)
        prepared = Prepared.of(source, resultOf(source, randomArray(seed=9)), PROVENANCE)
        for node in (source, other):
            before, grid = voxels(node), gridBits(node)
            with mock.patch.object(gateModule, "_describe", side_effect=MemoryError()):
                self.assertRaises(MedGANError, self.gate.writeInto, node, prepared)
            self.assertTrue(np.array_equal(voxels(node), before))
            self.assertEqual(gridBits(node), grid)
            self.assertFalse(self.gate.history.canUndo())
        self.assertEqual(source.GetAttribute("MedGAN.Model"), "older")

    def test_overwritingDropsOldProvenance(self):
        source = addVolume(randomArray())
        source.SetAttribute("MedGAN.Mask", "from an earlier result")
        source.SetAttribute("Other", "kept")
        self.gate.writeInto(source, Prepared.of(source, resultOf(source, randomArray(seed=2)), PROVENANCE))
        self.assertIsNone(source.GetAttribute("MedGAN.Mask"))
        self.assertEqual(source.GetAttribute("Other"), "kept")

    def test_outputIntoEmptyNode(self):
        source = addVolume(randomArray())
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
        array = randomArray(seed=2)
        self.gate.writeInto(node, Prepared.of(source, resultOf(source, array), PROVENANCE))
        self.assertTrue(np.array_equal(voxels(node), array))
        self.assertEqual(gridBits(node), gridBits(source))
        self.assertEqual(node.GetName(), "Mine")
        self.assertEqual(node.GetDisplayNode().GetWindow(), 350.0)

    def test_labelsAreNoOutput(self):
        source = addVolume(randomArray())
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        prepared = Prepared.of(source, resultOf(source, randomArray()), {})
        self.assertRaises(InputError, self.gate.writeInto, labels, prepared)
        self.assertIsNone(labels.GetImageData())

    def test_maskNeedsTheSameUnit(self):
        source = addVolume(randomArray(), hounsfield=False)
        setDicomModality(source, "MR")
        mask = Mask(np.ones((5, 17, 23), bool), geometryOfNode(source))
        result = dataclasses.replace(resultOf(source, randomArray()), units="HU", modality="CT")
        self.assertRaises(InputError, Prepared.of, source, result, {}, mask)

    def test_spreadHasColorsFromZero(self):
        source = addVolume(randomArray())
        result = Prepared.of(source, resultOf(source, randomArray(seed=1)), PROVENANCE)
        values = np.abs(randomArray(dtype=np.float32, seed=2))
        values[:3] = 0.0  # as outside of a mask
        values.flags.writeable = False  # as in shared memory
        node = self.gate.writeNew(result.spread(resultOf(source, values)), "spread")
        self.assertTrue(np.array_equal(voxels(node), values))
        self.assertEqual(gridBits(node), gridBits(source))
        self.assertEqual(node.GetVoxelValueUnits().GetCodeValue(), "[hnsf'U]")
        self.assertEqual(node.GetAttribute("MedGAN.Model"), "identity")
        self.assertIn("spread", node.GetAttribute("MedGAN.Content"))
        display = node.GetDisplayNode()
        self.assertFalse(display.GetAutoWindowLevel())
        self.assertEqual(display.GetWindowLevelMin(), 0.0)
        self.assertAlmostEqual(display.GetWindowLevelMax(), float(np.percentile(values[3:], 99.5)), 2)
        self.assertIn(display.GetColorNodeID(), SPREAD_COLORS)
        self.assertIsNotNone(display.GetColorNode())

    def test_noSpreadAtAllCanBeShownToo(self):
        source = addVolume(randomArray())
        result = Prepared.of(source, resultOf(source, randomArray()), {})
        node = self.gate.writeNew(result.spread(resultOf(source, np.zeros((5, 17, 23), np.float32))), "spread")
        self.assertGreater(node.GetDisplayNode().GetWindow(), 0.0)

    def test_syntheticCTHasAWindow(self):
        source = addVolume(randomArray(dtype=np.uint8), hounsfield=False)
        setDicomModality(source, "MR")
        result = resultOf(source, randomArray(dtype=np.float32), units="HU", modality="CT")
        node = self.gate.writeNew(Prepared.of(source, result, {}, sameKind=False), "CT")
        display = node.GetDisplayNode()
        self.assertFalse(display.GetAutoWindowLevel())
        self.assertEqual((display.GetWindow(), display.GetLevel()), CT_WINDOW_LEVEL_HU)

    def test_undoTakesBackTheParentTransform(self):
        """What was written over may have lain elsewhere: its voxels alone would come back to the wrong place."""
        source, target = addVolume(randomArray()), addVolume(randomArray((2, 3, 4)), name="Target")
        first, second = (addLinearTransform(np.diag([factor, 1.0, 1.0, 1.0])) for factor in (2.0, 3.0))
        source.SetAndObserveTransformNodeID(first.GetID())
        target.SetAndObserveTransformNodeID(second.GetID())
        self.gate.writeInto(target, Prepared.of(source, resultOf(source, randomArray(seed=1)), {}))
        self.assertIs(target.GetParentTransformNode(), first)
        self.gate.undo(target)
        self.assertIs(target.GetParentTransformNode(), second)
        self.gate.redo(target)
        self.assertIs(target.GetParentTransformNode(), first)
        self.gate.undo(target)
        target.SetAndObserveTransformNodeID(None)  # the user's own doing stays
        self.gate.writeInto(target, Prepared.of(target, resultOf(target, randomArray((2, 3, 4), seed=2)), {}))
        target.SetAndObserveTransformNodeID(second.GetID())
        self.gate.undo(target)
        self.assertIs(target.GetParentTransformNode(), second)
