"""Synthesizer: a bundle on a device, which turns a Volume into a Result."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .generation import Generation
from .intensity import Scale
from .network import IdentityNetwork, NetworkSpec, TorchNetwork
from .provenance import describe
from .target import Target
from .volume import Volume
from .working_grid import resampled

if TYPE_CHECKING:
    from .bundle import Bundle

Progress = Callable[[float, str], None]


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
        """Source minus result, on the same grid: what the generator took away (float32).

        Raises:
            InputError: source and result are different kinds of image or lie on different grids.
        """
        if self.source.array.shape != self.volume.array.shape or self.source.units not in ("", self.volume.units):
            raise InputError("Source and result are different kinds of image, so there is no difference of them.")
        return self.source.with_array(np.subtract(self.source.array, self.volume.array, dtype=np.float32))


class Synthesizer:
    """A bundle's generator, loaded and ready.

    Args:
        bundle: the generator on disk.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        BundleError: the bundle is damaged. InputError: there is no such device.

    Example:
        >>> result = Synthesizer(Bundle.load("denoise-ct-multi"))(volume, strength=0.7)  # doctest: +SKIP
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
        target_spacing_mm: tuple[float, float, float] | None = None,
        progress: Progress | None = None,
        out: Mapping[str, np.ndarray] | None = None,
    ) -> Result:
        """Apply the generator.

        Args:
            volume: image of the kind the bundle takes.
            strength: 0 gives the source back, 1 the full effect, values between blend both.
            target_spacing_mm: spacing of the result along i, j, k; for super-resolution only, by default the spacing
                of the source divided by the model's factor.
            progress: called with (fraction, message); may raise to stop.
            out: ``{"image": array}`` to write into, of the shape and type of ``bundle.outputs(volume)["image"]``.

        Raises:
            InputError: the volume cannot be used (wrong number of components, NaN), ``strength`` is out of range or
                cannot be had because source and result cannot be blended, or the model has no free spacing.
        """
        if not 0.0 <= strength <= 1.0:
            raise InputError(f"The strength must lie between 0 (source) and 1 (full effect), not {strength:g}.")
        applicability = self.bundle.applicability(volume)
        spec = self.bundle.outputs(volume, target_spacing_mm)["image"]
        image = out["image"] if out else np.empty(spec.shape, spec.dtype)
        if image.shape != spec.shape or image.dtype != np.dtype(spec.dtype):
            raise InputError(f"The output array must have shape {spec.shape} and type {spec.dtype}.")
        manifest = self.bundle.manifest
        target = manifest.result()
        blends = target.keeps_source and manifest.network.scale == (1, 1, 1)
        if strength < 1.0 and not blends:
            raise InputError(f"'{self.bundle.title}' makes another kind of image, so its strength is always 1.")
        notes: list[str] = []
        before = self.network.seconds
        source = volume.with_array(volume.array, units=manifest.units or volume.units)  # unstated: those of the model
        if target_spacing_mm is not None:
            source = resampled(source, self.bundle.input_grid(volume, target_spacing_mm))
        Generation(self.network, manifest.source_scale(), target, source, image, strength, notes.append).run(progress)
        parameters: dict[str, Any] = {"strength": strength}
        if target_spacing_mm is not None:
            parameters["target_spacing_mm"] = list(target_spacing_mm)
        provenance = describe(self.bundle, parameters, self.network.device_name)
        result = Volume(image, spec.geometry, spec.units, spec.modality)
        return Result(result, volume, provenance, applicability, notes, self.network.seconds - before)


def generate(
    generator: Any, spec: NetworkSpec, scale: Scale, target: Target, volume: Volume, device: str = "auto"
) -> Volume:
    """Apply a torch generator that is no bundle yet (validation during training); float32 result."""
    from .device import choose_device

    shape = tuple(size * factor for size, factor in zip(volume.grid_shape, spec.scale, strict=True))
    channels = target.channels or volume.channels
    image = np.empty(shape if channels == 1 else (*shape, channels), np.float32)
    network = TorchNetwork(generator, spec, choose_device(device))
    Generation(network, scale, target, volume, image, 1.0, lambda note: None).run(None)
    geometry = volume.geometry.shifted((0, 0, 0), spec.scale[::-1]) if spec.scale != (1, 1, 1) else volume.geometry
    return Volume(image, geometry, target.units or volume.units, target.modality or volume.modality)
