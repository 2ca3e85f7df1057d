"""What is missing is found out without importing torch, explained in one sentence, and repaired if the user agrees."""

import importlib.machinery
import importlib.util
import shutil
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import slicer
from medgan.errors import MedGANError
from MedGANSynthesisLib import dependencies
from MedGANSynthesisLib.TorchInstallation import TorchInstallation, TorchState

FILES = {
    "torch/__init__.py": "import torch._C\n",
    "torch/version.py": "__version__ = '2.5.1'\n",
    "torch/_C.cpython-312-x86_64-linux-gnu.so": "core",
    "torch/lib/libtorch_cpu.so": "kernels",
    "torch/nn/__init__.py": "",
}


def writeTorch(folder, version="2.5.1", files=None):
    """A wheel of torch unpacked as pip does it, with next to nothing in its files."""
    files = FILES if files is None else files
    description = Path(folder) / f"torch-{version}.dist-info"
    description.mkdir()
    (description / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    record = [f"torch-{version}.dist-info/METADATA,,", f"torch-{version}.dist-info/RECORD,,"]
    for name, content in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        record.append(f"{name},sha256=abc,{path.stat().st_size}")
    (description / "RECORD").write_text("\n".join(record) + "\n")
    return description


class Installer:
    """What the PyTorch extension does, with a folder in the place of pip's; it keeps the order of the calls."""

    def __init__(self, folder, version="2.5.1", pipRemoves=True):
        self.folder, self.version, self.pipRemoves, self.calls = Path(folder), version, pipRemoves, []

    def uninstallTorch(self):
        self.calls.append("uninstall")
        if not self.pipRemoves:
            raise RuntimeError("no RECORD file was found for torch")
        for path in list(self.folder.iterdir()):
            shutil.rmtree(path)

    def installTorch(self, askConfirmation=False, torchVersionRequirement=None):
        self.calls.append(("install", askConfirmation, torchVersionRequirement))
        if self.version:
            writeTorch(self.folder, self.version)


class DependenciesTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def find(self):
        found = TorchInstallation.find(self.folder)
        self.assertNotIn("\n", found.problem)
        return found

    def assertFound(self, state, words):
        found = self.find()
        self.assertEqual(found.state, state, found.problem)
        self.assertRegex(found.problem, words)

    def test_complete(self):
        for version in ("2.4.0", "2.5.1+cu124", "2.13.0", "3.0.0a0"):
            with self.subTest(version):
                description = writeTorch(self.folder, version)
                self.assertFound(TorchState.Usable, "^$")
                shutil.rmtree(description)

    def test_missing(self):
        self.assertFound(TorchState.Missing, "not installed")

    def test_tooOld(self):
        writeTorch(self.folder, "2.3.1")
        self.assertFound(TorchState.Outdated, r"2\.3\.1 is too old \(MedGAN needs >=2\.4\)")

    def test_emptyFolderWithoutDescription(self):
        (self.folder / "torch" / "lib").mkdir(parents=True)
        self.assertFound(TorchState.Damaged, "only in part: a folder without its description")
        spec = importlib.machinery.PathFinder.find_spec("torch", [str(self.folder)])
        self.assertIsNone(spec.origin)  # which Python would import without complaint

    def test_missingFiles(self):
        for name in ("torch/__init__.py", "torch/version.py", "torch/lib/libtorch_cpu.so", list(FILES)[2]):
            with self.subTest(name):
                description = writeTorch(self.folder)
                (self.folder / name).unlink()
                self.assertFound(TorchState.Damaged, f"{name.replace('.', '.')} is missing")
                shutil.rmtree(description)

    def test_fileCutShort(self):
        writeTorch(self.folder)
        (self.folder / "torch/lib/libtorch_cpu.so").write_text("ker")
        self.assertFound(TorchState.Damaged, r"libtorch_cpu\.so is cut short")

    def test_listOfFilesMissingOrIncomplete(self):
        description = writeTorch(self.folder)
        (description / "RECORD").write_text("torch/__init__.py,,\n")
        self.assertFound(TorchState.Damaged, "list of its files is not complete")
        (description / "RECORD").unlink()
        self.assertFound(TorchState.Damaged, "list of its files is missing")
        (description / "METADATA").unlink()
        self.assertFound(TorchState.Damaged, "description is missing")

    def test_twoVersionsInOneFolder(self):
        writeTorch(self.folder, "2.5.1")
        writeTorch(self.folder, "2.6.0")
        self.assertFound(TorchState.Damaged, "Two versions")

    def test_torchIsNeverImported(self):
        self.assertEqual(TorchInstallation.find().state == TorchState.Missing, not dependencies.torchInstalled())
        if importlib.util.find_spec("torch") and "torch" not in sys.modules:
            TorchInstallation.find()
            self.assertNotIn("torch", sys.modules)

    def test_aFolderOfTheUserNamedTorchIsNotOurs(self):
        (self.folder / "torch").mkdir()
        before = TorchInstallation.find()
        with mock.patch.object(sys, "path", [str(self.folder), *sys.path]):
            found = TorchInstallation.find()
        self.assertEqual(found, before)
        self.assertNotIn(self.folder / "torch", found.remains())

    def test_onlyOnnxNetworksNeedOnnxruntime(self):
        def names(onnx):
            return [requirement.name for requirement in dependencies.requirements(dependencies.REQUIREMENTS, onnx)]

        self.assertEqual(names(False), ["safetensors"])
        self.assertEqual(names(True), ["safetensors", "onnxruntime"])

    def test_nothingIsInstalledInTestingMode(self):
        with mock.patch.object(dependencies, "ensurePackages", side_effect=AssertionError):
            dependencies.ensureEngineDependencies("no-such-file")

    def test_lookedUpWithoutAQuestion(self):
        find = TorchInstallation.find
        with (
            mock.patch.object(slicer, "app", types.SimpleNamespace(testingEnabled=lambda: False)),
            mock.patch.object(TorchInstallation, "find", lambda: find(self.folder)),
            mock.patch.object(dependencies, "_torchSeen", False),
            mock.patch.object(slicer.packaging, "pip_check", return_value=True) as check,
            mock.patch.object(slicer.packaging, "pip_ensure", side_effect=AssertionError),
        ):
            self.assertFalse(dependencies.engineDependenciesInstalled())
            writeTorch(self.folder)
            self.assertTrue(dependencies.engineDependenciesInstalled())
            check.return_value = False
            self.assertFalse(dependencies.engineDependenciesInstalled())

    def test_declinedPackagesAreOneSentence(self):
        declines = mock.patch.object(slicer.packaging, "pip_ensure", side_effect=RuntimeError("User\ndeclined"))
        with declines, self.assertRaisesRegex(MedGANError, "were not installed: User declined"):
            dependencies.ensurePackages(["safetensors>=0.4"])


class RepairTest(unittest.TestCase):
    """With the PyTorch extension's place taken by ``Installer``, and a user who answers."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.installer, self.questions, self.agrees = Installer(self.folder), [], True
        extension = types.SimpleNamespace(PyTorchUtilsLogic=lambda: self.installer)
        find = TorchInstallation.find
        modules = {name: module for name, module in sys.modules.items() if name != "torch"}
        for patch in (
            mock.patch.dict(sys.modules, {**modules, "PyTorchUtils": extension}, clear=True),
            mock.patch.object(TorchInstallation, "find", lambda: find(self.folder)),
            mock.patch.object(slicer.util, "confirmOkCancelDisplay", self.answer),
            mock.patch.object(dependencies, "_torchSeen", False),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def answer(self, question, *arguments, **options):
        self.questions.append(question)
        return self.agrees

    def assertRefused(self, words):
        with self.assertRaisesRegex(MedGANError, words) as caught:
            dependencies.ensureTorch()
        self.assertNotIn("\n", str(caught.exception))

    def test_missingIsInstalledAfterTheExtensionAsked(self):
        dependencies.ensureTorch()
        self.assertEqual((self.installer.calls, self.questions), ([("install", True, ">=2.4")], []))
        dependencies.ensureTorch()
        self.assertEqual(len(self.installer.calls), 1)

    def test_declined(self):
        self.installer.version = ""
        self.assertRefused("not installed: it was declined")

    def test_outdatedIsReplacedWithoutRemovingItFirst(self):
        description = writeTorch(self.folder, "2.1.0")
        present = []

        def install(**options):  # pip takes the old one away once it has the new one
            present.append(description.is_dir())
            shutil.rmtree(description)
            writeTorch(self.folder)

        self.installer.installTorch = install
        dependencies.ensureTorch()
        self.assertEqual((present, self.installer.calls), ([True], []))
        (question,) = self.questions
        self.assertIn("2.1.0 is too old", question)

    def test_damagedIsRemovedAndInstalledAgain(self):
        for pipRemoves in (True, False):
            with self.subTest(pipRemoves=pipRemoves):
                self.installer = Installer(self.folder, pipRemoves=pipRemoves)
                description = writeTorch(self.folder, "2.4.0")
                (description / "RECORD").unlink()
                (self.folder / "torch" / "left.py").write_text("")
                dependencies.repairTorch(TorchInstallation.find())
                self.assertEqual(self.installer.calls, ["uninstall", ("install", False, ">=2.4")])
                self.assertIn("only in part", self.questions[-1])
                self.assertFalse((self.folder / "torch" / "left.py").exists())
                self.assertEqual(TorchInstallation.find().state, TorchState.Usable)
                for path in self.folder.iterdir():
                    shutil.rmtree(path)

    def test_nothingIsTouchedIfTheUserDeclines(self):
        self.agrees = False
        description = writeTorch(self.folder)
        (description / "RECORD").unlink()
        self.assertRefused("only in part .*press 'Uninstall PyTorch' and then 'Install PyTorch'")
        self.assertEqual(self.installer.calls, [])
        self.assertTrue((self.folder / "torch" / "__init__.py").is_file())

    def test_loadedElsewhereNeedsARestart(self):
        (self.folder / "torch").mkdir()
        with mock.patch.dict(sys.modules, {"torch": types.ModuleType("torch")}):
            self.assertRefused("restart Slicer")
        self.assertEqual((self.installer.calls, self.questions), ([], []))

    def test_stillDamagedAfterwards(self):
        (self.folder / "torch").mkdir()
        self.installer.installTorch = lambda **options: (self.folder / "torch").mkdir()
        self.assertRefused("still; restart Slicer")

    def test_withoutTheExtension(self):
        (self.folder / "torch").mkdir()
        with mock.patch.dict(sys.modules, {"PyTorchUtils": None}):
            self.assertRefused("only in part.*install the extension 'PyTorch' in the Extensions Manager")


if __name__ == "__main__":
    unittest.main()
