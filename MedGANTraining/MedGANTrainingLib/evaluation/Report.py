"""The report of an evaluation, shown by the browser."""

from __future__ import annotations

from pathlib import Path

import qt
from medgan.errors import InputError
from slicer.i18n import tr as _


def openReport(path: str | Path) -> None:
    """Open an HTML report. Raises InputError: it is gone, or there is no browser."""
    path = Path(path)
    if not path.is_file():
        raise InputError(_("The report {path} is not there any more; evaluate again.").format(path=path))
    if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path))):
        message = _("The report cannot be shown; open {path} in a browser.")
        raise InputError(message.format(path=path))
