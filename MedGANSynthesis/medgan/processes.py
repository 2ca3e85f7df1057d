"""The processes of a training: one on its own, or those that ``torchrun`` started on one machine or several.

Gradients are averaged here rather than by DistributedDataParallel: two players that are frozen in turn, called several
times per step and differentiated twice (gradient penalties) break the assumptions of its hooks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recipes.base import Recipe


def leads() -> bool:
    """Whether this is the first process of those that ``torchrun`` started, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """How many train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def make_fabric(device: Any, precision: str = "auto") -> Any:
    """Lightning Fabric on a device, joined with the other processes if ``torchrun`` started several.

    Args:
        device: torch device; under ``torchrun`` only its type counts, each process has its own.
        precision: "auto", "32", "bf16" or "fp16".
    """
    from lightning_fabric import Fabric

    accelerator = {"cuda": "cuda", "mps": "mps"}.get(device.type, "cpu")
    formats = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    plugin = formats[precision] if precision in formats else native_precision(device)
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if world > 1:
        fabric = Fabric(
            accelerator=accelerator, devices=local, num_nodes=world // local, strategy="ddp", precision=plugin
        )
        fabric.launch()
        return fabric
    return Fabric(
        accelerator=accelerator, devices=[device.index or 0] if accelerator == "cuda" else 1, precision=plugin
    )


def average_gradients(fabric: Any, network: Any) -> None:
    """Replace every gradient of ``network`` by its mean over all processes; nothing to do for one."""
    if fabric.world_size == 1:
        return
    import torch
    from torch import distributed

    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= fabric.world_size
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def precision_for(recipe: Recipe, device: Any) -> str:
    """The recipe's precision, but "32" instead of "auto" where bfloat16 computes wrongly.

    oneDNN's bfloat16 weight gradient of a 3-D convolution is wrong (seen with torch 2.13 on a CPU) when its input has
    exactly two slices, which a network that halves slices meets at some level if the patch has 2, 4, 8, ... of them.
    """
    spec, slices = recipe.network_spec(), recipe.patch_shape()[0]
    halvings = [2**level for level in range(spec.multiple[0].bit_length()) if 2**level <= spec.multiple[0]]
    meets_two = spec.dimensions == 3 and any(slices == 2 * step for step in halvings)
    return "32" if recipe.precision == "auto" and device.type == "cpu" and meets_two else recipe.precision


def native_precision(device: Any) -> Any:
    """Mixed precision where the device computes it natively."""
    import torch

    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    # builds without oneDNN (macOS on Apple silicon) lack the operator
    if device.type == "cpu" and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "bf16-mixed"
    return "32-true"
