"""Super-resolution MR."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from . import fields
from .GeneratorEffect import GeneratorEffect


@dataclass(frozen=True)
class SuperResolutionMRParameters:
    """What can be set."""

    targetSpacingMm: tuple[float, float, float] | None = fields.targetSpacingMm()
    spread: str = fields.spread()
    spreadSamples: int = fields.spreadSamples()


class SuperResolutionMREffect(GeneratorEffect):
    """Makes the voxels of an MR finer."""

    key = "superres-mr"
    tasks = ("superres-mr",)
    order = 30
    Parameters = SuperResolutionMRParameters

    @property
    def title(self) -> str:
        return _("Super-resolution MR")

    @property
    def helpText(self) -> str:
        return _(
            "Makes the voxels of an MR finer, within the slices or between them. The result lies on a finer grid, so "
            "it always goes into a new volume; detail the scanner did not see is guessed."
        )

    @property
    def resultTitle(self) -> str:
        return _("super-resolved")
