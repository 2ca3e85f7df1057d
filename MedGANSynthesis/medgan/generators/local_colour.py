"""Color as a locally varying affine map of the source: the map is coarse, so fine structure is the source's own.

The idea of HDRnet (Gharbi et al., ACM Trans Graph 2017;36(4), doi 10.1145/3072959.3073592), but no bilateral grid: a
network looks at a smaller picture and gives, for every pixel, the coefficients of an affine map from the pixel's own
channels to the result. It sees far at little cost, and cannot blur or invent texture finer than its grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..losses import initialise
from .layers import resize
from .residual_unet import ResidualUNet

LARGEST = 2.0


class LocalColour(nn.Module):
    """``result = base(source) + matrix(neighbourhood) @ source + shift(neighbourhood)``, both within +-2.

    Args:
        in_channels, out_channels: channels of source and result.
        width, depth: of the residual U-Net that gives the coefficients.
        step: pixels of the source per pixel that this network looks at.
        slope: of ``base`` at the start, from every source channel to the result's; ``matrix`` and ``shift`` start at 0.

    Shape:
        ``(batch, in_channels, rows, columns)`` to ``(batch, out_channels, rows, columns)``, sizes multiples of
        ``step * 2 ** depth``. The same at every position.
    """

    def __init__(
        self, in_channels: int, out_channels: int, width: int = 24, depth: int = 3, step: int = 2, slope: float = 1.0
    ):
        super().__init__()
        self.step, self.slope = step, slope
        count = out_channels * (in_channels + 1)
        self.coefficients = ResidualUNet(2, in_channels, count, width, depth, zero_head=True)
        self.base = nn.Conv2d(in_channels, out_channels, 1)
        initialise(self, None)

    def start(self) -> None:
        """Begin with the base alone: each channel from its own, or all from a grey."""
        inputs, outputs = self.base.in_channels, self.base.out_channels
        start = torch.eye(outputs) if inputs == outputs else torch.full((outputs, inputs), 1.0 / inputs)
        with torch.no_grad():
            self.base.weight.copy_(self.slope * start[:, :, None, None])
        nn.init.zeros_(self.base.bias)

    def forward(self, image: Tensor) -> Tensor:
        coefficients = self.coefficients(functional.avg_pool2d(image, self.step))
        coefficients = LARGEST * (coefficients / LARGEST).tanh()  # what is unlike all training data stays in bounds
        coefficients = resize(coefficients, (self.step, self.step), "linear")
        outputs, inputs = self.base.out_channels, self.base.in_channels
        matrix, shift = coefficients.split((outputs * inputs, outputs), dim=1)
        change = (matrix.unflatten(1, (outputs, inputs)) * image.unsqueeze(1)).sum(dim=2)
        return self.base(image) + change + shift
