"""VerdictLine: whether the model suits the source volume, in one colored line, before anything is computed."""

from __future__ import annotations

import html

from slicer.i18n import tr as _

from .Box import Box
from .Later import Later

DELAY_MS = 100
_COLORS = {"good": "#2ca02c", "caution": "#e69f00", "unsuitable": "#d62728"}


class VerdictLine(Box):
    """Judges some time after the last change, so that scrolling through a list of large volumes stays fluent."""

    def __init__(self, panel):
        super().__init__(panel)
        self._key = None
        self._later = Later(DELAY_MS, self._judge)

    def update(self) -> None:
        panel = self.panel
        bundle, source = panel.bundle, panel.source
        image = source.GetImageData() if source is not None else None
        nodeKey = (source.GetID(), source.GetMTime(), image.GetMTime() if image is not None else 0) if source else None
        key = (nodeKey, panel.refusal, panel.effect.key if panel.effect else "", bundle.name if bundle else "")
        if key == self._key:
            return
        self._key = key
        self._later.cancel()
        if panel.refusal:
            self._show("unsuitable", [panel.refusal])
        elif panel.effect is None or source is None or bundle is None:
            self.ui.applicabilityLabel.text = ""
        else:
            self._later.request()

    def leave(self) -> None:
        self._later.cancel()
        self._key = None

    def cleanup(self) -> None:
        self._later.cleanup()

    @property
    def settled(self) -> bool:
        """Whether it shows the verdict on what is chosen now."""
        return not self._later.pending

    def _judge(self) -> None:
        panel = self.panel
        if panel.parameters is not None and panel.bundle is not None and panel.source is not None:
            verdict = panel.logic.verdict(panel.bundle, panel.source)
            self._show(verdict.level, verdict.reasons)

    def _show(self, level: str, reasons) -> None:
        words = {"good": _("Suitable"), "caution": _("Check"), "unsuitable": _("Unsuitable")}
        reason = " ".join(reasons) or _("The volume is like those the model was trained on.")
        bullet = f'<span style="color:{_COLORS[level]}">&#9679;</span>'
        self.ui.applicabilityLabel.text = f"{bullet} <b>{words[level]}:</b> {html.escape(reason, quote=False)}"
