"""CNCL generator: content and noise predicted side by side, then fused.

Source: Geng et al., Content-Noise Complementary Learning for Medical Image Denoising, IEEE TMI 2022;41(2),
doi 10.1109/TMI.2021.3113365. Re-implemented from a description of the architecture; no original code or weights.
"""

from __future__ import annotations

import torch
from torch import nn

from .predictors import build_predictor, multiple


class CNCLGenerator(nn.Module):
    """Two independent predictors on the same noisy image and a 1x1 fusion of what they say about the clean one.

    The content branch predicts the clean image, the noise branch the noise; the noisy image minus the predicted
    noise is a second opinion on the clean image, and a 1x1 convolution fuses both.

    Args:
        context: neighbouring slices on each side that are given as extra input channels (2.5-D); 0 looks at one slice.
        width, depth: size of each branch, see :func:`~medgan.generators.predictors.build_predictor`; for the U-Net,
            channels of the first level and number of poolings.
        normalisation: "batch", "instance" or "none" (see :class:`~medgan.generators.unet.UNet`).
        upsampling: of the U-Net, "bilinear-corners" (published), "bilinear" or "nearest".
        residual: predict what is to be changed rather than the image, so that doing nothing is learnt at once.
        published_head: no activation between the last two convolutions of the U-Net, as in the source.
        predictor: network of the content branch: "unet" (published), "dncnn", "srdensenet" or "redcnn".
        predictor_noise: network of the noise branch; by default the same.

    Shape:
        input ``(batch, 2 * context + 1, rows, columns)`` with sizes divisible by ``2 ** depth`` for U-Nets;
        output ``(batch, 2, rows, columns)``: channel 0 the clean image, channel 1 the noise.
    """

    def __init__(
        self,
        context: int = 0,
        width: int = 64,
        depth: int = 4,
        normalisation: str = "batch",
        upsampling: str = "bilinear-corners",
        residual: bool = False,
        published_head: bool = True,
        predictor: str = "unet",
        predictor_noise: str | None = None,
    ):
        super().__init__()
        self.context = context
        self.residual = residual
        predictor_noise = predictor_noise or predictor
        step = max(multiple(predictor, depth), multiple(predictor_noise, depth))
        self.multiple = (1, step, step)

        def branch(name: str) -> nn.Module:
            return build_predictor(name, 2 * context + 1, 1, width, depth, normalisation, upsampling, published_head)

        self.content = branch(predictor)
        self.noise = branch(predictor_noise)
        self.fusion = nn.Conv2d(2, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        centre = image[:, self.context : self.context + 1]
        content, noise = self.content(image), self.noise(image)
        if self.residual:
            fused = centre + self.fusion(torch.cat([content, -noise], dim=1))
        else:
            fused = self.fusion(torch.cat([content, centre - noise], dim=1))
        return torch.cat([fused, noise], dim=1)

    def start_from_input(self) -> None:
        """Set the last convolutions so that an untrained residual generator returns the noisy image and no noise."""
        for branch in (self.content, self.noise):
            nn.init.zeros_(branch.head[-1].weight)
            nn.init.zeros_(branch.head[-1].bias)
        nn.init.constant_(self.fusion.weight, 0.5)
        nn.init.zeros_(self.fusion.bias)
