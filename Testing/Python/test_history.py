"""Undo and redo of volumes: exact, bounded, and never applied to something that has changed."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from medgan.errors import InputError
from medgan.volume import Geometry
from MedGANSynthesisLib.Gate import Gate
from MedGANSynthesisLib.History import History, changedBox
from MedGANSynthesisLib.nodes import volumeFromNode
from MedGANSynthesisLib.Prepared import Prepared
from slicer_fixtures import addVolume, gridBits, randomArray, voxels


class HistoryTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.gate = Gate()

    def overwrite(self, node, array, model="second", source=None):
        source = source or node
        self.gate.writeInto(node, Prepared.of(source, volumeFromNode(source).with_array(array), {"Model": model}))

    def test_undoAndRedoAreExact(self):
        for dtype in (np.int16, np.uint8, np.float32, np.float64):
            states = [randomArray(dtype=dtype, seed=seed) for seed in range(3)]
            if np.dtype(dtype).kind == "f":
                states[0][0, 0, :3] = [np.nan, np.inf, -0.0]
            node = addVolume(states[0])
            for array in states[1:]:
                self.overwrite(node, array)
            for array in (states[1], states[0]):
                self.assertIs(self.gate.undo(node), node)
                self.assertEqual(voxels(node).tobytes(), array.tobytes())
            self.assertFalse(self.gate.history.canUndo(node))
            for array in states[1:]:
                self.gate.redo(node)
                self.assertEqual(voxels(node).tobytes(), array.tobytes())
            self.assertFalse(self.gate.history.canRedo(node))

    def test_provenanceFollows(self):
        node = addVolume(randomArray())
        self.overwrite(node, randomArray(seed=1), "first")
        self.overwrite(node, randomArray(seed=2), "second")
        self.gate.undo()
        self.assertEqual(node.GetAttribute("MedGAN.Model"), "first")
        self.gate.undo()
        self.assertIsNone(node.GetAttribute("MedGAN.Model"))
        self.gate.redo()
        self.assertEqual(node.GetAttribute("MedGAN.Model"), "first")

    def test_onlyTheChangedBoxIsKept(self):
        before = randomArray((20, 64, 64))
        after = before.copy()
        after[4:6, 10:13, 20:30] += 1
        self.assertEqual(changedBox(before, after), (slice(4, 6), slice(10, 13), slice(20, 30)))
        node = addVolume(before)
        self.overwrite(node, after)
        self.assertLess(self.gate.history.nbytes, before.nbytes // 100)
        self.gate.undo()
        self.assertTrue(np.array_equal(voxels(node), before))

    def test_nothingChangedIsAStepToo(self):
        array = randomArray()
        node = addVolume(array)
        self.overwrite(node, array)
        self.gate.undo()
        self.assertTrue(np.array_equal(voxels(node), array))
        self.assertIsNone(node.GetAttribute("MedGAN.Model"))

    def test_outputNodeOfAnotherGridComesBackWhole(self):
        source = addVolume(randomArray())
        old = randomArray((2, 3, 4), np.uint8)
        node = addVolume(old, Geometry((1, 2, 3), (4, 5, 6)), name="Other", hounsfield=False)
        grid = gridBits(node)
        self.overwrite(node, randomArray(seed=3), source=source)
        self.assertEqual(gridBits(node), gridBits(source))
        self.gate.undo(node)
        self.assertTrue(np.array_equal(voxels(node), old))
        self.assertEqual((voxels(node).dtype, gridBits(node)), (old.dtype, grid))
        self.assertIsNone(node.GetVoxelValueUnits())
        self.gate.redo(node)
        self.assertTrue(np.array_equal(voxels(node), randomArray(seed=3)))
        self.assertEqual(gridBits(node), gridBits(source))

    def test_nodesDoNotTouchEachOther(self):
        first, second = addVolume(randomArray()), addVolume(randomArray(seed=1))
        self.overwrite(first, randomArray(seed=2))
        self.overwrite(second, randomArray(seed=3))
        self.gate.undo(first)
        self.assertTrue(np.array_equal(voxels(first), randomArray()))
        self.assertTrue(np.array_equal(voxels(second), randomArray(seed=3)))
        self.overwrite(second, randomArray(seed=4))
        self.assertTrue(self.gate.history.canRedo(first))
        self.assertFalse(self.gate.history.canRedo(second))

    def test_newWriteForgetsWhatWasUndone(self):
        node = addVolume(randomArray())
        self.overwrite(node, randomArray(seed=1))
        self.gate.undo()
        self.overwrite(node, randomArray(seed=2))
        self.assertFalse(self.gate.history.canRedo())

    def test_changedFromOutsideIsNotUndone(self):
        changes = {
            "edited": lambda node: slicer.util.arrayFromVolume(node).__setitem__((2, 3, 4), 77),
            "replaced": lambda node: slicer.util.updateVolumeFromArray(node, np.zeros((2, 2, 2), np.int16)),
            "emptied": lambda node: node.SetAndObserveImageData(None),
        }
        for name, change in changes.items():
            node = addVolume(np.zeros((5, 6, 7), np.int16), name=name)
            self.overwrite(node, np.ones((5, 6, 7), np.int16))
            self.overwrite(node, np.full((5, 6, 7), 2, np.int16))
            change(node)
            with self.assertRaises(InputError) as caught:
                self.gate.undo(node)
            self.assertIn(name, str(caught.exception))
            self.assertFalse(self.gate.history.canUndo(node))
            if name == "edited":
                self.assertEqual(voxels(node)[2, 3, 4], 77)

    def test_deletedNodeAndClosedScene(self):
        for close in (slicer.mrmlScene.RemoveNode, lambda node: slicer.mrmlScene.Clear(0)):
            node = addVolume(randomArray())
            nodeID = node.GetID()
            self.overwrite(node, randomArray(seed=1))
            close(node)
            self.assertFalse(self.gate.history.canUndo())
            self.assertRaises(InputError, self.gate.undo)
            self.assertEqual(self.gate.history.nbytes, 0)
            reborn = addVolume(randomArray(seed=1))
            if reborn.GetID() == nodeID:  # after a scene was closed its IDs are given out again
                self.assertFalse(self.gate.history.canUndo(reborn))

    def test_reloadedSceneHasNoHistory(self):
        """Nodes of a scene that was saved, closed and loaded again are others, with the same names and IDs."""
        for extension in ("mrml", "mrb"):
            slicer.mrmlScene.Clear(0)
            node = addVolume(randomArray(), name="CT")
            nodeID = node.GetID()
            self.overwrite(node, randomArray(seed=1))
            self.overwrite(node, randomArray(seed=2))
            self.gate.undo()
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder) / f"scene.{extension}")
                if extension == "mrml":
                    slicer.util.saveNode(node, str(Path(folder) / "CT.nrrd"))
                self.assertTrue(slicer.util.saveScene(path))
                slicer.mrmlScene.Clear(0)
                slicer.util.loadScene(path)
                loaded = slicer.util.getNode("CT")
                self.assertEqual((loaded.GetID(), loaded.GetAttribute("MedGAN.Model")), (nodeID, "second"))
                self.assertTrue(np.array_equal(voxels(loaded), randomArray(seed=1)))
                for can in (self.gate.history.canUndo, self.gate.history.canRedo):
                    self.assertFalse(can() or can(loaded))
                for step in (self.gate.undo, self.gate.redo):
                    self.assertRaises(InputError, step)
                    self.assertRaises(InputError, step, loaded)
                self.assertTrue(np.array_equal(voxels(loaded), randomArray(seed=1)))
                self.assertEqual(self.gate.history.nbytes, 0)
                self.overwrite(loaded, randomArray(seed=3))
                self.gate.undo(loaded)
                self.assertTrue(np.array_equal(voxels(loaded), randomArray(seed=1)))

    def test_nodeIsNotKeptAlive(self):
        import vtk

        node = addVolume(randomArray())
        self.overwrite(node, randomArray(seed=1))
        reference = vtk.vtkWeakReference()
        reference.Set(node)
        slicer.mrmlScene.RemoveNode(node)
        del node
        self.assertIsNone(reference.Get())

    def test_oldestStepsGoFirst(self):
        size = History()
        self.gate = Gate(size)
        node = addVolume(randomArray())
        self.overwrite(node, randomArray(seed=1))
        size.limitBytes = 2 * size.nbytes + size.nbytes // 2
        for seed in range(2, 8):
            self.overwrite(node, randomArray(seed=seed))
            self.assertLessEqual(size.nbytes, size.limitBytes)
        self.gate.undo()
        self.gate.undo()
        self.assertTrue(np.array_equal(voxels(node), randomArray(seed=5)))
        self.assertFalse(self.gate.history.canUndo())

    def test_nothingToUndo(self):
        self.assertRaises(InputError, self.gate.undo)
        self.assertRaises(InputError, self.gate.redo)
