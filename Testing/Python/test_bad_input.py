"""Bad input, end to end: each case ends in one clear sentence and the right exit code; nothing is lost or half-written.

The commands run in processes of their own, as users run them; what the tests of the single parts show is not repeated.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from client_fixtures import python_environment
from medgan.bundle import Bundle
from medgan.errors import InputError
from medgan.image_io import read_volume, write_volume
from medgan.volume import Geometry, Volume
from synthetic_dicom import axialPlanes, writeSeries
from training_fixtures import TINY, tiny_bundle, tiny_recipe

DATA = Path(os.environ.get("MEDGAN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
# Runs one command after another in one process: starting Python and torch takes longer than the work.
BATCH = """
import contextlib, io, json, sys
from medgan.cli import main
for arguments in json.load(sys.stdin):
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, errors.getvalue()]), file=sys.__stdout__)
"""


def medgan(*commands, python=sys.executable, **environment):
    """Exit code and standard error of each command (a tuple of arguments)."""
    run = subprocess.run(
        [python, "-c", BATCH],
        input=json.dumps([[str(argument) for argument in command] for command in commands]),
        env={**python_environment(), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import torch

        torch.set_num_threads(1)
        cls.root = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.model = tiny_bundle(cls.root / "tiny").path
        cls.dataset = cls.root / "tiny-dataset"
        values = np.random.default_rng(0).integers(-1024, 1000, (2, 40, 40)).astype(np.int16)
        cls.scan = write_volume(Volume(values, Geometry(spacing_mm=(0.8, 0.8, 3)), "HU", "CT"), cls.root / "scan.nrrd")

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(dir=self.root))
        self.output = self.folder / "out.nrrd"

    def image(self, name, array, **facts):
        return write_volume(Volume(array, **facts), self.folder / name)

    def copied(self, name):
        return Path(shutil.copytree(self.model, self.folder / name))

    def assertSentence(self, result, code, words):
        lines = result[1].splitlines()
        self.assertEqual((result[0], len(lines)), (code, 1), result[1])
        self.assertRegex(lines[0], words)
        self.assertTrue(lines[0].startswith("medgan: ") and "unexpected" not in lines[0], lines[0])

    def assertAll(self, cases, **environment):
        """Cases are (command, exit code, pattern of the one sentence)."""
        results = medgan(*(command for command, _, _ in cases), **environment)
        for (command, code, words), result in zip(cases, results, strict=True):
            with self.subTest(command=command[-3:]):
                self.assertSentence(result, code, words)

    def test_odd_volumes_are_done_with_a_warning_or_refused(self):
        generator = np.random.default_rng(1)
        ct = generator.normal(0, 300, (3, 30, 30))
        broken = ct.astype(np.float32)
        broken[1, 2, 3] = np.nan
        done = [
            ("slice.nrrd", ct[:1].astype(np.int16), "wrote "),
            ("cube.nrrd", ct[:, :3, :3].astype(np.int16), "wrote "),
            ("unsigned.nrrd", (ct + 2048).astype(np.uint16), "without its rescale intercept"),
            ("mr.nrrd", np.abs(ct).astype(np.int16), "looks like an MR"),
        ]
        refused = [
            ("nan.nrrd", broken, "1 voxels that are no number"),
            ("color.nrrd", np.zeros((2, 8, 8, 3), np.uint8), "takes images of 1 component.* has 3"),
        ]
        command = ("apply", self.model)
        paths = {name: self.image(name, array) for name, array, _ in done + refused}
        results = medgan(*((*command, paths[name], self.folder / f"done-{name}") for name, _, _ in done))
        for (name, array, warning), (code, errors) in zip(done, results, strict=True):
            with self.subTest(name):
                self.assertEqual(code, 0, errors)
                self.assertRegex(errors, warning)
                written = read_volume(self.folder / f"done-{name}")[0]
                self.assertEqual((written.array.shape, written.array.dtype), (array.shape, array.dtype))
        self.assertAll([((*command, paths[name], self.output), 2, words) for name, _, words in refused])
        self.assertFalse(self.output.exists())

    def test_real_mr_given_to_a_ct_model(self):
        source = DATA / "ct" / "mr_abdomen_3mm_small_totalseg.nii.gz"
        if not source.is_file():
            self.skipTest(f"{source} is not there; set MEDGAN_DATA to the folder of the shared data")
        percentiles = {"1": -1000.0, "5": -990.0, "50": -50.0, "95": 300.0, "99": 1000.0}
        model = Bundle.create_identity(self.folder / "ct", units="HU", fingerprint={"percentiles": percentiles}).path
        ((code, errors),) = medgan(("apply", model, source, self.output))
        self.assertEqual(code, 0, errors)
        self.assertRegex(errors, "warning: .*looks like an MR")
        self.assertEqual(read_volume(self.output)[0].grid_shape, read_volume(source)[0].grid_shape)

    def test_real_head_with_gantry_tilt(self):
        archive = DATA / "dicom_edge" / "ge_head_ct_gantry_tilt_variable_spacing.tar.xz"
        if not archive.is_file():
            self.skipTest(f"{archive} is not there; set MEDGAN_DATA to the folder of the shared data")
        shutil.unpack_archive(archive, self.folder / "head", filter="data")
        self.assertAll([(("apply", self.model, self.folder / "head", self.output), 2, "gantry tilt of 18.5 degrees")])

    def test_damaged_bundles_on_both_commands(self):
        def metadata(folder, change):
            path = folder / "configs" / "metadata.json"
            content = json.loads(path.read_text())
            change(content["medgan"])
            path.write_text(json.dumps(content))

        def pickled(folder):
            import torch

            weights = folder / "models" / "model.safetensors"
            weights.unlink()
            torch.save({"a": torch.zeros(1)}, weights.with_suffix(".pt"))

        def renamed_pickle(folder):
            import torch

            stream = io.BytesIO()
            torch.save({"a": torch.zeros(1)}, stream)
            (folder / "models" / "model.safetensors").write_bytes(stream.getvalue())
            metadata(folder, lambda m: m.update(sha256=hashlib.sha256(stream.getvalue()).hexdigest()))

        def flip(folder):
            weights = folder / "models" / "model.safetensors"
            data = bytearray(weights.read_bytes())
            data[-1] ^= 255
            weights.write_bytes(data)

        def folder_in_place_of_metadata(folder):
            (folder / "configs" / "metadata.json").unlink()
            (folder / "configs" / "metadata.json").mkdir()

        damages = {
            "missing": (lambda f: (f / "models" / "model.safetensors").unlink(), "lacks its weights"),
            "pickled": (pickled, "run foreign code"),
            "renamed-pickle": (renamed_pickle, "cannot be read as safetensors"),
            "flipped": (flip, "SHA-256 differs"),
            "newer": (lambda f: metadata(f, lambda m: m.update(schema=99)), "newer MedGAN"),
            "task": (lambda f: metadata(f, lambda m: m.update(task="fly")), "not known to this version.*'fly'"),
            "recipe": (lambda f: metadata(f, lambda m: m["recipe"].update(base_width="wide")), "'wide'.*install"),
            "null": (lambda f: metadata(f, lambda m: m.update(fingerprint=None)), "damaged .fingerprint is None"),
            "percentile": (lambda f: metadata(f, lambda m: m["fingerprint"].update(percentiles={})), "damaged"),
            "halo": (lambda f: metadata(f, lambda m: m["network"].update(halo="wide")), "damaged .*'wide'"),
            "results": (lambda f: metadata(f, lambda m: m.update(results=[1])), "damaged .the results"),
            "unreadable": (folder_in_place_of_metadata, "cannot be read"),
        }
        cases = []
        for name, (damage, words) in damages.items():
            damage(folder := self.copied(name))
            cases.append((("apply", folder, self.scan, self.output, "--quiet"), 3, words))
            cases.append((("bundle", "verify", folder), 3, words))
        cases.append((("apply", "newer", self.scan, self.output), 3, "newer MedGAN"))
        self.assertAll(cases, MEDGAN_MODELS=str(self.folder))
        self.assertFalse(self.output.exists())
        # Damaged bundles must not hide the others.
        ((code, errors),) = medgan(("models",), MEDGAN_MODELS=str(self.folder))
        self.assertEqual((code, errors), (0, ""))

    def test_outputs_that_cannot_hold_the_result_are_refused_before_computing(self):
        apply = ("apply", self.model, self.scan)
        wide = self.image("wide.nrrd", np.zeros((2, 30, 30), np.int32))
        removed = self.folder / "removed.png"
        self.assertAll(
            [
                ((*apply, self.folder / "out.png"), 2, "PNG holds a single slice"),
                ((*apply, self.output, "--second-output", removed), 2, "PNG holds a single slice"),
                (("apply", self.model, wide, self.folder / "out.tif"), 2, "TIFF files here hold"),
                ((*apply, self.output, "--second-output", self.scan), 2, "input itself"),
                ((*apply, self.output, "--device", "cuda:99"), 2, "no device 'cuda:99'"),
                ((*apply, self.output, "--device", "gpu 7"), 2, "not a device"),
                (("apply", self.model, self.folder, self.output, "--modality", "CT"), 2, "no DICOM image"),
            ]
        )
        self.assertEqual([path.name for path in self.folder.iterdir()], ["wide.nrrd"])

    def test_dicom_file_cut_short_in_its_header(self):
        writeSeries(self.folder / "series", axialPlanes(3), shuffle=False)
        last = sorted((self.folder / "series").iterdir())[-1]
        last.write_bytes(last.read_bytes()[:400])
        self.assertAll(
            [(("apply", self.model, self.folder / "series", self.output), 2, f"{last.name} ends before its pixels")]
        )
        self.assertFalse(self.output.exists())

    def test_datasets_and_runs_that_cannot_be_trained(self):
        datasets = {name: Path(shutil.copytree(self.dataset, self.folder / name)) for name in ("nan", "grid", "small")}
        whole = read_volume(self.dataset / "images" / "train-low.nrrd")[0]
        broken = whole.array.astype(np.float32)
        broken[0, 1, 2] = np.nan
        write_volume(whole.with_array(broken), datasets["nan"] / "images" / "train-low.nrrd")
        write_volume(Volume(whole.array), datasets["grid"] / "images" / "train-low.nrrd")
        for name in ("train", "train-low"):
            write_volume(Volume(np.zeros((3, 3, 3), np.int16)), datasets["small"] / "images" / f"{name}.nrrd")
        (self.folder / "file").write_text("no folder")
        settings = [f"--set={key}={value}" for key, value in TINY.items()]
        train = ("train", "--quiet", "denoise-ct")
        self.assertAll(
            [
                ((*train, datasets["nan"], self.folder / "run", *settings), 2, "train-low.nrrd has voxels that are no"),
                (
                    (*train, datasets["grid"], self.folder / "run", *settings),
                    2,
                    "grids .their origin, spacing",
                ),
                ((*train, datasets["small"], self.folder / "run", *settings), 2, "3 voxels along j.*leave it out"),
                ((*train, self.dataset, self.folder / "file", *settings), 2, "is a file; give a folder"),
                ((*train, self.dataset, self.folder / "run", "--device", "cuda:99", *settings), 2, "no device"),
            ]
        )

    def test_checkpoints_that_are_damaged(self):
        import torch
        from medgan.trainer import train

        train(tiny_recipe(epochs=1, steps_per_epoch=1), self.dataset, self.folder / "run", device="cpu")
        path = self.folder / "run" / "checkpoint.pt"
        state = torch.load(path, weights_only=True)
        self.assertEqual(state["epoch"], 1)
        broken = ([1], {key: value for key, value in state.items() if key != "average"}, {**state, "generator": {}})
        for content in broken:
            torch.save(content, path)
            before = path.read_bytes()
            with self.assertRaisesRegex(InputError, r"checkpoint\.pt cannot be read.*--no-resume"):
                train(tiny_recipe(epochs=2, steps_per_epoch=1), self.dataset, self.folder / "run", device="cpu")
            self.assertEqual(path.read_bytes(), before)

    def test_torch_that_is_missing_or_half_installed(self):
        scan = write_volume(Volume(np.zeros((1, 8, 8), np.int16)), self.folder / "scan.nrrd")
        missing = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"
        # What an interrupted installation leaves: a package without its parts, or one whose libraries do not load.
        cases = {
            "absent": (missing, "PyTorch is not installed: install"),
            "empty": ("", "PyTorch is installed only in part"),
            "broken": ("raise ImportError('libtorch_cpu.so: no such file', name='torch._C')", "only in part"),
        }
        for name, (content, words) in cases.items():
            with self.subTest(name):
                package = self.folder / name / "torch"
                package.mkdir(parents=True)
                (package / "__init__.py").write_text(content)
                path = os.pathsep.join([str(self.folder / name), python_environment()["PYTHONPATH"]])
                out = self.folder / "never.nrrd"
                results = medgan(
                    ("apply", self.model, scan, out, "--quiet"),
                    ("train", "denoise-ct", self.dataset, self.folder / "none", "--quiet"),
                    PYTHONPATH=path,
                )
                for code, errors in results:
                    self.assertEqual((code, len(errors.splitlines())), (4, 1), errors)
                    self.assertRegex(errors, words)
                self.assertFalse(out.exists() or (self.folder / "none").exists())


if __name__ == "__main__":
    unittest.main()
