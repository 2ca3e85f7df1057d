"""Denoise CT."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from . import fields
from .GeneratorEffect import GeneratorEffect


@dataclass(frozen=True)
class DenoiseCTParameters:
    """What can be set."""

    strength: float = fields.strength()
    secondOutput: bool = fields.secondOutput()
    spread: str = fields.spread()
    spreadSamples: int = fields.spreadSamples()


class DenoiseCTEffect(GeneratorEffect):
    """Takes the noise out of a low-dose CT."""

    key = "denoise-ct"
    tasks = ("denoise-ct",)
    order = 10
    Parameters = DenoiseCTParameters

    @property
    def title(self) -> str:
        return _("Denoise CT")

    @property
    def helpText(self) -> str:
        return _(
            "Takes the noise out of a CT that was acquired with little dose. Faint structures can go with the noise: "
            "look at what was removed before you rely on the result."
        )

    @property
    def resultTitle(self) -> str:
        return _("denoised")
