"""LPIPS and FID: secondary numbers from networks trained on photographs, where their weights are on this machine.

Nothing is ever downloaded here, and nothing is reported where weights are missing: :func:`missing` says what to do.
Sources: Zhang et al., CVPR 2018 (LPIPS, AlexNet); Heusel et al., NeurIPS 2017 (FID, Inception v3 as in torchvision).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MedGANError

_MOST_SLICES = 64
_BATCH = 8
_ALEXNET = "alexnet-owt-7be5be79.pth"
_INCEPTION = "inception_v3_google-0cc3c7bd.pth"
_NEEDED = {"LPIPS": (("lpips", "torchvision"), _ALEXNET), "FID": (("torchvision",), _INCEPTION)}


def missing(metric: str = "LPIPS") -> str | None:
    """Why "LPIPS" or "FID" cannot be computed here, as a sentence for the user; None if it can."""
    packages, weights = _NEEDED[metric]
    absent = [name for name in ("torch", *packages) if importlib.util.find_spec(name) is None]
    if absent:
        return (
            f"{metric} was not computed: the package {absent[0]} is not installed (pip install {' '.join(packages)})."
        )
    if not (_cache() / weights).is_file():
        return f"{metric} was not computed: the weights {weights} of torchvision are not in {_cache()}; put them there."
    return None


def lpips(reference: np.ndarray, image: np.ndarray, value_range: tuple[float, float]) -> float:
    """Mean LPIPS (AlexNet) over at most 64 slices ``(k, j, i[, 3])``, clipped to ``value_range`` and mapped to [-1, 1].

    Raises:
        MedGANError: package or weights are missing.
    """
    import torch

    network = _lpips_network()
    values = []
    with torch.inference_mode():
        for part in _batches(len(reference)):
            a, b = (2.0 * _pictures(array[part], value_range) - 1.0 for array in (reference, image))
            values += network(a, b).flatten().tolist()
    return float(np.mean(values))


def inception_features(image: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Pooled Inception v3 features ``(slices, 2048)`` of slices, enlarged to 299x299.

    Raises:
        MedGANError: package or weights are missing.
    """
    import torch

    network = _inception_network()
    features = []
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        for part in _batches(len(image)):
            pictures = torch.nn.functional.interpolate(_pictures(image[part], value_range), (299, 299), mode="bilinear")
            features.append(network((pictures - mean) / deviation).numpy())
    return np.concatenate(features)


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Frechet distance of two sets of features ``(n, features)``, taken as normal distributions.

    NaN for fewer than two samples; far too high for fewer samples than features, so compare only equal numbers.
    """
    if min(len(one), len(other)) < 2:
        return float("nan")
    difference = one.mean(axis=0) - other.mean(axis=0)
    first, second = np.atleast_2d(np.cov(one.T)), np.atleast_2d(np.cov(other.T))
    # eigenvalues of a product of two positive semi-definite matrices are real and not negative
    crossed = np.sqrt(np.clip(np.linalg.eigvals(first @ second).real, 0.0, None)).sum()
    return float(max(0.0, difference @ difference + np.trace(first) + np.trace(second) - 2.0 * crossed))


@functools.cache
def _lpips_network() -> Any:
    _require("LPIPS")
    import lpips as package
    import torch
    from torchvision.models import alexnet

    # loaded here, since the package's own loading may unpickle (torch before 2.6) or download
    trunk = alexnet(weights=None)
    trunk.load_state_dict(torch.load(_cache() / _ALEXNET, weights_only=True, map_location="cpu"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the package asks for its random trunk in a deprecated way
        network = package.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)
    heads = torch.load(
        Path(package.__file__).parent / "weights" / "v0.1" / "alex.pth", weights_only=True, map_location="cpu"
    )
    network.load_state_dict(heads, strict=False)
    for part in (network.net.slice1, network.net.slice2, network.net.slice3, network.net.slice4, network.net.slice5):
        for number, layer in part.named_children():  # named by their place in the trunk
            layer.load_state_dict(trunk.features[int(number)].state_dict())
    return network.eval()


@functools.cache
def _inception_network() -> Any:
    _require("FID")
    import torch
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, init_weights=False)
    network.load_state_dict(torch.load(_cache() / _INCEPTION, weights_only=True, map_location="cpu"))
    network.fc = torch.nn.Identity()
    return network.eval()


def _require(metric: str) -> None:
    reason = missing(metric)
    if reason is not None:
        raise MedGANError(reason)


def _cache() -> Path:
    """Where torch keeps downloaded weights (torch.hub.get_dir, without importing torch)."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def _batches(slices: int) -> Sequence[np.ndarray]:
    chosen = np.unique(np.linspace(0, slices - 1, min(slices, _MOST_SLICES)).round().astype(int))
    return np.array_split(chosen, -(-len(chosen) // _BATCH))


def _pictures(slices: np.ndarray, value_range: tuple[float, float]) -> Any:
    """Slices ``(n, j, i[, 3])`` as a tensor ``(n, 3, j, i)`` from 0 to 1."""
    import torch

    low, high = value_range
    unit = (np.clip(slices.astype(np.float32), low, high) - low) / (high - low)
    unit = unit if unit.ndim == 4 else np.repeat(unit[..., np.newaxis], 3, axis=-1)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(unit, -1, 1)))
