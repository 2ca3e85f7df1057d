"""RegionMask: the part of a mask that lies in a box, with the same weights as the whole mask gives there."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from medgan.masking import blend, soft_weight
from medgan.tile_plan import Box

from ..masks import Mask


@dataclass(frozen=True, eq=False)
class RegionMask:
    """Takes the place of a ``Mask`` where only the voxels of ``region`` are at hand."""

    mask: Mask
    region: Box

    @property
    def description(self) -> str:
        return self.mask.description

    @functools.cached_property
    def weight(self) -> np.ndarray:
        """How much of the result each voxel of the region takes: float32 (k, j, i), 0 to 1."""
        mask, region = self.mask, self.region
        if mask.softEdgeMm == 0:
            return soft_weight(mask.array[region.slices], mask.geometry)
        # Within the band both distances that its place is computed from are smaller than its width.
        margin = np.ceil(mask.softEdgeMm / mask.geometry.spacing_mm[::-1]).astype(int) + 1
        start = np.maximum(np.array(region.start) - margin, 0)
        outer = Box(tuple(start.tolist()), tuple((np.array(region.stop) + margin).tolist())).clipped(mask.array.shape)
        weight = soft_weight(mask.array[outer.slices], mask.geometry, mask.softEdgeMm)
        return weight[region.relative_to(outer.start).slices]

    def blended(self, source: np.ndarray, result: np.ndarray) -> np.ndarray:
        """The result where it counts, the source elsewhere; both (k, j, i[, c]) of the region's shape."""
        return blend(source, result, self.weight)
