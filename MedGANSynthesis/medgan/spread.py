"""Spread: how much a result varies, voxel by voxel, when what should not matter is changed.

The standard deviation over variants of the result, in its unit. Each goes through everything that the result goes
through (scaling, blending with the source, mask), and none changes the image, which is the plain result:

* ``flips``: the network applied to the mirrored image and mirrored back, along i, j and both, and for 3-D networks
  along k too; the plain result is one of them. Source: test-time augmentation (Wang et al., Neurocomputing
  2019;338:34, doi 10.1016/j.neucom.2019.01.103).
* ``dropout``: passes with the network's dropout layers active, each a sample of the networks it has learnt. Source: Gal
  & Ghahramani, Dropout as a Bayesian approximation, ICML 2016.
* ``ensemble``: this generator and others of the same task.

It tells where generators are unsure, not how wrong they are: what all variants invent alike has no spread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import chain, combinations
from typing import Any

import numpy as np

from .errors import InputError
from .generation import Generation, Predict, Progress, Take, Where
from .network import IdentityNetwork, NetworkSpec, TorchNetwork

Pass = Callable[[Take, Progress | None], None]
"""Computes one variant of a whole result."""


class Moments:
    """Mean and variance of results that come one after the other, part by part.

    Source: Welford, Technometrics 1962;4(3):419; no result has to be kept.

    Args:
        shape: of a result, ``(k, j, i[, c])``.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.count = 0
        self.mean = np.zeros(shape, np.float32)
        self.squares = np.zeros(shape, np.float32)  # of the differences from the mean, summed

    def add(self, where: Where, values: np.ndarray) -> None:
        """A part of the result that is counted as number ``count``."""
        values = values.astype(np.float32, copy=False)  # more digits than the mean has could give less than nothing
        difference = values - self.mean[where]
        self.mean[where] += difference / np.float32(self.count)
        self.squares[where] += difference * (values - self.mean[where])

    def deviation(self) -> np.ndarray:
        """Standard deviation ``(k, j, i)`` over the results; of colors the root mean square over the components."""
        variance = self.squares / np.float32(self.count)
        return np.sqrt(variance if variance.ndim == 3 else variance.mean(axis=3))


def measure(
    passes: list[Pass], shape: tuple[int, ...], take: Take, skip_first: bool, progress: Progress | None
) -> Moments:
    """Compute the plain result, which is the first pass, and its variants; returns the moments of them.

    Args:
        shape: of a result. take: gets the plain one.
        skip_first: the plain result is none of the variants.
        progress: called with the fraction of the whole work.
    """
    moments = Moments(shape)

    def take_first(where: Where, values: np.ndarray) -> None:
        take(where, values)
        if not skip_first:
            moments.add(where, values)

    for number, compute in enumerate(passes):
        moments.count = number + (not skip_first)
        compute(moments.add if number else take_first, _share(progress, number, len(passes)))
    return moments


def flips(generation: Generation) -> list[Pass]:
    """A pass for every combination of mirrored axes but none."""
    spec = generation.network.spec
    axes = (2, 1) if spec.dimensions == 2 else (2, 1, 0)
    several = chain.from_iterable(combinations(axes, count) for count in range(1, len(axes) + 1))
    return [_with_predict(generation, flipped(generation.network.predict, chosen, spec)) for chosen in several]


def flipped(predict: Predict, axes: tuple[int, ...], spec: NetworkSpec) -> Predict:
    """``predict`` of a mirrored block, mirrored back; ``axes`` count k, j, i."""
    channels_first = tuple(1 + axis for axis in axes)

    def predict_flipped(block: np.ndarray) -> np.ndarray:
        mirrored = np.flip(block, channels_first).copy()  # a view of one voxel would be no array for torch
        if spec.coordinates:  # a mirrored body still lies in the volume from its one end to the other
            mirrored[[axis - 3 for axis in axes]] *= -1
        return np.flip(predict(mirrored), channels_first)

    return predict_flipped


def dropouts(generation: Generation, samples: int) -> list[Pass]:
    """``samples`` passes with the dropout layers of the network active, the same in every run.

    A sample begins with the same random numbers in every tile, so that dropped channels are those of one network.

    Raises:
        InputError: the network has no layer that drops anything.
    """
    layers = dropout_layers(generation.network)
    if not layers:
        raise InputError("This model has no dropout layers, so it has no spread over dropout; choose another spread.")
    return [_with_predict(generation, _dropped(generation.network, layers, seed)) for seed in range(samples)]


def dropout_layers(network: IdentityNetwork | TorchNetwork) -> list[Any]:
    """The layers of a network that drop values or channels while it is trained, and only those."""
    if isinstance(network, IdentityNetwork):
        return []
    return [
        layer
        for layer in network.module.modules()
        if type(layer).__name__.endswith(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d"))
        and max(getattr(layer, "p", 0.0), getattr(layer, "probability", 0.0)) > 0
    ]


def _dropped(network: TorchNetwork, layers: list[Any], seed: int) -> Predict:
    import torch

    def predict(block: np.ndarray) -> np.ndarray:
        devices = [network.device] if network.device.type == "cuda" else []
        with torch.random.fork_rng(devices), _active(layers):
            torch.manual_seed(seed)
            return network.predict(block)

    return predict


@contextlib.contextmanager
def _active(layers: list[Any]) -> Iterator[None]:
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()


def _with_predict(generation: Generation, predict: Predict) -> Pass:
    return lambda take, progress: generation.run(take, progress, predict)


def _share(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Reports the fraction of the whole work while pass ``number`` of ``count`` runs."""
    if progress is None:
        return None
    return lambda fraction, message: progress((number + fraction) / count, f"pass {number + 1} of {count}, {message}")
