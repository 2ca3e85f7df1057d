"""Bad input to building, training and evaluating, and what ITK would read without a word, end in one clear sentence."""

import argparse
import contextlib
import dataclasses
import gzip
import io
import json
import os
import re
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from medgan.cli import main
from medgan.cli.apply import _check_formats
from medgan.cli.train import _interruptible
from medgan.dataset import Dataset
from medgan.errors import BundleError, InputError
from medgan.export import export
from medgan.image_io import read_volume
from medgan.options import ApplyOptions
from medgan.sampling import PatchSampler
from medgan.trainer import train
from medgan.training_events import TrainingStarted
from medgan.training_figures import TrainingPictures
from medgan.volume import Geometry, Volume
from training_fixtures import tiny_bundle, tiny_dataset, tiny_recipe


def numbers(kind=np.int16, shape=(6, 30, 34)):
    return np.random.default_rng(0).integers(-900, 900, shape).astype(kind)


class FilesItkReadsOtherwise(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def image(self, name, array):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(self.folder / name))
        return self.folder / name

    def assert_refused(self, path, words):
        with self.assertRaisesRegex(InputError, re.escape(path.name) + words):
            read_volume(path)

    def test_cut_off_files(self):
        for name in ("a.nii", "b.nii.gz", "c.tif", "d.nrrd", "e.mha"):
            for kind in (np.int16, np.float32):
                path = self.image(name, numbers(kind))
                whole = path.read_bytes()
                for share in (0.3, 0.9):
                    with self.subTest(name, kind=kind.__name__, share=share):
                        path.write_bytes(whole[: int(share * len(whole))])
                        self.assert_refused(path, " (is damaged|cannot be read)")
                path.write_bytes(whole)
                np.testing.assert_array_equal(read_volume(path)[0].array, numbers(kind))

    def test_whole_files_of_other_writers(self):
        path = self.image("a.nii", numbers())
        content = path.read_bytes()
        packed = self.folder / "packed.nii.gz"
        packed.write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:] + b"more"))  # as bgzip does
        np.testing.assert_array_equal(read_volume(packed)[0].array, numbers())
        big = sitk.GetImageFromArray(numbers(np.float64))
        sitk.WriteImage(big, str(self.folder / "big.nii.gz"))
        np.testing.assert_array_equal(read_volume(self.folder / "big.nii.gz")[0].array, numbers(np.float64))

    def test_nan_in_nifti(self):
        array = numbers(np.float32)
        array[1, 2, 3], array[2, 3, 4] = np.nan, np.inf
        for name in ("a.nii", "b.nii.gz"):
            self.assert_refused(self.image(name, array), " has 2 voxels that are no number")

    def test_packed_beside_unpacked(self):
        packed, unpacked = self.image("a.nii.gz", numbers()), self.image("a.nii", -numbers())
        np.testing.assert_array_equal(read_volume(packed)[0].array, numbers())
        np.testing.assert_array_equal(read_volume(unpacked)[0].array, -numbers())


class BadTraining(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        tiny_dataset(cls.root / "data")

    def setUp(self):
        self.out = self.root / f"run-{self.id()}"

    def command(self, *arguments):
        """Exit code and standard error of ``medgan ...``."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as end:
                code = end.code
        return code, errors.getvalue()

    def train(self, *extra, data="data", task="denoise-ct", out=None, **settings):
        flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        return self.command(
            "train", task, self.root / data, out or self.out, "--device", "cpu", "--quiet", *flags, *extra
        )

    def assert_refused(self, result, words, folder=None):
        code, errors = result
        self.assertEqual((code, len(errors.splitlines())), (2, 1), errors)
        self.assertRegex(errors, f"^medgan: .*{words}")
        self.assertNotIn("unexpected", errors)
        self.assertFalse((folder or self.out).is_dir(), "something was left")

    def test_values_and_names_that_are_none(self):
        for value in ("nan", "inf", "-inf"):
            self.assert_refused(self.train(weight_l1=value), "weight_l1 must")
        self.assert_refused(self.train(seed=10**20), "seed must lie between")
        for name in ("a/b", "", "../up", "."):
            self.assert_refused(self.train("--name", name), "is no name for a model")
        for minutes in ("soon", "0", "nan"):
            self.assert_refused(self.train("--minutes", minutes), f"{minutes} is no length of time")

    def test_wrong_places_are_seen_before_anything_is_read(self):
        file = self.root / "file"
        file.write_text("x")
        self.assert_refused(self.train(out=file), "is a file", file)
        self.assertEqual(file.read_text(), "x")
        self.assert_refused(self.train(task="stain"), "made for the task denoise-ct, not stain")

    def test_images_that_do_not_fit_the_network(self):
        def changed(name, change):
            folder = Path(shutil.copytree(self.root / "data", self.root / name))
            content = json.loads((folder / "dataset.json").read_text())
            for number, case in enumerate(content["cases"]):
                for role in ("source", "target"):
                    path = folder / case[role]
                    sitk.WriteImage(change(sitk.ReadImage(str(path))), str(path))
                    case["sha256"] = {"source": f"s{number}", "target": f"t{number}"}
            (folder / "dataset.json").write_text(json.dumps(content))
            return name

        color = changed("color", lambda image: sitk.Compose([sitk.Cast(image, sitk.sitkUInt8)] * 3))
        small = changed("small", lambda image: image[:20, :20])
        recipe = tiny_recipe()
        for data, words in (
            (color, "3 component.* learns from images of 1"),
            (small, "20 voxels along j.*leave it out"),
        ):
            with self.assertRaisesRegex(InputError, words):
                PatchSampler(Dataset.load(self.root / data), recipe)

    def test_files_of_a_run_that_were_damaged(self):
        import torch

        torch.set_num_threads(1)
        recipe, dataset = tiny_recipe(epochs=1, steps_per_epoch=1), Dataset.load(self.root / "data")
        train(recipe, dataset, self.out, device="cpu")
        longer = tiny_recipe(epochs=2, steps_per_epoch=1)
        kept = (self.out / "checkpoint.pt").read_bytes()
        for content in (torch.zeros(3), [1, 2], "text"):
            torch.save(content, self.out / "checkpoint.pt")
            with self.assertRaisesRegex(InputError, "checkpoint.pt cannot be read .*--no-resume"):
                train(longer, dataset, self.out, device="cpu")
        (self.out / "checkpoint.pt").write_bytes(kept)
        for text in ('[{"epoch": 1, "l1"', "3", ""):  # curves are no reason to refuse
            (self.out / "history.json").write_text(text)
            TrainingPictures(self.out)(TrainingStarted("denoise-ct", "recommended", "cpu", 1, 2, 1, 1))

    def test_interrupt_that_python_dropped_stops_at_the_next_event(self):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
        self.addCleanup(signal.signal, signal.SIGINT, before)
        before = signal.default_int_handler
        with _interruptible() as watch:
            watch(None)
            with contextlib.suppress(KeyboardInterrupt):  # as the interpreter does in a finalizer
                signal.raise_signal(signal.SIGINT)
            self.assertRaises(KeyboardInterrupt, watch, None)
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_nothing_to_evaluate_leaves_no_folder(self):
        bundle = tiny_bundle(self.root / "evaluated").path
        dataset = Dataset.load(self.root / "data")
        only = tuple(case for case in dataset.cases if case.split == "train")
        folder = Path(shutil.copytree(self.root / "data", self.root / "train-only"))
        dataclasses.replace(dataset, folder=folder, cases=only).save()
        result = self.command("evaluate", bundle, folder, "--out", self.out, "--quiet")
        self.assert_refused(result, "no case in its validation split")


class WrongBundles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        cls.bundle = tiny_bundle(cls.root / "tiny")

    def altered(self, **network):
        """The bundle with another description of its network."""
        manifest = self.bundle.manifest
        spec = dataclasses.replace(manifest.network, **network)
        return dataclasses.replace(self.bundle, manifest=dataclasses.replace(manifest, network=spec))

    def test_description_of_another_network(self):
        for network in ({"in_channels": 3}, {"scale": (2, 2, 2)}, {"multiple": (0, 0, 0)}, {"context": 1}):
            with self.subTest(network), self.assertRaisesRegex(BundleError, f"another network .*{next(iter(network))}"):
                self.altered(**network).build_generator()

    def test_spacing_wider_than_the_volume(self):
        volume = Volume(np.zeros((4, 8, 8), np.int16), Geometry(spacing_mm=(1, 1, 2)), "HU", "CT")
        finer = self.altered(scale=(2, 2, 2))
        self.assertEqual(finer.outputs(volume, ApplyOptions(target_spacing_mm=(8, 8, 8)))["image"].shape, (2, 2, 2))
        for wide in ((9, 1, 1), (1, 1, 8.5), (1e9, 1e9, 1e9)):
            with self.subTest(wide), self.assertRaisesRegex(InputError, "wider than the whole volume"):
                finer.outputs(volume, ApplyOptions(target_spacing_mm=wide))

    def test_second_output_of_super_resolution_is_refused_before_computing(self):
        volume = Volume(np.zeros((4, 8, 8), np.int16), Geometry(), "HU", "CT")
        arguments = argparse.Namespace(
            output=self.root / "a.nrrd", second_output=self.root / "b.nrrd", spread_output=None
        )
        _check_formats(self.bundle, volume, ApplyOptions(), arguments)
        with self.assertRaisesRegex(InputError, "leave --second-output out"):
            _check_formats(self.altered(scale=(2, 2, 2)), volume, ApplyOptions(), arguments)

    def test_export_to_a_place_that_is_none(self):
        (self.root / "file").write_text("x")
        for place in (self.root / "file" / "a.ts", Path(os.devnull) / "a.ts"):
            with self.subTest(place), self.assertRaisesRegex(InputError, "could not be written"):
                export(self.bundle, place)


if __name__ == "__main__":
    unittest.main()
