"""Which side may import what: no torch in Slicer's process, no Slicer in the engine, nothing heavy at import."""

import ast
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "MedGANSynthesis" / "medgan"
SLICER_SIDE = [
    path
    for folder in ("MedGANSynthesis", "MedGANTraining")
    for path in (ROOT / folder).rglob("*.py")
    if ENGINE not in path.parents
]
SLICER_MODULES = {"slicer", "vtk", "qt", "ctk"}
HEAVY_MODULES = {"torch", "monai", "torchvision", "lightning"}
AT_IMPORT = sys.stdlib_module_names | SLICER_MODULES | {"numpy", "medgan", "MedGANSynthesisLib", "MedGANSynthesis"}
ENGINE_IN_SLICER = [
    "medgan",
    "medgan.bundle",
    "medgan.client",
    "medgan.masking",
    "medgan.protocol",
    "medgan.synthesizer",
    "medgan.volume",
]


def imports(path, moduleLevelOnly=False):
    """The top-level names of the packages a file imports; relative imports are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    names = set()
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if moduleLevelOnly and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if moduleLevelOnly and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
        pending.extend(ast.iter_child_nodes(node))
    return names


def importedBy(modules):
    """What a fresh interpreter of this kind has loaded after importing some modules."""
    code = f"import sys, {', '.join(modules)}; print('LOADED', *sorted(sys.modules))"
    path = os.pathsep.join([str(ENGINE.parent), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    python = [sys.executable, "-c", code]
    run = subprocess.run(python, env=environment, capture_output=True, text=True, timeout=120, check=False)
    line = next((line for line in run.stdout.splitlines() if line.startswith("LOADED ")), None)
    assert line is not None, run.stderr
    return {name.split(".")[0] for name in line.split()[1:]}


@unittest.skipUnless(ENGINE.is_dir(), "needs the source tree")
class ImportRulesTest(unittest.TestCase):
    def test_engineImportsNoSlicer(self):
        files = list(ENGINE.rglob("*.py"))
        self.assertGreater(len(files), 10)
        for path in files:
            self.assertEqual(imports(path) & SLICER_MODULES, set(), path)

    def test_slicerSideImportsNoTorch(self):
        self.assertGreater(len(SLICER_SIDE), 5)
        for path in SLICER_SIDE:
            self.assertEqual(imports(path) & HEAVY_MODULES, set(), path)

    def test_nothingHeavyAtModuleLevelOnTheSlicerSide(self):
        for path in SLICER_SIDE:
            self.assertEqual(imports(path, moduleLevelOnly=True) - AT_IMPORT, set(), path)

    def test_engineFilesThatSlicerImportsAreLight(self):
        loaded = importedBy(ENGINE_IN_SLICER)
        self.assertEqual(loaded & (HEAVY_MODULES | SLICER_MODULES | {"SimpleITK", "pydicom", "scipy", "skimage"}), set())

    def test_everythingLoadedIntoSlicerIsFreeOfTorch(self):
        """Follows the real imports of module and library through every file they reach."""
        try:
            import slicer

            import qt  # noqa: F401
        except ImportError:
            self.skipTest("needs Slicer or its stand-in")
        import MedGANSynthesis  # noqa: F401
        import MedGANSynthesisLib.SynthesisLogic  # noqa: F401

        self.assertTrue(hasattr(slicer, "mrmlScene"))
        reached = reachableFrom([path for path in SLICER_SIDE if path.parent.name != "MedGANTraining"])
        for path in reached:
            self.assertEqual(imports(path, moduleLevelOnly=True) & HEAVY_MODULES, set(), path)


def reachableFrom(files):
    """All files of the project that importing these files imports in turn, at module level."""
    reached, pending = set(), list(files)
    while pending:
        path = pending.pop()
        if path in reached:
            continue
        reached.add(path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                base = path.parents[node.level - 1] if node.level else ENGINE.parent
                base = base.joinpath(*(node.module or "").split("."))
                candidates = [base, *(base / alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                candidates = [ENGINE.parent.joinpath(*alias.name.split(".")) for alias in node.names]
            else:
                continue
            for candidate in candidates:
                pending += [file for file in (candidate.with_suffix(".py"), candidate / "__init__.py") if file.is_file()]
    return reached
