"""A source as a network is shown it, with everything that is found out from the whole of it."""

from __future__ import annotations

import numpy as np

from .intensity import Scale, without_padding
from .network import NetworkSpec
from .target import Target
from .tile_plan import Box
from .volume import Volume


def as_shown(volume: Volume) -> Volume:
    """The volume as networks see it: the padding of a CT (values that no scanner measures) is air.

    The same object where there is no padding.
    """
    array = without_padding(volume.array) if volume.units == "HU" else volume.array
    return volume if array is volume.array else volume.with_array(array)


class FittedSource:
    """A volume on the grid of a network, the intensity scale fitted to it, and where the body is in it.

    All of it depends on the whole volume, so it is made once, however many regions are then computed.

    Args:
        source: physical volume.
        spec: how the network is fed. scale: of the source. target: what the result is.
    """

    def __init__(self, source: Volume, spec: NetworkSpec, scale: Scale, target: Target):
        self.source, self.grid = source, spec.working_grid
        shown = as_shown(source)
        self.padded = shown is not source
        self.work = self.grid.enter(shown)
        self.on_own_grid = self.work is shown
        self.fitted = scale.fit(self.work.array)
        self.body = self._body() if spec.body_only or target.outside is not None else None
        self.work_body = self.grid.enter_mask(self.body, source) if spec.body_only else None
        self.lowest = self.work.array.min() if spec.body_only else None
        self.tile_voxels: int | None = None

    def shown(self, box: Box) -> np.ndarray:
        """What the network is to see of a box of ``work``, in physical units."""
        block = self.work.array[box.slices]
        return block if self.work_body is None else np.where(self.work_body[box.slices], block, self.lowest)

    def same_limit(self, tile_voxels: int | None) -> int | None:
        """The largest tile, no larger than it was before: where tiles are blended, their size shows in the result."""
        limits = [limit for limit in (tile_voxels, self.tile_voxels) if limit is not None]
        self.tile_voxels = min(limits, default=None)
        return self.tile_voxels

    def _body(self) -> np.ndarray:
        from .body_mask import body_mask

        return body_mask(self.source)
