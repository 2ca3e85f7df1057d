"""Which side may import what: no torch in Slicer's process, no Slicer in the engine, nothing heavy at import."""

import ast
import os
import subprocess
import sys
import textwrap
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
LATE_MODULES = {"SimpleITK", "pydicom", "scipy", "skimage"}
OF_SLICER = {"AbstractScriptedSubjectHierarchyPlugin", "DICOMLib", "SubjectHierarchyPlugins"}  # for plugins
OURS = {"medgan", "MedGANSynthesis", "MedGANSynthesisLib", "MedGANTrainingLib"}
AT_IMPORT = sys.stdlib_module_names | SLICER_MODULES | OF_SLICER | OURS | {"numpy"}
ENGINE_IN_SLICER = [
    "medgan",
    "medgan.bundle",
    "medgan.client",
    "medgan.draft",
    "medgan.error_maps",
    "medgan.evaluation_results",
    "medgan.hand_over",
    "medgan.masking",
    "medgan.model_store",
    "medgan.plan_report",
    "medgan.protocol",
    "medgan.run_folder",
    "medgan.runs",
    "medgan.stain_reference",
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


# Stands in for slicer, qt and ctk in a bare interpreter, where only what *our* files import is of interest.
STUBS = """
import sys, types
class Anything:
    def __init__(self, *args, **kwargs): pass
class Stub(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return type(name, (Anything,), {})
for name in ("slicer", "qt", "ctk", "DICOMLib", "SubjectHierarchyPlugins", "AbstractScriptedSubjectHierarchyPlugin"):
    sys.modules[name] = Stub(name)
for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper", "util"):
    sys.modules["slicer." + name] = Stub(name)
"""

STUB_OF_VTK = """
vtk = sys.modules["vtk"] = Stub("vtk")
vtk.calldata_type = lambda kind: lambda function: function
"""


def importedBy(modules, prelude="import sys"):
    """The top-level packages a fresh interpreter of this kind has loaded after importing some modules."""
    code = f"{prelude}\nimport {', '.join(modules)}\nprint('LOADED', *sorted(sys.modules))"
    folders = [str(ROOT / name) for name in ("MedGANSynthesis", "MedGANTraining")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*folders, *filter(None, sys.path)])}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
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
        self.assertEqual(importedBy(ENGINE_IN_SLICER) & (HEAVY_MODULES | LATE_MODULES | SLICER_MODULES), set())

    def test_slicerSideLoadsNothingHeavy(self):
        parts = [path.relative_to(ROOT).with_suffix("").parts[1:] for path in SLICER_SIDE]
        modules = [".".join(names) for names in parts if "__init__" not in names]
        for name in ("MedGANSynthesis", "MedGANSynthesisLib.SynthesisLogic", "MedGANTrainingLib.TrainingPanel"):
            self.assertIn(name, modules)
        loaded = importedBy([*modules, *ENGINE_IN_SLICER], STUBS)
        self.assertIn("medgan", loaded)
        self.assertEqual(loaded & (HEAVY_MODULES | LATE_MODULES), set())

    def test_whatSlicersStartWaitsForIsLight(self):
        parts = ["sampleData", "startup", "subjectHierarchy", "MedGANDICOMPlugin", "preview.SyntheticMark"]
        modules = ["MedGANSynthesis", *(f"MedGANSynthesisLib.{part}" for part in parts)]
        loaded = importedBy(modules, STUBS + STUB_OF_VTK)
        self.assertIn("medgan", loaded)
        self.assertNotIn("numpy", loaded)
        self.assertNotIn("numpy", importedBy(["MedGANTraining"], STUBS + STUB_OF_VTK))

    def test_applyingBringsNoTorchIntoSlicer(self):
        """The process that asks for a result never loads torch; the one that computes does, if the model needs it."""
        code = """
            from pathlib import Path
            import numpy as np, sys, tempfile
            from medgan.bundle import Bundle
            from medgan.client import Client
            from medgan.volume import Volume
            with tempfile.TemporaryDirectory() as folder, Client() as client:
                bundle = Bundle.create_identity(Path(folder) / "identity")
                client.apply(Volume(np.ones((2, 3, 4), np.int16)), bundle).wait()
        """
        self.assertEqual(importedBy(["numpy"], textwrap.dedent(code)) & HEAVY_MODULES, set())
