"""MR to CT."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from . import fields
from .GeneratorEffect import GeneratorEffect


@dataclass(frozen=True)
class MRToCTParameters:
    """What can be set."""

    orientations: str = fields.orientations()
    spread: str = fields.spread()
    spreadSamples: int = fields.spreadSamples()


class MRToCTEffect(GeneratorEffect):
    """Makes a CT of an MR; with models trained on pairs, and with models trained without."""

    key = "mr-to-ct"
    tasks = ("mr-to-ct", "mr-to-ct-unpaired")
    order = 40
    Parameters = MRToCTParameters

    @property
    def title(self) -> str:
        return _("MR to CT")

    @property
    def helpText(self) -> str:
        return _(
            "Makes a synthetic CT in Hounsfield units of an MR. Models trained on registered pairs of the same "
            "patients are more exact; models trained without pairs need less preparation. Bone and air can be "
            "mistaken for each other."
        )

    @property
    def resultTitle(self) -> str:
        return _("synthetic CT")
