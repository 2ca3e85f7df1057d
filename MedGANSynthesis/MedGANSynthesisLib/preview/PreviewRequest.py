"""PreviewRequest: what is to be computed for one view."""

from __future__ import annotations

from dataclasses import dataclass

from medgan.tile_plan import Box

from .SliceRegion import holds, meet


@dataclass(frozen=True)
class PreviewRequest:
    """A box of the source and all that its voxels depend on.

    Attributes:
        region: the box of the source's grid.
        subject: source and model.
        settings: options, mask and device.
    """

    region: Box
    subject: tuple
    settings: tuple

    @property
    def effort(self) -> float:
        """The more layers, the more there is to compute: most networks work along the planes of the acquisition."""
        return self.region.shape[0]

    def covers(self, other: PreviewRequest) -> bool:
        """Whether the result of this request holds all that ``other`` asks for."""
        return self.meets(other) and self.settings == other.settings and holds(self.region, other.region)

    def meets(self, other: PreviewRequest) -> bool:
        """Whether the result of this request is still worth showing where ``other`` is wanted."""
        return self.subject == other.subject and meet(self.region, other.region)
