"""Contrast CT."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from . import fields
from .GeneratorEffect import GeneratorEffect


@dataclass(frozen=True)
class ContrastCTParameters:
    """What can be set."""

    strength: float = fields.strength()
    enhancementOnly: bool = fields.enhancementOnly(True)
    spread: str = fields.spread()
    spreadSamples: int = fields.spreadSamples()


class ContrastCTEffect(GeneratorEffect):
    """Gives a plain CT the look of one with contrast medium."""

    key = "contrast-ct"
    tasks = ("contrast-ct",)
    order = 20
    Parameters = ContrastCTParameters

    @property
    def title(self) -> str:
        return _("Contrast CT")

    @property
    def helpText(self) -> str:
        return _(
            "Gives a CT without contrast medium the look of one with it. The model guesses perfusion from anatomy: "
            "a thrombus or a bleeding need not show, so nothing may be diagnosed from the result alone."
        )

    @property
    def resultTitle(self) -> str:
        return _("contrast-enhanced")
