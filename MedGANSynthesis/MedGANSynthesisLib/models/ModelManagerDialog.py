"""ModelManagerDialog: the models on this computer; adding, checking and removing them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import qt
import slicer
from medgan import model_store
from medgan.errors import MedGANError
from slicer.i18n import tr as _

from ..dependencies import ensureEngineDependencies
from . import modelChanges
from .EngineCommand import EngineCommand
from .ModelCard import showModelCard
from .ModelTable import ModelTable, sizeText

_UI = Path(__file__).parents[2] / "Resources" / "UI" / "ModelManager.ui"
_manager: ModelManagerDialog | None = None


def openModelManager(parent=None) -> ModelManagerDialog:
    """Show the model manager, one window for all who ask, belonging to the window ``parent``."""
    global _manager
    if _manager is None or not _manager.window:  # closed, or gone with its parent
        _manager = ModelManagerDialog(parent)
    _manager.window.show()
    _manager.window.raise_()
    _manager.window.activateWindow()
    return _manager


class ModelManagerDialog:
    """The window. Everything slow runs in a process of its own, one at a time; errors are a line in the window.

    Args:
        parent: see ``openModelManager``.
        program: what starts ``medgan``, for tests.

    Attributes:
        window: the ``QDialog``. ui: its child widgets by name. busy: whether a command runs.
    """

    def __init__(self, parent=None, program: Sequence[str] | None = None):
        self._program = program
        self._command: EngineCommand | None = None
        self._folder = ""  # where an imported network becomes a model before it is installed
        self.window = qt.QDialog(parent if parent is not None else slicer.util.mainWindow())
        panel = slicer.util.loadUI(str(_UI))
        self.window.setWindowTitle(panel.windowTitle)
        self.window.setLayout(qt.QVBoxLayout())
        self.window.layout().addWidget(panel)
        self.window.resize(900, 640)
        self.ui = slicer.util.childWidgetVariables(panel)
        self.table = ModelTable(self.ui.modelTableWidget)
        self._connect()
        self.ui.outputTextEdit.visible = False
        self.refresh()
        modelChanges.addObserver(self._onModelsChanged)

    @property
    def busy(self) -> bool:
        return self._command is not None

    def refresh(self) -> None:
        """Look again at what is installed."""
        entries = model_store.installed()
        self.table.fill(entries)
        total = sum(entry.bytes for entry in entries)
        text = _("{count} models, {total} on disk, of which {removable} can be removed.")
        self.ui.diskUseLabel.text = text.format(
            count=len(entries), total=sizeText(total), removable=sizeText(model_store.disk_use(entries))
        )
        self.update()

    def update(self) -> None:
        """Bring the buttons in line with the selection, the consent and what runs."""
        entry, busy, ui = self.table.selected, self.busy, self.ui
        ui.showCardButton.enabled = entry is not None and entry.bundle is not None
        ui.verifyButton.enabled = not busy and entry is not None and entry.bundle is not None
        ui.removeButton.enabled = not busy and entry is not None and entry.removable
        for button in (ui.importFolderButton, ui.importZipButton, ui.importNetworkButton):
            button.enabled = not busy
        host = qt.QUrl(ui.urlLineEdit.text.strip()).host()
        consent = _("Download from {host}. The model comes with a license of its own, which I have read and accept.")
        ui.consentCheckBox.text = consent.format(host=host) if host else _("Enter the address of a model first.")
        ui.consentCheckBox.enabled = bool(host)
        ui.downloadButton.enabled = not busy and bool(host) and ui.consentCheckBox.checked
        ui.progressBar.visible = ui.cancelButton.visible = busy
        ui.detailLabel.text = "" if entry is None else entry.error or str(entry.path)

    def importFolder(self) -> None:
        """Add the model in a folder."""
        self._install(self.chooseFolder(_("Choose the folder of a model")))

    def importZip(self) -> None:
        """Add a packed model."""
        self._install(self.chooseFile(_("Choose a packed model"), _("Packed models (*.zip)")))

    def importNetwork(self) -> None:
        """Make a model of a network that somebody else trained, and of a file that describes it."""
        kinds = _("Networks (*.onnx *.ts *.pt *.pth)")
        network = self.chooseFile(_("Choose an ONNX or TorchScript network"), kinds)
        if not network:
            return
        title, kinds = _("Choose the manifest that describes the network"), _("Manifests (*.json)")
        manifest = self.chooseFile(title, kinds, str(Path(network).parent))
        if not manifest:
            return
        try:
            ensureEngineDependencies(onnx=network.lower().endswith(".onnx"))
        except MedGANError as error:
            self._show(str(error))
            return
        self._folder = tempfile.mkdtemp(dir=slicer.app.temporaryPath)
        made = str(Path(self._folder) / "model")
        self._start(["bundle", "import", network, manifest, made], lambda: self._install(made))

    def download(self) -> None:
        """Fetch a packed model, and keep it only if its SHA-256 is the one stated."""
        self._install(self.ui.urlLineEdit.text.strip(), ["--sha256", self.ui.sha256LineEdit.text.strip()])

    def verify(self) -> None:
        """Check the hash at once, then everything else, with the network, in a process."""
        from medgan.bundle import Bundle

        self.ui.outputTextEdit.clear()
        self.ui.outputTextEdit.visible = True
        try:
            bundle = Bundle.load(self.table.selected.path)  # the listed one remembers the hash it had
            if not bundle.manifest.is_identity:
                bundle.check_sha256()
                line = _("The SHA-256 of the weights is the one of the metadata: {sha256}")
                self._addLine(line.format(sha256=bundle.sha256))
                ensureEngineDependencies(bundle=bundle)
        except MedGANError as error:
            self._show(str(error))
            return
        message = _("'{title}' is intact.").format(title=bundle.title)
        self._start(["bundle", "verify", str(bundle.path)], lambda: self._show(message))

    def remove(self) -> None:
        """Delete a model, after asking."""
        entry = self.table.selected
        question = _("Delete the model '{name}' from {folder}? This cannot be undone.")
        question = question.format(name=entry.name, folder=entry.path)
        if not slicer.util.confirmOkCancelDisplay(question, _("Remove model"), parent=self.window):
            return
        try:
            model_store.remove(entry)
            self._show(_("'{name}' was removed.").format(name=entry.name))
        except MedGANError as error:
            self._show(str(error))
        modelChanges.notify()

    def showCard(self) -> None:
        """Show what the selected model is for."""
        showModelCard(self.table.selected.bundle, self.window)

    def openFolder(self) -> None:
        """Show the folder of the selected model, or the user's folder, in the file manager."""
        entry = self.table.selected
        folder = entry.path if entry is not None else model_store.user_folder()
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder))):
            self._show(_("The folder {folder} cannot be shown; open it in your file manager.").format(folder=folder))

    def chooseFolder(self, title: str) -> str:
        """A folder that the user chooses, '' for none."""
        return qt.QFileDialog.getExistingDirectory(self.window, title)

    def chooseFile(self, title: str, kinds: str, folder: str = "") -> str:
        """A file of some kinds that the user chooses, '' for none."""
        return qt.QFileDialog.getOpenFileName(self.window, title, folder, kinds)

    def cancel(self) -> None:
        """Stop what runs."""
        if self._command is not None:
            self._command.cancel()

    def _connect(self) -> None:
        ui = self.ui
        ui.modelTableWidget.connect("itemSelectionChanged()", self.update)
        ui.modelTableWidget.connect("cellDoubleClicked(int,int)", self._onDoubleClicked)
        ui.urlLineEdit.connect("textChanged(QString)", self._onUrlChanged)
        ui.consentCheckBox.connect("toggled(bool)", self.update)
        ui.buttonBox.connect("rejected()", self.window.reject)
        self.window.connect("finished(int)", self._onClosed)
        actions = {
            ui.showCardButton: self.showCard,
            ui.openFolderButton: self.openFolder,
            ui.verifyButton: self.verify,
            ui.removeButton: self.remove,
            ui.importFolderButton: self.importFolder,
            ui.importZipButton: self.importZip,
            ui.importNetworkButton: self.importNetwork,
            ui.downloadButton: self.download,
            ui.cancelButton: self.cancel,
        }
        for button, action in actions.items():
            button.connect("clicked()", action)

    def _install(self, source: str, options: Sequence[str] = ()) -> None:
        if source:
            replace = ["--replace"] if self.ui.replaceCheckBox.checked else []
            self._start(["bundle", "install", source, *options, *replace], self._onInstalled)

    def _start(self, arguments: list[str], onSuccess: Callable[[], None]) -> None:
        def done(error: str) -> None:
            if self._command is not command:
                return  # the window was closed meanwhile
            self._command = None
            if error:
                self._show(error)
                self._forgetFolder()
            else:
                onSuccess()
            if self._command is None:
                self.update()

        self._show("")
        self._lastLine = ""  # of its output
        self.ui.progressBar.setRange(0, 0)
        command = EngineCommand(self.window, arguments, self._addLine, self._onProgress, done, self._program)
        self._command = command
        self.update()

    def _onProgress(self, fraction: float, message: str) -> None:
        self.ui.progressBar.setRange(0, 100)
        self.ui.progressBar.value = round(100 * fraction)
        self._show(message)

    def _onInstalled(self) -> None:
        self._forgetFolder()
        modelChanges.notify()
        self.table.select(Path(self._lastLine.rpartition(" in ")[2]))
        self._show(_("The model was installed."))

    def _addLine(self, line: str) -> None:
        self._lastLine = line
        self.ui.outputTextEdit.appendPlainText(line)

    def _onModelsChanged(self) -> None:
        if self.window:
            self.refresh()
        else:  # gone with its parent
            modelChanges.removeObserver(self._onModelsChanged)

    def _show(self, text: str) -> None:
        self.ui.statusLabel.text = text

    def _onUrlChanged(self, text: str) -> None:
        self.ui.consentCheckBox.checked = False  # it was given for another address
        self.update()

    def _onDoubleClicked(self, row: int, column: int) -> None:
        if self.ui.showCardButton.enabled:
            self.showCard()

    def _forgetFolder(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def _onClosed(self, result: int) -> None:
        global _manager
        command, self._command = self._command, None
        if command is not None:
            command.end()
        self._forgetFolder()
        modelChanges.removeObserver(self._onModelsChanged)
        if _manager is self:
            _manager = None
        self.window.deleteLater()
