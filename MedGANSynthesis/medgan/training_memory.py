"""How much memory a training step takes, found without computing: tensors on torch's meta device have no content."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .recipes.base import Recipe

BYTES_PER_WEIGHT = 4 + 8 + 4  # weights, both moments of Adam, the running average; gradients are counted as they appear
OVERHEAD = 1.7  # workspaces of convolutions and fragmentation, which no tensor shows


def step_bytes(recipe: Recipe, batch_size: int) -> int:
    """Peak bytes of a step with float32 activations: both players, their optimizers, and all that autograd keeps.

    Networks that only judge (feature losses) count with what they compute, not with their weights.

    Raises:
        Exception: whatever an objective raises that cannot do without values; there is no estimate then.
    """
    from .memory import live_tensors

    generator, discriminator = (player.to("meta") for player in recipe.build_players())
    objective = recipe.objective().to("meta")
    batch = _empty_batch(recipe, batch_size)
    weights = sum(weight.numel() for player in (generator, discriminator) for weight in player.parameters())
    with live_tensors() as live:
        output = objective.generate(generator, batch)
        judge = discriminator if recipe.weight_adversarial > 0 else None
        sum(objective.generator_terms(output, judge, batch)[0].values()).backward()
        if judge is not None:
            sum(objective.discriminator_terms(output, judge, batch)[0].values()).backward()
    return int(OVERHEAD * live.peak_bytes + BYTES_PER_WEIGHT * weights)


def forget_peak(device: Any) -> None:
    """What was taken before does not count in :func:`peak_bytes`; the CPU cannot forget."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: Any) -> int:
    """Most memory that this process has taken so far, of the GPU or for the CPU of the machine."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if kind == "mps":
        return torch.mps.driver_allocated_memory()
    try:
        import resource
    except ImportError:  # Windows
        from .devices import resident_bytes

        return resident_bytes()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _empty_batch(recipe: Recipe, batch_size: int) -> Any:
    """A batch without content, laid out as :class:`~medgan.sampling.PatchSampler` does."""
    import torch

    from .sampling import Batch

    spec, patch = recipe.network_spec(), recipe.patch_shape()
    sizes = patch[3 - spec.dimensions :]
    factors = spec.scale[3 - spec.dimensions :]
    enlarged = [size * factor for size, factor in zip(sizes, factors, strict=True)]
    channels = spec.in_channels * (2 * spec.context + 1)
    return Batch(
        torch.empty((batch_size, channels, *sizes), device="meta"),
        torch.empty((batch_size, _target_channels(recipe), *enlarged), device="meta"),
    )


def _target_channels(recipe: Recipe) -> int:
    """Channels of what is to be learnt: CT windows make several of one component."""
    voxel = np.zeros((recipe.network_spec().out_channels, 1, 1, 1), np.float32)
    scale = recipe.target().scale or recipe.source_scale()
    return len(scale.fit(np.zeros((1, 1, 1), np.float32)).forward(voxel))
