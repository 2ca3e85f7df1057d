"""Layers that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORMS = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


class ScalarNorm(nn.Module):
    """One mean and one deviation over all axes but the batch, one scale and one shift: what keras_contrib's
    ``InstanceNormalization`` does by default, ``scale * (x - mean) / (deviation + 1e-3) + shift``.
    """

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        # a million summands, and squares of them, are too much for half precision
        exact = features.to(torch.promote_types(features.dtype, torch.float32))
        variance, mean = torch.var_mean(exact, dim=list(range(1, exact.ndim)), correction=0, keepdim=True)
        deviation = (variance + 1e-10).sqrt()  # a constant image has no gradient of its deviation otherwise
        return (self.weight * (exact - mean) / (deviation + 1e-3) + self.bias).to(features.dtype)


def normalisation(kind: str, channels: int, dimensions: int = 2, affine: bool = False) -> nn.Module:
    """A normalisation layer: "none", "batch", "instance" (with learnt scale and shift if ``affine``) or "scalar"."""
    if kind == "none":
        return nn.Identity()
    if kind == "scalar":
        return ScalarNorm()
    if kind == "batch":
        return BATCH_NORMS[dimensions](channels)
    if kind == "instance":
        return INSTANCE_NORMS[dimensions](channels, affine=affine)
    raise ValueError(f"There is no normalisation '{kind}'.")


class PadSame(nn.Module):
    """Zero padding after which a convolution gives ``ceil(size / stride)`` outputs, as Keras and TensorFlow pad.

    What is odd is put on the far side: a kernel of 4 at stride 1 gets 1 before and 2 after.

    Args:
        kernel, stride: of the convolution that follows, one per axis.
    """

    def __init__(self, kernel: tuple[int, ...], stride: tuple[int, ...]):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, features: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(features.shape[2:], self.kernel, self.stride, strict=True):
            total = max(kernel - stride if size % stride == 0 else kernel - size % stride, 0)
            pads = [total // 2, total - total // 2, *pads]  # functional.pad wants the last axis first
        return functional.pad(features, pads) if any(pads) else features


def resize(features: Tensor, factor: tuple[int, ...], mode: str) -> Tensor:
    """Enlarge by whole factors per axis, the same at every position.

    Args:
        features: shape ``(batch, channels, *sizes)``.
        factor: one per axis, at least 1.
        mode: "nearest" or "linear" (voxel centres, not corners, coincide).
    """
    if all(step == 1 for step in factor):
        return features
    scale = tuple(float(step) for step in factor)
    if mode == "nearest":
        return functional.interpolate(features, scale_factor=scale, mode="nearest")
    linear = {2: "bilinear", 3: "trilinear"}[len(factor)]
    return functional.interpolate(features, scale_factor=scale, mode=linear, align_corners=False)
