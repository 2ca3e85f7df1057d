"""How far a network looks: the halo and scale behind ``tiling.Footprint``, found by experiment on the network itself.

NaN is contagious: convolutions (zero weights included, 0 * NaN = NaN), pooling, activations, sums and interpolation
pass it on exactly as far as their receptive field reaches, whatever the architecture. So one block of the input is set
to NaN, and the outputs that become NaN are those that depend on it. Everything runs in double precision on the CPU:
the fast convolution algorithms of single precision (Winograd) would spread NaN beyond the true receptive field.
"""

from __future__ import annotations

import copy
import math
from typing import Any

from .memory import one_thread
from .tile_plan import Footprint, Triple

LARGEST_EXTENT = 1024  # voxels probed along an axis; a halo that does not fit in counts as unbounded
# relative to the output's range; float64 rounding stays near 1e-15, true differences are many orders larger
TOLERANCE = 1e-9


def probe(module: Any, in_channels: int, multiple: Triple, scale: Triple = (1, 1, 1)) -> Footprint:
    """Footprint of a network (torch.nn.Module), which is neither changed nor moved.

    module       takes (1, in_channels, k, j, i), gives (1, C', k * scale, j * scale, i * scale). Wrap a network of
                 two dimensions in ``generators.slicewise.SliceBySlice``.
    multiple     sizes along (k, j, i) that the network takes are multiples of this.
    scale        output voxels per input voxel.

    The halo of an axis is a multiple of ``multiple``: what a block of outputs needs that starts and ends there. It is
    confirmed by computing random data whole and in two tiles, which have to agree; an axis where they do not (resizing
    with aligned corners, circular padding, coordinates as input), or that reaches farther than fits into
    ``LARGEST_EXTENT`` voxels, comes out as None. All axes None: ``halo`` is None.

    Raises whatever the module raises for an input of the smallest sizes it should take (wrong ``multiple``).
    """
    import torch

    with one_thread(), torch.no_grad():
        network = copy.deepcopy(module).cpu().double().eval()  # one after the other: MPS has no float64
        # layers that start at zero (residual branches) would hide from the comparison what training brings out
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
        prober = _Probe(network, in_channels, tuple(multiple), tuple(scale))
        halos = tuple(prober.halo(axis) for axis in range(3))
    return Footprint(None if halos == (None, None, None) else halos, tuple(multiple), tuple(scale))


class _Probe:
    """A network in double precision, tried on inputs that are long along one axis and as thin as possible otherwise."""

    def __init__(self, network: Any, in_channels: int, multiple: Triple, scale: Triple):
        import torch

        self.network, self.in_channels, self.multiple, self.scale = network, in_channels, multiple, scale
        self.generator = torch.Generator().manual_seed(0)
        self.extent = 0  # voxels that the axes before turned out to need: no use in trying less

    def halo(self, axis: int) -> int | None:
        """Voxels along one axis, None if unbounded."""
        multiple = self.multiple[axis]
        if multiple > LARGEST_EXTENT // 8:
            return None  # eight halvings see the whole image; to find that out would take minutes
        most = max(8, LARGEST_EXTENT // multiple)
        units = min(max(8, self.extent // multiple), most)
        self.times = self._thinnest(axis)
        while True:
            reach = self._reach(axis, units)
            if reach is not None:
                return reach * multiple if self._tiles_agree(axis, reach) else None
            if units >= most:
                return None
            units = min(units * 2, most)
            # axes of one step (slices) are cheap and short; only in-plane axes learn from one another
            self.extent = units * multiple if multiple > 1 else 0

    def _thinnest(self, axis: int) -> int:
        """How many times ``multiple`` the other axes must be for the network's border handling (reflection)."""
        for self.times in (1, 2, 4):
            try:
                self.network(self._noise(self._size(axis, 8)))
                return self.times
            except (RuntimeError, ValueError):  # "Padding size should be less than the input dimension"
                continue
        return 8

    def _reach(self, axis: int, units: int) -> int | None:
        """Blocks of ``multiple`` on each side that a block in the middle of ``units`` blocks influences.

        None if the influence reaches an end, and so may be cut off there.
        """
        size, multiple = self._size(axis, units), self.multiple[axis]
        block = self._noise(size)
        middle = units // 2
        block.narrow(2 + axis, middle * multiple, multiple).fill_(math.nan)
        output = self.network(block)
        expected = [extent * factor for extent, factor in zip(size, self.scale, strict=True)]
        if list(output.shape[2:]) != expected:
            raise ValueError(f"The network turns {list(size)} into {list(output.shape[2:])}, not {expected}.")
        others = [dim for dim in range(output.ndim) if dim != 2 + axis]
        reached = output.isnan().sum(dim=others).reshape(units, -1).sum(dim=1).nonzero().flatten().tolist()
        if not reached:
            return 0  # an output that does not depend on this input at all
        if reached[0] == 0 or reached[-1] == units - 1:
            return None
        return max(middle - reached[0], reached[-1] - middle, 0)

    def _tiles_agree(self, axis: int, reach: int) -> bool:
        """Whether two halves, each grown by the halo, give the same as the whole: borders and offsets included."""
        units = 2 * reach + 4
        whole_input = self._noise(self._size(axis, units))
        whole = self.network(whole_input)
        factor = self.multiple[axis] * self.scale[axis]
        tolerance = TOLERANCE * max(float(whole.max() - whole.min()), float(whole.abs().max()) * 1e-3)
        # cut off the middle: the two tiles then have different lengths, none of them that of the whole
        cut = reach + 1
        for start, stop in ((0, cut), (cut, units)):
            low, high = max(0, start - reach), min(units, stop + reach)
            tile_input = whole_input.narrow(2 + axis, low * self.multiple[axis], (high - low) * self.multiple[axis])
            tile = self.network(tile_input).narrow(2 + axis, (start - low) * factor, (stop - start) * factor)
            error = (tile - whole.narrow(2 + axis, start * factor, (stop - start) * factor)).abs().max()
            if not float(error) <= tolerance:
                return False
        return True

    def _noise(self, size: Triple) -> Any:
        import torch

        return torch.randn((1, self.in_channels, *size), dtype=torch.float64, generator=self.generator)

    def _size(self, axis: int, units: int) -> Triple:
        size = [step * self.times for step in self.multiple]
        size[axis] = units * self.multiple[axis]
        return tuple(size)
