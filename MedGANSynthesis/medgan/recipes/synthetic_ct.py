"""What the recipes from MR to CT share: the voxels they work on, the window of HU they paint and the body."""

from __future__ import annotations

from dataclasses import dataclass

from ..intensity import AIR_HU, FixedScale
from ..parameters import parameter
from ..target import Target
from .base import Recipe


@dataclass(frozen=True)
class SyntheticCT(Recipe):
    """A recipe whose result is a CT in HU; no task by itself."""

    working_spacing: float = parameter(
        2.0, label="Working spacing", minimum=0.0, maximum=10.0, unit="mm",
        help="Voxel size images are resampled to for the network, and back after it; 0 keeps their own.",
    )  # fmt: skip
    ct_low: float = parameter(
        AIR_HU, label="CT window, low", minimum=-2000.0, maximum=0.0, unit="HU", help="HU below are cut off."
    )
    ct_high: float = parameter(
        3071.0, label="CT window, high", minimum=100.0, maximum=20000.0, unit="HU",
        help="HU above are cut off; 1000 as published loses cortical bone.",
    )  # fmt: skip
    mask: bool = parameter(
        True, label="Body mask",
        help="Learn inside the body only; outside, the MR is set to its smallest value and the CT to air.",
    )  # fmt: skip

    def target(self) -> Target:
        """A CT in HU; the window is -1 .. 1 to the network."""
        middle, half = (self.ct_low + self.ct_high) / 2, (self.ct_high - self.ct_low) / 2
        return Target(
            modality="CT",
            units="HU",
            channels=1,
            scale=FixedScale(middle, half),
            outside=AIR_HU if self.mask else None,
            value_range=(self.ct_low, self.ct_high),
        )
