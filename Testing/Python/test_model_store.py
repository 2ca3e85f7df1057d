"""What is installed, and that nothing gets there but whole bundles."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import unittest
import warnings
import zipfile
from pathlib import Path
from unittest import mock

from medgan import model_store
from medgan.bundle import Bundle
from medgan.bundle_search import find_bundles, resolve
from medgan.cli import main
from medgan.cli.bundle import EXAMPLE
from medgan.errors import BundleError, InputError, MedGANError
from medgan.model_store import disk_use, install_folder, install_url, install_zip, installed, remove
from test_download import Server

SHIPPED = Path(__file__).resolve().parents[2] / "MedGANSynthesis" / "Resources" / "Models"


class StoreTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.store = self.folder / "store"
        environment = mock.patch.dict(os.environ, {"MEDGAN_MODELS": str(self.store), "HOME": temporary.name})
        environment.start()
        self.addCleanup(environment.stop)
        self.source = self.folder / "source"
        shutil.copytree(SHIPPED / "denoise-ct-multi", self.source)
        self.edit(self.source, name="mine")

    def edit(self, path, **fields):
        file = path / "configs" / "metadata.json"
        metadata = json.loads(file.read_text(encoding="utf-8"))
        metadata["medgan"].update(fields)
        file.write_text(json.dumps(metadata), encoding="utf-8")

    def pack(self, name="model.zip", prefix="mine/", extra=(), leave_out=(), method=zipfile.ZIP_DEFLATED):
        path = self.folder / name
        with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for file in sorted(self.source.rglob("*")):
                inner = file.relative_to(self.source).as_posix()
                if file.is_file() and inner not in leave_out:
                    archive.write(file, prefix + inner)
            for inner, content in extra:
                archive.writestr(inner, content)
        return path

    def own(self):
        return {entry.name: entry for entry in installed() if entry.origin != "shipped"}

    def assertRefused(self, words, call, *arguments, kind=MedGANError, **options):
        before = sorted(self.store.rglob("*")) if self.store.exists() else []
        with self.assertRaisesRegex(kind, words) as caught:
            call(*arguments, **options)
        self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(sorted(self.store.rglob("*")) if self.store.exists() else [], before)


class Listing(StoreTest):
    def test_shipped_models_cannot_be_removed(self):
        entries = {entry.name: entry for entry in installed()}
        shipped = entries["denoise-ct-multi"]
        self.assertEqual((shipped.origin, shipped.removable, shipped.error), ("shipped", False, ""))
        files = [path for path in (SHIPPED / "denoise-ct-multi").rglob("*") if path.is_file()]
        self.assertEqual(shipped.bytes, sum(path.stat().st_size for path in files))
        self.assertEqual(disk_use([shipped]), 0)
        with self.assertRaisesRegex(InputError, "not installed by you"):
            remove(shipped)
        self.assertTrue(shipped.path.is_dir())

    def test_origins(self):
        install_folder(self.source)
        shutil.copytree(self.source, model_store.trained_folder() / "run-1")
        self.edit(model_store.trained_folder() / "run-1", name="trained-here")
        home = self.folder / ".medgan" / "models"
        shutil.copytree(self.source, home / "old")
        self.edit(home / "old", name="at-home")
        origins = {name: (entry.origin, entry.removable) for name, entry in self.own().items()}
        expected = {"mine": ("user", True), "trained-here": ("trained", True), "at-home": ("user", True)}
        self.assertEqual(origins, expected)
        self.assertEqual(disk_use(installed()), sum(entry.bytes for entry in self.own().values()))
        self.assertLessEqual({"mine", "trained-here"}, {bundle.name for bundle in find_bundles("denoise-ct")})

    def test_damaged_ones_are_listed_with_the_reason(self):
        install_folder(self.source)
        (self.store / "mine" / "models" / "model.safetensors").unlink()
        entry = self.own()["mine"]
        self.assertIsNone(entry.bundle)
        self.assertRegex(entry.error, "lacks its weights")
        remove(entry)
        self.assertEqual(list(self.store.iterdir()), [])

    def test_one_that_hides_another_is_told_apart(self):
        self.edit(self.source, name="denoise-ct-multi")
        self.assertRefused("already a model named 'denoise-ct-multi' .shipped.", install_folder, self.source)
        install_folder(self.source, replace=True)
        found = [entry for entry in installed() if entry.name == "denoise-ct-multi"]
        self.assertEqual([(entry.origin, entry.shadowed) for entry in found], [("user", False), ("shipped", True)])
        self.assertEqual(resolve("denoise-ct-multi").path, self.store / "denoise-ct-multi")

    def test_what_is_still_being_written_is_not_listed(self):
        shutil.copytree(self.source, self.store / ".123-mine")
        self.assertEqual(self.own(), {})
        self.assertNotIn("mine", [bundle.name for bundle in find_bundles()])


class Installing(StoreTest):
    def test_folder_with_only_what_belongs_to_it(self):
        (self.source / "setup.py").write_text("print('hello')")
        (self.source / "models" / "model.pt").write_bytes(b"pickle")
        (self.source / "docs" / "figure.png").write_bytes(b"png")
        entry = install_folder(self.source)
        self.assertEqual((entry.name, entry.origin, entry.path), ("mine", "user", self.store / "mine"))
        names = {path.relative_to(entry.path).as_posix() for path in entry.path.rglob("*") if path.is_file()}
        expected = {"configs/metadata.json", "configs/inference.json", "docs/README.md", "docs/figure.png", "LICENSE"}
        self.assertEqual(names, expected | {"models/model.safetensors", "models/selftest.safetensors"})
        self.assertEqual([path.name for path in self.store.iterdir()], ["mine"])
        Bundle.load(entry.path).check_sha256()

    def test_zip_with_and_without_a_folder(self):
        extra = (("__MACOSX/mine/._LICENSE", "x"), ("mine/.DS_Store", "x"))
        self.assertEqual(install_zip(self.pack(extra=extra)).name, "mine")
        remove(self.own()["mine"])
        self.assertEqual(install_zip(self.pack(prefix="")).name, "mine")
        self.assertEqual([path.name for path in self.store.iterdir()], ["mine"])

    def test_zip_of_which_the_checksum_is_known(self):
        packed = self.pack()
        sha256 = hashlib.sha256(packed.read_bytes()).hexdigest()
        self.assertRefused(f"SHA-256 is {sha256}", install_zip, packed, sha256="0" * 64, kind=InputError)
        self.assertEqual(install_zip(packed, sha256=sha256).name, "mine")

    def test_same_name(self):
        install_folder(self.source)
        self.assertRefused("already a model named 'mine'", install_zip, self.pack(), kind=InputError)
        (self.source / "docs" / "README.md").write_text("second")
        entry = install_zip(self.pack(), replace=True)
        self.assertEqual((entry.path / "docs" / "README.md").read_text(), "second")
        entry.path.rename(self.store / "other-folder")
        install_folder(self.source, replace=True)
        self.assertEqual([path.name for path in self.store.iterdir()], ["mine"])

    def test_what_is_not_a_model_is_not_replaced(self):
        (self.store / "mine").mkdir(parents=True)
        (self.store / "mine" / "thesis.txt").write_text("years of work")
        self.assertRefused("in the way", install_folder, self.source, replace=True)
        self.edit(self.source, name="trained")  # would take the folder of those trained here
        self.assertRefused("no name for a folder", install_folder, self.source)
        shutil.copytree(SHIPPED / "denoise-ct-multi", model_store.trained_folder() / "run")
        self.assertRefused("no name for a folder", install_folder, self.source, replace=True)

    def test_bad_bundles(self):
        for name in ("../escape", "/absolute", "a/b", "", "CON.", ".hidden", "nul", "Com1.net", "trained", "Trained"):
            self.edit(self.source, name=name)
            self.assertRefused("no name for a folder", install_folder, self.source, kind=BundleError)
        self.edit(self.source, name="mine")
        weights = self.source / "models" / "model.safetensors"
        content = weights.read_bytes()
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        self.assertRefused("SHA-256 differs", install_folder, self.source, kind=BundleError)
        self.assertRefused("SHA-256 differs", install_zip, self.pack(), kind=BundleError)
        weights.write_bytes(content)
        (self.source / "LICENSE").unlink()
        self.assertRefused(f"bundle {self.source} lacks LICENSE", install_folder, self.source, kind=BundleError)
        weights.rename(weights.with_name("model.pt"))
        self.assertRefused("format that can run foreign code", install_zip, self.pack(), kind=BundleError)
        self.assertRefused("There is no bundle", install_folder, self.folder / "nowhere", kind=BundleError)

    def test_hostile_and_damaged_zips(self):
        for name in ("../../evil.txt", "/etc/evil", "mine/../../evil", "C:\\evil", "mine\\..\\..\\evil"):
            self.assertRefused("outside of its folder", install_zip, self.pack(extra=((name, "x"),)), kind=InputError)
        self.assertEqual(list(self.folder.rglob("evil*")), [])
        twice = self.pack(extra=(("other/configs/metadata.json", "{}"),))
        self.assertRefused("no model, or several", install_zip, twice)
        self.assertRefused("no model, or several", install_zip, self.pack(leave_out=("configs/metadata.json",)))
        many = self.pack(extra=[(f"mine/docs/{count}.md", "") for count in range(model_store.MOST_FILES)])
        self.assertRefused("more than any model", install_zip, many)
        with mock.patch.object(model_store, "MOST_BYTES", 3 << 20):
            bomb = self.pack(extra=(("mine/docs/bomb.txt", b"\0" * (4 << 20)),))
            self.assertLess(bomb.stat().st_size, 3 << 20)
            self.assertRefused("larger when unpacked", install_zip, bomb)
        with mock.patch.object(model_store, "_MOST_TEXT_BYTES", 1 << 20):
            long = self.pack(extra=(("mine/docs/long.txt", b"\0" * (2 << 20)),))
            self.assertRefused("larger when unpacked", install_zip, long)
        packed = self.pack("lzma.zip", method=zipfile.ZIP_LZMA)
        content = bytearray(packed.read_bytes())
        start = content.index(b"configs/metadata.json") + 40
        content[start : start + 40] = bytes(40)
        packed.write_bytes(content)
        self.assertRefused("lzma.zip is damaged", install_zip, packed)
        deep = self.pack(leave_out=("configs/metadata.json",), extra=(("mine/configs/metadata.json", "[" * 200_000),))
        self.assertRefused("no readable 'medgan' section", install_zip, deep)
        content = self.pack().read_bytes()
        (self.folder / "cut.zip").write_bytes(content[: len(content) // 2])
        self.assertRefused("cut.zip is damaged", install_zip, self.folder / "cut.zip")
        middle = len(content) // 2
        (self.folder / "flip.zip").write_bytes(content[:middle] + bytes(400) + content[middle + 400 :])
        self.assertRefused("flip.zip is damaged", install_zip, self.folder / "flip.zip")
        self.assertRefused("no file", install_zip, self.folder / "absent.zip")

    @unittest.skipIf(os.name == "nt" or os.geteuid() == 0, "needs a folder that cannot be written to")
    def test_a_folder_that_cannot_be_written_to(self):
        self.store.mkdir()
        self.store.chmod(stat.S_IRUSR | stat.S_IXUSR)
        self.addCleanup(self.store.chmod, 0o755)
        self.assertRefused("cannot be written to", install_folder, self.source, kind=InputError)

    def test_what_a_crash_left_behind_goes(self):
        old, young = self.store / ".incoming-old", self.store / ".incoming-young"
        for path in (old, young):
            path.mkdir(parents=True)
        os.utime(old, (0, 0))
        install_folder(self.source)
        self.assertEqual(sorted(path.name for path in self.store.iterdir()), [".incoming-young", "mine"])


class Downloading(StoreTest):
    def setUp(self):
        super().setUp()
        import http.server
        import threading

        packed = self.pack().read_bytes()
        self.sha256 = hashlib.sha256(packed).hexdigest()

        class Model(Server):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(packed)))
                self.end_headers()
                self.wfile.write(packed)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
        self.url = f"http://127.0.0.1:{server.server_port}/model.zip"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def test_installed_if_it_is_the_one_that_was_meant(self):
        told = []
        entry = install_url(self.url, self.sha256, progress=lambda *step: told.append(step), schemes=("http",))
        self.assertEqual((entry.name, entry.bundle.sha256), ("mine", Bundle.load(self.source).sha256))
        self.assertEqual(told[-1][0], 1.0)
        self.assertEqual([path.name for path in self.store.iterdir()], ["mine"])

    def test_otherwise_nothing_is_unpacked(self):
        self.assertRefused("not the one that was meant", install_url, self.url, "1" * 64, schemes=("http",))
        self.assertRefused("was stopped", install_url, self.url, self.sha256, schemes=("http",), cancelled=lambda: True)
        self.assertRefused("begin with https", install_url, self.url, self.sha256)
        self.assertRefused("64 hexadecimal", install_url, self.url, "")


class CommandLine(StoreTest):
    def medgan(self, *arguments):
        """Exit code, standard output, standard error."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = main([str(argument) for argument in arguments])
        return code, output.getvalue(), errors.getvalue()

    def test_install_list_and_remove(self):
        code, output, errors = self.medgan("bundle", "install", self.source)
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(output, f"Installed: mine {Bundle.load(self.source).version} in {self.store / 'mine'}\n")
        self.assertEqual(self.medgan("bundle", "install", self.pack())[0], 2)
        self.assertEqual(self.medgan("bundle", "install", self.pack(), "--replace")[0], 0)
        rows = {row["name"]: row for row in json.loads(self.medgan("models", "--json")[1])}
        self.assertEqual((rows["mine"]["origin"], rows["denoise-ct-multi"]["origin"]), ("user", "shipped"))
        self.assertEqual(rows["mine"]["size"], f"{self.own()['mine'].bytes / 1e6:.1f} MB")
        (self.store / "mine" / "models" / "model.safetensors").unlink()
        line = next(line for line in self.medgan("models")[1].splitlines() if line.startswith("mine"))
        self.assertRegex(line, "DAMAGED: .*lacks its weights")
        self.assertNotIn("mine", self.medgan("models", "--task", "denoise-ct")[1])
        self.assertEqual(self.medgan("bundle", "remove", "mine")[:2], (0, "Removed: mine\n"))
        self.assertEqual(list(self.store.iterdir()), [])

    def test_refusals(self):
        cases = (
            (("remove", "nothing"), 3, "no model 'nothing'"),
            (("remove", "denoise-ct-multi"), 2, "not installed by you"),
            (("install", "https://example.org/model.zip"), 2, "needs --sha256"),
            (("install", "ftp://example.org/model.zip", "--sha256", "0" * 64), 2, "begin with https"),
            (("install", self.folder / "absent.zip"), 2, "no file"),
            (("install", self.pack(), "--sha256", "0" * 64), 2, "SHA-256 is"),
            (("install", self.source, "--sha256", "0" * 64), 2, "this is a folder"),
        )
        for arguments, expected, words in cases:
            code, output, errors = self.medgan("bundle", *arguments)
            self.assertEqual((code, output, errors.count("\n")), (expected, "", 1), errors)
            self.assertRegex(errors, words)

    def test_import(self):
        import torch

        class Half(torch.nn.Module):
            def forward(self, image):
                return image / 2

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.trace(Half(), torch.zeros(1, 1, 16, 16)).save(str(self.folder / "half.pt"))
        (self.folder / "half.json").write_text(EXAMPLE)
        made = self.folder / "half"
        code, output, errors = self.medgan("bundle", "import", self.folder / "half.pt", self.folder / "half.json", made)
        self.assertEqual((code, output, errors), (0, f"Written: {made}\n", ""))
        self.assertEqual(self.medgan("bundle", "install", made)[0], 0)
        self.assertEqual(resolve("my-denoiser").path, self.store / "my-denoiser")


if __name__ == "__main__":
    unittest.main()
