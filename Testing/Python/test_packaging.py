"""What CMake installs is what lies in the tree: a file that is not listed works here and fails once installed."""

import re
import unittest
from pathlib import Path

MODULES = ("MedGANSynthesis", "MedGANTraining")
ROOT = Path(__file__).resolve().parents[2]


def listed(module, name):
    """The entries of a CMake list of a module."""
    text = (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")
    text = re.sub(r"#.*", "", text)
    entries = re.search(rf"set\({name}\s([^)]*)\)", text)[1].split()
    return [entry.replace("${MODULE_NAME}", module) for entry in entries]


def present(module):
    """All files of a module but what CMake itself reads and what Python leaves behind."""
    folder = ROOT / module
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    nested = {path.parent.relative_to(folder) for path in folder.glob("*/CMakeLists.txt")}  # command line modules
    return {
        path.as_posix()
        for path in files
        if path.name != "CMakeLists.txt" and "__pycache__" not in path.parts and not nested & set(path.parents)
    }


@unittest.skipUnless((ROOT / "MedGANSynthesis" / "CMakeLists.txt").is_file(), "needs the source tree")
class PackagingTest(unittest.TestCase):
    def test_listsAndTreeAgree(self):
        for module in MODULES:
            scripts, resources = listed(module, "MODULE_PYTHON_SCRIPTS"), listed(module, "MODULE_PYTHON_RESOURCES")
            files = present(module)
            python = {path for path in files if path.endswith(".py")}
            for kind, entries, expected in (("SCRIPTS", scripts, python), ("RESOURCES", resources, files - python)):
                self.assertEqual(sorted(expected - set(entries)), [], f"{module}: not in MODULE_PYTHON_{kind}")
                self.assertEqual(sorted(set(entries) - expected), [], f"{module}: in MODULE_PYTHON_{kind}, not on disk")
                self.assertEqual(len(entries), len(set(entries)), f"{module}: twice in MODULE_PYTHON_{kind}")

    def test_noFileOfOneModuleReplacesOneOfAnother(self):
        """All scripted modules of an extension are installed into one folder."""
        files = [path for module in MODULES for path in present(module)]
        self.assertEqual(sorted({path for path in files if files.count(path) > 1}), [])

    def test_onlyModulesLieAtTheTop(self):
        """Slicer takes every .py file directly in a module folder for a module, unless it begins with #!."""
        for module in MODULES:
            tops = {path.name for path in (ROOT / module).glob("*.py") if not path.read_text("utf-8").startswith("#!")}
            self.assertEqual(tops, {f"{module}.py"})

    def test_everyModuleIsBuilt(self):
        top = ROOT / "CMakeLists.txt"
        if not top.is_file():
            self.skipTest("no top-level CMakeLists.txt")
        built = re.findall(r"add_subdirectory\((\w+)\)", top.read_text(encoding="utf-8"))
        modules = {path.parent.name for path in ROOT.glob("MedGAN*/CMakeLists.txt")}
        self.assertEqual(modules - set(built), set())
        self.assertEqual(modules, set(MODULES))

    def test_testsOfTheSlicerSideAreThereAndNeedNoPytest(self):
        text = re.sub(r"#.*", "", (ROOT / "Testing" / "CMakeLists.txt").read_text(encoding="utf-8"))
        names = re.findall(r"^ +(test_\w+)$", text, re.MULTILINE)
        self.assertGreater(len(names), 20)
        for name in names:
            source = (ROOT / "Testing" / "Python" / f"{name}.py").read_text(encoding="utf-8")
            self.assertNotRegex(source, r"(?m)^(import|from) (pytest|torch|hypothesis)\b", name)

    def test_documentationIsOnTheHomepage(self):
        homepage = re.search(r'set\(EXTENSION_HOMEPAGE "([^"]+)"\)', (ROOT / "CMakeLists.txt").read_text("utf-8"))[1]
        for module in MODULES:
            self.assertIn(f'"{homepage}#', (ROOT / module / f"{module}.py").read_text("utf-8"))

    def test_iconAndPanelAreThere(self):
        for module in MODULES:
            resources = ROOT / module / "Resources"
            header = (resources / "Icons" / f"{module}.png").read_bytes()[:24]
            self.assertEqual((header[:8], header[16:24]), (b"\x89PNG\r\n\x1a\n", (128).to_bytes(4) * 2))
            self.assertTrue((resources / "UI" / f"{module}.ui").is_file())
