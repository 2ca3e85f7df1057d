"""The stand-in itself: its runner, module life cycle and messages. Not for a real Slicer, which has its own."""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from medgan_host.native_qt import missing_library_message

HOST = Path(__file__).resolve().parents[1] / "Host"

MODULE = """
import slicer
from slicer.ScriptedLoadableModule import *
from slicer.i18n import tr as _

log = []

class Probe(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Probe")
        parent.categories = ["Tests"]
        log.append("module")
        slicer.app.connect("startupCompleted()", lambda: log.append("startup"))

class ProbeWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = ProbeLogic()
        log.append("setup")
    def enter(self):
        log.append("enter")
    def exit(self):
        log.append("exit")
    def cleanup(self):
        print("cleanup", self.parent.isEntered, flush=True)

class ProbeLogic(ScriptedLoadableModuleLogic):
    pass
"""


class RunnerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_script(self, code, *options, before=(), name="script.py", environment=None):
        path = self.folder / name
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        command = [sys.executable, str(HOST / "run.py"), "--no-modules", *before, str(path), *options]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=os.environ | (environment or {})
        )

    def test_exit_codes(self):
        cases = {
            "raise ValueError('x')": 1,
            "import sys; sys.exit(5)": 5,
            "import slicer; slicer.util.exit(3)": 3,
            "import qt; b = qt.QPushButton(); b.connect('clicked()', lambda: 1 / 0); b.click()": 1,
        }
        for code, expected in cases.items():
            with self.subTest(code=code):
                self.assertEqual(self.run_script(code).returncode, expected)

    def test_arguments(self):
        done = self.run_script("import sys; print(sys.argv[1:])", "a", "--b")
        self.assertIn("['a', '--b']", done.stdout)

    def test_unittest_files(self):
        test = """
            import unittest
            import qt
            class T(unittest.TestCase):
                def test(self):
                    {}
        """
        slot = "t = qt.QPushButton(); t.connect('clicked()', lambda: 1 / 0); t.click()"
        for number, (body, expected) in enumerate((("pass", 0), ("self.fail()", 1), (slot, 1))):
            with self.subTest(body=body):
                done = self.run_script(test.format(body), before=["--test"], name=f"test_probe{number}.py")
                self.assertIn("Ran 1 test", done.stderr)
                self.assertEqual(done.returncode, expected)

    def test_module_life_cycle(self):
        (self.folder / "Probe.py").write_text(MODULE, encoding="utf-8")
        done = self.run_script(f"""
            import medgan_host, slicer
            module = medgan_host.load_module({str(self.folder / "Probe.py")!r})
            import Probe
            assert Probe.log == ["module", "startup"], Probe.log
            assert slicer.util.getModule("Probe") is module and slicer.modules.probe is module
            assert (module.title, module.categories) == ("Probe", ("Tests",))
            slicer.util.selectModule("Probe")
            assert Probe.log[2:] == ["setup", "enter"], Probe.log
            widget = slicer.util.getModuleWidget("Probe")
            assert widget is slicer.modules.ProbeWidget
            logic = slicer.util.getModuleLogic("Probe")
            node = logic.getParameterNode()
            assert node is logic.getParameterNode() and node.GetAttribute("ModuleName") == "Probe"
            slicer.util.reloadScriptedModule("Probe")
            import Probe as again
            assert again is not Probe and again.log == ["setup"], again.log
            assert slicer.modules.ProbeWidget is not widget
            assert slicer.modules.probe.widgetRepresentation().self() is slicer.modules.ProbeWidget
            for call in (lambda: slicer.util.getModule("probe"), lambda: slicer.util.getModule("Nosuch")):
                try:
                    call()
                except RuntimeError as error:
                    assert "Could not find module with name" in str(error)
                else:
                    raise AssertionError("found")
            print("end of script", flush=True)
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line for line in done.stdout.splitlines() if line.startswith(("cleanup", "end"))]
        self.assertEqual(lines, ["cleanup True", "end of script", "cleanup False"])

    def test_no_torch_and_nothing_silent(self):
        done = self.run_script("""
            import sys, slicer, qt, ctk
            assert "torch" not in sys.modules
            for thing, name in ((qt, "QVariant"), (qt, "QTest"), (ctk, "ctkNosuch"), (slicer.modules, "nosuch"),
                                (slicer.app, "nosuch"), (slicer.app.layoutManager(), "threeDWidget"),
                                (slicer, "dicomDatabase"), (qt.QFormLayout(), "setRowVisible"),
                                (qt.QLabel(), "setAccessibleIdentifier")):
                assert not hasattr(thing, name), name
        """)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_plugin_file_without_its_class(self):
        (self.folder / "EmptySubjectHierarchyPlugin.py").write_text("x = 1", encoding="utf-8")
        done = self.run_script(f"""
            import slicer
            plugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
            assert plugin.setPythonSource({str(self.folder / "EmptySubjectHierarchyPlugin.py")!r}) is False
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("class EmptySubjectHierarchyPlugin was not found in", done.stderr)

    def test_text_is_drawn_on_a_machine_without_fonts(self):
        (self.folder / "fonts.conf").write_text("<fontconfig><dir>/nosuch</dir></fontconfig>", encoding="utf-8")
        code = """
            import qt
            button = qt.QPushButton("W")
            button.resize(80, 40)
            before = button.grab().toImage()
            button.text = "i"
            assert before != button.grab().toImage()
        """
        done = self.run_script(code, environment={"FONTCONFIG_FILE": str(self.folder / "fonts.conf")})
        self.assertEqual(done.returncode, 0, done.stderr)


class MessageTest(unittest.TestCase):
    def test_missing_library_is_named_with_its_package(self):
        error = ImportError("libEGL.so.1: cannot open shared object file: No such file or directory")
        message = missing_library_message(error)
        self.assertIn("libEGL", message)
        self.assertIn("apt-get install -y libegl1", message)
        self.assertEqual(len(message.splitlines()), 1)

    def test_missing_binding(self):
        self.assertIn(
            "pip install PySide6-Essentials", missing_library_message(ImportError("No module named 'PySide6'"))
        )
