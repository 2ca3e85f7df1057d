"""Stain transfer."""

from __future__ import annotations

from dataclasses import dataclass

from slicer import vtkMRMLVectorVolumeNode
from slicer.i18n import tr as _

from . import fields
from .GeneratorEffect import GeneratorEffect


@dataclass(frozen=True)
class StainTransferParameters:
    """What can be set."""

    strength: float = fields.strength()
    referenceNode: vtkMRMLVectorVolumeNode | None = fields.referenceNode()  # noqa: RUF009 - a dataclass field
    spread: str = fields.spread()
    spreadSamples: int = fields.spreadSamples()


class StainTransferEffect(GeneratorEffect):
    """Gives a stained slide the colors of another laboratory."""

    key = "stain"
    tasks = ("stain",)
    order = 50
    channels = (1, 3)
    Parameters = StainTransferParameters

    @property
    def title(self) -> str:
        return _("Stain transfer")

    @property
    def helpText(self) -> str:
        return _(
            "Gives a stained tissue slide the colors of another laboratory or scanner, so that slides can be compared. "
            "Only the staining is meant to change; glass stays as it is."
        )

    @property
    def resultTitle(self) -> str:
        return _("stain-normalized")
