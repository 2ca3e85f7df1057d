"""The model manager as a user works with it: real window, real folders, real processes, a server on this computer."""

import hashlib
import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import qt
import slicer
from medgan.bundle import Bundle
from medgan.cli.bundle import EXAMPLE
from MedGANSynthesisLib.models import ModelManagerDialog as module
from MedGANSynthesisLib.models import modelChanges
from MedGANSynthesisLib.models.ModelCard import showModelCard
from MedGANSynthesisLib.models.ModelManagerDialog import ModelManagerDialog, openModelManager
from MedGANSynthesisLib.QProcessTransport import interpreterPath
from slicer_fixtures import processEventsUntil

SHIPPED = Path(__file__).resolve().parents[2] / "MedGANSynthesis" / "Resources" / "Models"
TORCH = importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors")
# medgan itself takes https only; a server with a certificate is more than a test can have.
OVER_HTTP = """\
import functools, sys
from medgan import model_store
from medgan.cli import main
model_store.install_url = functools.partial(model_store.install_url, schemes=("http",))
sys.exit(main())
"""
# Not in Slicer's own process, which never imports torch.
HALF = """\
import sys, torch

class Half(torch.nn.Module):
    def forward(self, image):
        return image / 2

torch.jit.trace(Half(), torch.zeros(1, 1, 16, 16)).save(sys.argv[1])
"""
CONTROLS = [
    *("modelTableWidget", "detailLabel", "diskUseLabel", "showCardButton", "openFolderButton", "verifyButton"),
    *("removeButton", "addGroupBox", "importFolderButton", "importZipButton", "importNetworkButton", "replaceCheckBox"),
    *("urlLineEdit", "sha256LineEdit", "consentCheckBox", "downloadButton", "statusLabel", "progressBar"),
    *("cancelButton", "outputTextEdit", "buttonBox"),
]


class ModelManagerCase(unittest.TestCase):
    """A folder of models of its own, and a user who answers what ``self.agrees`` says."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.store = self.folder / "store"
        self.agrees, self.questions, self.changes = True, [], []
        for patch in (
            mock.patch.dict(os.environ, {"MEDGAN_MODELS": str(self.store), "HOME": temporary.name}),
            mock.patch.object(slicer.util, "confirmOkCancelDisplay", self.answer),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        modelChanges.addObserver(self.note)
        self.addCleanup(modelChanges.removeObserver, self.note)

    def note(self):
        self.changes.append(1)

    def answer(self, question, *arguments, **options):
        self.questions.append(question)
        return self.agrees

    def open(self, program=None):
        manager = ModelManagerDialog(None, program)
        manager.window.show()
        self.addCleanup(manager.window.reject)
        return manager

    def identity(self, name="identity", version="1.0"):
        path = Bundle.create_identity(self.folder / "elsewhere" / name, name=name, title=name).path
        file = path / "configs" / "metadata.json"
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "version": version}), "utf-8")
        return path

    def rows(self, manager):
        table = manager.ui.modelTableWidget
        texts = [
            [table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)
        ]
        return {row[0]: row[1:] for row in texts}

    def select(self, manager, name):
        names = list(self.rows(manager))
        manager.ui.modelTableWidget.selectRow(names.index(name))

    def wait(self, manager):
        self.assertTrue(processEventsUntil(lambda: not manager.busy))

    def importFolder(self, manager, path):
        manager.chooseFolder = lambda title: str(path)
        manager.ui.importFolderButton.click()
        self.wait(manager)

    def assertOneLine(self, manager, words):
        self.assertRegex(manager.ui.statusLabel.text, words)
        self.assertNotIn("\n", manager.ui.statusLabel.text)

    def assertStoreHolds(self, *names):
        self.assertEqual(sorted(path.name for path in self.store.glob("*")), sorted(names))


class ModelManagerTest(ModelManagerCase):
    def test_everyControlExplainsItself(self):
        ui = self.open().ui
        for name in CONTROLS:
            self.assertGreater(len(getattr(ui, name).toolTip), 15, name)

    def test_listsWhatIsInstalledAndWhatIsDamaged(self):
        Bundle.create_identity(self.store / "mine", title="Mine")
        Bundle.create_identity(self.store / "trained" / "made", title="Made")
        shutil.copytree(SHIPPED / "denoise-ct-multi", self.store / "broken")
        (self.store / "broken" / "models" / "model.safetensors").unlink()
        manager = self.open()
        rows = self.rows(manager)
        shipped = Bundle.load(SHIPPED / "denoise-ct-multi")
        task, version, origin, size, licence, gain = rows[shipped.title]
        self.assertEqual((task, version, origin, licence), ("Denoise CT", shipped.version, "Shipped", shipped.licence))
        self.assertRegex(size, r"^\d+\.\d MB$")
        self.assertIn("dB PSNR", gain)
        self.assertEqual((rows["Mine"][2], rows["Made"][2]), ("Your folder", "Trained here"))
        self.assertRegex(rows["broken"][5], "^Damaged: .*lacks its weights")
        self.assertRegex(manager.ui.diskUseLabel.text, rf"^{len(rows)} models, \d+\.\d MB on disk, of which \d+\.\d MB")

    def test_buttonsFollowTheSelection(self):
        Bundle.create_identity(self.store / "mine", title="Mine")
        (self.store / "broken" / "configs").mkdir(parents=True)
        (self.store / "broken" / "configs" / "metadata.json").write_text("{")
        manager = self.open()
        ui = manager.ui

        def enabled():
            return ui.showCardButton.enabled, ui.verifyButton.enabled, ui.removeButton.enabled

        self.assertEqual(enabled(), (False, False, False))
        self.select(manager, "Mine")
        self.assertEqual(enabled(), (True, True, True))
        self.assertEqual(ui.detailLabel.text, str(self.store / "mine"))
        self.select(manager, Bundle.load(SHIPPED / "denoise-ct-multi").title)
        self.assertEqual(enabled(), (True, True, False))
        self.select(manager, "broken")
        self.assertEqual(enabled(), (False, False, True))
        self.assertIn("no readable", ui.detailLabel.text)

    def test_importFolder(self):
        manager = self.open()
        self.importFolder(manager, "")
        self.assertStoreHolds()
        self.importFolder(manager, self.identity())
        self.assertOneLine(manager, "was installed")
        self.assertStoreHolds("identity")
        self.assertEqual((manager.table.selected.name, len(self.changes)), ("identity", 1))
        self.importFolder(manager, self.identity(version="2.0"))
        self.assertOneLine(manager, "already a model named 'identity'")
        self.assertEqual((self.rows(manager)["identity"][1], len(self.changes)), ("1.0", 1))
        manager.ui.replaceCheckBox.checked = True
        self.importFolder(manager, self.identity(version="2.0"))
        self.assertEqual(self.rows(manager)["identity"][1], "2.0")

    def test_importOfWhatIsNoModel(self):
        manager = self.open()
        self.importFolder(manager, self.folder)
        self.assertOneLine(manager, "is no bundle")
        self.assertEqual(self.changes, [])
        (self.folder / "text.zip").write_text("no zip")
        manager.chooseFile = lambda title, kinds, folder="": str(self.folder / "text.zip")
        manager.ui.importZipButton.click()
        self.wait(manager)
        self.assertOneLine(manager, r"text\.zip is damaged")
        self.assertStoreHolds()

    def test_importZip(self):
        packed = shutil.make_archive(str(self.folder / "packed"), "zip", self.identity())
        manager = self.open()
        manager.chooseFile = lambda title, kinds, folder="": packed
        manager.ui.importZipButton.click()
        self.wait(manager)
        self.assertOneLine(manager, "was installed")
        self.assertIn("identity", self.rows(manager))

    def test_remove(self):
        Bundle.create_identity(self.store / "mine", title="Mine")
        manager = self.open()
        self.select(manager, "Mine")
        self.agrees = False
        manager.ui.removeButton.click()
        self.assertStoreHolds("mine")
        self.assertIn(str(self.store / "mine"), self.questions[0])
        self.agrees = True
        manager.ui.removeButton.click()
        self.assertStoreHolds()
        self.assertNotIn("Mine", self.rows(manager))
        self.assertEqual(len(self.changes), 1)

    def test_verify(self):
        Bundle.create_identity(self.store / "mine", title="Mine")
        manager = self.open()
        self.select(manager, "Mine")
        manager.ui.verifyButton.click()
        self.assertFalse(manager.ui.verifyButton.enabled)  # the window is alive meanwhile
        self.wait(manager)
        self.assertOneLine(manager, "'Mine' is intact")
        self.assertIn("all files are there", manager.ui.outputTextEdit.plainText)

    def test_alteredWeightsAreSeenAtOnce(self):
        shutil.copytree(SHIPPED / "denoise-ct-multi", self.store / "altered")
        manager = self.open()
        manager.table.select(self.store / "altered")
        weights = self.store / "altered" / "models" / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        manager.ui.verifyButton.click()
        self.assertFalse(manager.busy)
        self.assertOneLine(manager, "SHA-256 differs")

    @unittest.skipUnless(TORCH, "needs PyTorch")
    def test_selfTestRunsInAProcess(self):
        manager = self.open()
        manager.table.select(SHIPPED / "stain-he-cmu1")
        manager.ui.verifyButton.click()
        self.assertIn(manager.table.selected.bundle.sha256, manager.ui.outputTextEdit.plainText)
        self.wait(manager)
        self.assertOneLine(manager, "is intact")
        self.assertIn("the self-test gives the stored output", manager.ui.outputTextEdit.plainText)

    @unittest.skipUnless(TORCH, "needs PyTorch")
    def test_importNetwork(self):
        subprocess.run([interpreterPath(), "-c", HALF, str(self.folder / "half.pt")], check=True)
        (self.folder / "half.json").write_text(EXAMPLE)
        manager = self.open()
        chosen = [str(self.folder / "half.pt"), ""]
        manager.chooseFile = lambda title, kinds, folder="": chosen.pop(0)
        manager.ui.importNetworkButton.click()
        self.assertFalse(manager.busy)
        chosen += [str(self.folder / "half.pt"), str(self.folder / "half.json")]
        manager.ui.importNetworkButton.click()
        self.wait(manager)
        self.assertOneLine(manager, "was installed")
        self.assertEqual(manager.table.selected.name, "my-denoiser")
        self.assertEqual(list(Path(slicer.app.temporaryPath).glob("tmp*/model")), [])

    def test_importOfABadNetworkIsOneLine(self):
        (self.folder / "net.pt").write_text("no network")
        (self.folder / "net.json").write_text(EXAMPLE)
        chosen = [str(self.folder / "net.pt"), str(self.folder / "net.json")]
        manager = self.open()
        manager.chooseFile = lambda title, kinds, folder="": chosen.pop(0)
        manager.ui.importNetworkButton.click()
        self.wait(manager)
        self.assertOneLine(manager, r"net\.pt is no TorchScript|PyTorch is not installed")
        self.assertStoreHolds()

    def test_oneWindowForAllWhoAsk(self):
        parent = qt.QWidget()
        first = openModelManager(parent)
        self.assertIs(openModelManager(parent), first)
        self.importFolder(first, self.identity())
        self.assertEqual(self.changes, [1])
        first.window.reject()
        second = openModelManager(parent)
        self.assertIsNot(second, first)
        parent.delete()
        third = openModelManager()
        self.assertIsNot(third, second)
        third.window.reject()
        self.assertIsNone(module._manager)

    def test_whatAnotherModuleInstallsIsListedAtOnce(self):
        manager = self.open()
        Bundle.create_identity(self.store / "trained" / "new", title="New")
        modelChanges.notify()
        self.assertIn("New", self.rows(manager))

    def test_anInterpreterThatCannotBeStartedIsOneLine(self):
        manager = self.open([str(self.folder / "no-such-program")])
        self.importFolder(manager, self.identity())
        self.assertOneLine(manager, "cannot be started")

    def test_card(self):
        bundle = Bundle.load(SHIPPED / "denoise-ct-multi")
        manager = self.open()
        manager.table.select(bundle.path)
        manager.ui.showCardButton.click()
        (card,) = [window for window in manager.window.findChildren("QDialog") if bundle.title in window.windowTitle]
        self.addCleanup(card.close)
        browsers = card.findChildren("QTextBrowser")
        texts = [browser.plainText for browser in browsers]
        self.assertTrue(any("Not for diagnosis" in text and "##" not in text for text in texts))
        self.assertTrue(any(bundle.licence in text for text in texts))

    def test_cardOfAModelWithoutOne(self):
        bundle = Bundle.load(self.identity())
        shutil.rmtree(bundle.path / "docs")
        (bundle.path / "LICENSE").unlink()
        card = showModelCard(bundle)
        self.addCleanup(card.window.close)
        self.assertIn("has no card", card.cardBrowser.plainText)


class DownloadTest(ModelManagerCase):
    def setUp(self):
        super().setUp()
        packed = Path(shutil.make_archive(str(self.folder / "packed"), "zip", self.identity())).read_bytes()
        self.sha256 = hashlib.sha256(packed).hexdigest()
        self.stalled, self.goOn = threading.Event(), threading.Event()
        case = self

        class Model(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path not in ("/model.zip", "/slow.zip"):
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(packed)))
                self.end_headers()
                if self.path == "/slow.zip":
                    case.stalled.set()
                    case.goOn.wait(30)
                self.wfile.write(packed)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
        self.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for tidyUp in (server.server_close, server.shutdown, self.goOn.set):
            self.addCleanup(tidyUp)
        (self.folder / "over_http.py").write_text(OVER_HTTP)
        self.manager = self.open([interpreterPath(), str(self.folder / "over_http.py")])
        self.ui = self.manager.ui

    def enter(self, path, sha256=None):
        self.ui.urlLineEdit.text = f"{self.address}/{path}"
        self.ui.sha256LineEdit.text = self.sha256 if sha256 is None else sha256
        self.ui.consentCheckBox.checked = True

    def test_nothingIsFetchedWithoutConsentToThisHost(self):
        self.assertFalse(self.ui.consentCheckBox.enabled)
        self.ui.urlLineEdit.text = "https://models.example.org/a.zip"
        self.assertIn("models.example.org", self.ui.consentCheckBox.text)
        self.assertIn("license of its own", self.ui.consentCheckBox.text)
        self.assertFalse(self.ui.downloadButton.enabled)
        self.ui.consentCheckBox.checked = True
        self.assertTrue(self.ui.downloadButton.enabled)
        self.ui.urlLineEdit.text = "https://other.example.org/a.zip"
        self.assertFalse(self.ui.consentCheckBox.checked or self.ui.downloadButton.enabled)

    def test_download(self):
        self.enter("model.zip")
        self.ui.downloadButton.click()
        self.assertFalse(self.ui.downloadButton.enabled)
        self.wait(self.manager)
        self.assertOneLine(self.manager, "was installed")
        self.assertStoreHolds("identity")
        self.assertEqual((self.manager.table.selected.name, self.changes), ("identity", [1]))
        self.assertEqual(self.ui.progressBar.value, 100)

    def test_refusals(self):
        cases = (
            (("model.zip", "0" * 64), "is not the one that was meant"),
            (("model.zip", "abc"), "64 hexadecimal digits"),
            (("nothing.zip",), "There is no file"),
        )
        for entered, words in cases:
            self.enter(*entered)
            self.ui.downloadButton.click()
            self.wait(self.manager)
            self.assertOneLine(self.manager, words)
            self.assertStoreHolds()
        self.assertEqual(self.changes, [])

    def startSlow(self):
        self.enter("slow.zip")
        self.ui.downloadButton.click()
        self.assertTrue(processEventsUntil(self.stalled.is_set))
        self.assertTrue(self.ui.cancelButton.visible)

    @unittest.skipIf(os.name == "nt", "Windows cannot interrupt a process, what it leaves goes with a later download")
    def test_cancel(self):
        self.startSlow()
        self.ui.cancelButton.click()
        self.wait(self.manager)
        self.assertOneLine(self.manager, "Cancelled")
        self.assertStoreHolds()
        self.assertFalse(self.ui.cancelButton.visible)

    @unittest.skipIf(os.name == "nt", "Windows cannot interrupt a process, what it leaves goes with a later download")
    def test_closedInTheMiddle(self):
        self.startSlow()
        self.manager.window.reject()
        self.assertFalse(self.manager.busy)
        self.assertStoreHolds()
        slicer.app.processEvents()
        self.assertEqual(self.changes, [])


if __name__ == "__main__":
    unittest.main()
