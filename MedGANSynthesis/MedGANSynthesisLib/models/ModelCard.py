"""ModelCard: what a model is for, what it was trained on and how well it does, in a window of its own."""

from __future__ import annotations

import html

import qt
import slicer
from slicer.i18n import tr as _


def showModelCard(bundle, parent=None) -> ModelCard:
    """Open the card of a bundle; the window does not block what is behind it."""
    card = ModelCard(bundle, parent)
    card.window.show()
    return card


class ModelCard:
    """The card, the licence and the folder of one bundle. The window goes when it is closed.

    Args:
        bundle: the model. parent: the window it belongs to.

    Attributes:
        window: the ``QDialog``. cardBrowser, licenceBrowser: what they show.
    """

    def __init__(self, bundle, parent=None):
        self.window = qt.QDialog(parent if parent is not None else slicer.util.mainWindow())
        self.window.setWindowTitle(_("Model: {title}").format(title=bundle.title))
        self.window.resize(720, 640)
        layout = qt.QVBoxLayout(self.window)
        tabs = qt.QTabWidget()
        layout.addWidget(tabs)
        self.cardBrowser = self._addTab(tabs, _("Card"), _("What the model is for, and how it was measured."))
        self.cardBrowser.setMarkdown(_card(bundle))
        self.licenceBrowser = self._addTab(tabs, _("License"), _("Under which terms the model may be used."))
        self.licenceBrowser.setPlainText(_licence(bundle))
        folderLabel = qt.QLabel(_folderLink(bundle.path))
        folderLabel.setToolTip(_("Open the folder of the model in the file manager."))
        folderLabel.connect("linkActivated(QString)", self._openLink)
        layout.addWidget(folderLabel)
        buttonBox = qt.QDialogButtonBox()
        buttonBox.setStandardButtons(qt.QDialogButtonBox.Close)
        buttonBox.setToolTip(_("Close the card."))
        buttonBox.connect("rejected()", self.window.reject)
        layout.addWidget(buttonBox)
        self.window.connect("finished(int)", self._onClosed)

    def _addTab(self, tabs, title: str, toolTip: str):
        browser = qt.QTextBrowser(tabs)
        browser.setOpenLinks(False)  # they would replace the card
        browser.setToolTip(toolTip)
        browser.connect("anchorClicked(QUrl)", self._openUrl)
        tabs.addTab(browser, title)
        return browser

    def _openUrl(self, url) -> None:
        qt.QDesktopServices.openUrl(url)

    def _openLink(self, link: str) -> None:
        self._openUrl(qt.QUrl(link))

    def _onClosed(self, result: int) -> None:
        self.window.deleteLater()


def _card(bundle) -> str:
    """The text of ``docs/README.md``, or at least what the metadata says."""
    text = _read(bundle.path / "docs" / "README.md")
    if text:
        return text
    return _("# {title}\n\nThis model has no card. Its task is {task}.").format(title=bundle.title, task=bundle.task)


def _licence(bundle) -> str:
    name = bundle.licence or _("not stated")
    return _("License: {name}").format(name=name) + "\n\n" + _read(bundle.path / "LICENSE")


def _read(path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _folderLink(path) -> str:
    url = qt.QUrl.fromLocalFile(str(path)).toString()
    text = _('Folder: <a href="{url}">{path}</a>')
    return text.format(url=html.escape(url), path=html.escape(str(path)))
