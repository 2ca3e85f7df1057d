"""Synthesizer: a bundle on a device, which turns a Volume into a Result."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import memory
from .errors import InputError, MedGANError
from .intensity import AIR_HU, PADDING_BELOW_HU, FixedScale, SliceStatistics
from .network import IdentityNetwork, NetworkSpec, TorchNetwork
from .provenance import describe
from .tiling import Box, run_tiled
from .volume import Volume

if TYPE_CHECKING:
    from .bundle import Bundle

Progress = Callable[[float, str], None]
_LEAST_TILES = 16


@dataclass
class Result:
    """What a generator made of a volume.

    Args:
        volume: the synthetic image, on the exact grid of the source, in physical units.
        source: what it was made from.
        provenance: how it was made; flat text pairs, see :mod:`medgan.provenance`.
        applicability: one sentence for each way in which the source is unlike the training data.
        notes: one sentence for each thing that went other than planned (memory, device).
        compute_seconds: time within the network.
    """

    volume: Volume
    source: Volume
    provenance: dict[str, str] = field(default_factory=dict)
    applicability: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compute_seconds: float = 0.0

    @functools.cached_property
    def removed(self) -> Volume:
        """Source minus result, on the same grid: what the generator took away (float32)."""
        return self.source.with_array(np.subtract(self.source.array, self.volume.array, dtype=np.float32))


class Synthesizer:
    """A bundle's generator, loaded and ready.

    Args:
        bundle: the generator on disk.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        BundleError: the bundle is damaged. InputError: there is no such device.

    Example:
        >>> result = Synthesizer(Bundle.load("denoise-ct-chest"))(volume, strength=0.7)  # doctest: +SKIP
    """

    def __init__(self, bundle: Bundle, device: str = "auto"):
        self.bundle = bundle
        self.network: IdentityNetwork | TorchNetwork
        if bundle.manifest.is_identity:
            self.network = IdentityNetwork()
        else:
            from .device import choose_device

            self.network = TorchNetwork(bundle.build_generator(), bundle.manifest.network, choose_device(device))

    def __call__(
        self,
        volume: Volume,
        *,
        strength: float = 1.0,
        progress: Progress | None = None,
        out: Mapping[str, np.ndarray] | None = None,
    ) -> Result:
        """Apply the generator.

        Args:
            volume: image of the kind the bundle takes.
            strength: 0 gives the source back, 1 the full effect, values between blend both.
            progress: called with (fraction, message); may raise to stop.
            out: ``{"image": array}`` to write into, of the shape and type of ``bundle.outputs(volume)["image"]``.

        Raises:
            InputError: the volume cannot be used (wrong number of components, NaN) or ``strength`` is out of range.
        """
        if not 0.0 <= strength <= 1.0:
            raise InputError(f"The strength must lie between 0 (source) and 1 (full effect), not {strength:g}.")
        applicability = self.bundle.applicability(volume)
        spec = self.bundle.outputs(volume)["image"]
        image = out["image"] if out else np.empty(spec.shape, spec.dtype)
        if image.shape != spec.shape or image.dtype != np.dtype(spec.dtype):
            raise InputError(f"The output array must have shape {spec.shape} and type {spec.dtype}.")
        notes: list[str] = []
        before = self.network.seconds
        source = volume.with_array(volume.array, units=spec.units)  # unstated units are taken as those of the model
        _run(self.network, self.bundle.manifest.intensity_scale(), source, image, strength, progress, notes.append)
        provenance = describe(self.bundle, {"strength": strength}, self.network.device_name)
        result = Volume(image, spec.geometry, spec.units, spec.modality)
        return Result(result, volume, provenance, applicability, notes, self.network.seconds - before)


def generate(
    generator: Any, spec: NetworkSpec, scale: FixedScale | SliceStatistics, volume: Volume, device: str = "auto"
) -> Volume:
    """Apply a torch generator that is no bundle yet (validation during training); float32 result."""
    from .device import choose_device

    image = np.empty(volume.array.shape, np.float32)
    _run(TorchNetwork(generator, spec, choose_device(device)), scale, volume, image, 1.0, None, lambda note: None)
    return volume.with_array(image)


def _run(
    network: IdentityNetwork | TorchNetwork,
    scale: FixedScale | SliceStatistics,
    volume: Volume,
    image: np.ndarray,
    strength: float,
    progress: Progress | None,
    notify: Callable[[str], None],
) -> None:
    """Tile, scale, compute, scale back and write into ``image``.

    Padding of a CT is shown to the network as air, and comes out as it was.
    """
    source, fitted = volume.array, scale.fit(volume.array)
    padded = volume.units == "HU" and float(source.min()) < PADDING_BELOW_HU

    def read(box: Box) -> np.ndarray:
        block = source[box.slices]
        if padded:
            block = np.where(block < PADDING_BELOW_HU, np.float32(AIR_HU), block)
        return fitted.forward(_components_first(block), box.slices[0])

    def write(box: Box, block: np.ndarray) -> None:
        generated = fitted.inverse(block, box.slices[0])
        if not np.isfinite(generated).all():  # would become arbitrary integers
            raise MedGANError(
                "The generator computed values that are no number; verify the model, or use another device."
            )
        generated = generated[0] if source.ndim == 3 else np.moveaxis(generated, 0, -1)
        if strength < 1.0:
            original = source[box.slices].astype(np.float32)
            generated = original + np.float32(strength) * (generated - original)
        if image.dtype.kind != "f":
            generated = np.clip(np.rint(generated, out=generated), *_limits(image.dtype), out=generated)
        if padded:
            generated = np.where(source[box.slices] < PADDING_BELOW_HU, source[box.slices], generated)
        image[box.slices] = generated

    run_tiled(
        volume.grid_shape,
        read,
        network.predict,
        write,
        network.spec.footprint,
        tile_voxels=_place(network, volume, notify),
        progress=progress,
        notify=notify,
        on_fallback=network.fallback,
    )


def _components_first(block: np.ndarray) -> np.ndarray:
    """``(k, j, i[, c])`` as ``(c, k, j, i)``."""
    return block[np.newaxis] if block.ndim == 3 else np.moveaxis(block, -1, 0)


def _limits(dtype: np.dtype) -> tuple[np.float32, np.float32]:
    """The range of an integer type in float32 numbers that it holds: the largest int32 itself rounds to 2**31."""
    lowest, highest = np.float32(np.iinfo(dtype).min), np.float32(np.iinfo(dtype).max)
    return lowest, highest if int(highest) <= np.iinfo(dtype).max else np.nextafter(highest, np.float32(0))


def _place(network: IdentityNetwork | TorchNetwork, volume: Volume, notify: Callable[[str], None]) -> int | None:
    """Put the network on its device, or on the CPU if there is no memory for it at all; returns the largest tile."""
    try:
        network.return_to_device()
        return _tile_voxels(network, volume)
    except Exception as error:
        if network.fallback is None or not memory.is_out_of_memory(error):
            raise
    network.fallback()
    memory.release_cached()
    notify("Out of memory on the device before the first tile: computing on the CPU.")
    return _tile_voxels(network, volume)


def _tile_voxels(network: IdentityNetwork | TorchNetwork, volume: Volume) -> int | None:
    """Largest tile: what memory allows, and where slices are independent no more than gives a steady progress."""
    limit = network.tile_voxels()
    halo = network.spec.halo
    if halo is None or halo[0] != 0:
        return limit
    slices, rows, columns = volume.grid_shape
    multiple = network.spec.multiple
    padded = math.ceil(rows / multiple[1]) * multiple[1] * math.ceil(columns / multiple[2]) * multiple[2]
    steady = math.ceil(slices / _LEAST_TILES) * padded
    return steady if limit is None else min(limit, steady)
