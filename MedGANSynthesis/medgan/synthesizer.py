"""Synthesizer: a bundle on a device, which turns a Volume into a Result."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import spread
from .errors import InputError
from .fitted_source import FittedSource
from .generated_colours import generated_colours
from .generation import Generation, Progress, Take, stored_in
from .intensity import Scale
from .network import IdentityNetwork, NetworkSpec, TorchNetwork
from .options import ApplyOptions
from .provenance import describe
from .stain_reference import recolour
from .target import Target
from .tile_plan import Box
from .volume import Volume
from .working_grid import resampled

if TYPE_CHECKING:
    from .bundle import Bundle, OutputSpec


@dataclass
class Result:
    """What a generator made of a volume.

    Args:
        volume: the synthetic image in physical units, on the exact grid of the source, or of its region.
        source: what it was made from, all of it.
        spread: voxel-wise standard deviation of the result, float32, in its unit, on its grid (see
            :mod:`medgan.spread`); None where none was asked for. It never changes the image.
        provenance: how it was made; flat text pairs, see :mod:`medgan.provenance`.
        applicability: one sentence for each way in which the source is unlike the training data.
        notes: one sentence for each thing that went other than planned (memory, device).
        compute_seconds: time within the network.
    """

    volume: Volume
    source: Volume
    spread: Volume | None = None
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


@dataclass
class _Known:
    """What was found out about a volume as a whole.

    Args:
        source: as the network is shown it. applicability: see :class:`Result`.
        spacing_mm: spacing asked of the result, on which the source depends.
        colours: statistics of the generated tissue, by the orientations they were generated in.
    """

    source: FittedSource
    applicability: list[str]
    spacing_mm: tuple[float, ...] | None
    colours: dict[str, tuple[float, ...]] = field(default_factory=dict)


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
        self.bundle, self.device = bundle, device
        self.network: IdentityNetwork | TorchNetwork
        if bundle.manifest.is_identity:
            self.network = IdentityNetwork()
        else:
            from .device import choose_device

            self.network = TorchNetwork(bundle.build_generator(), bundle.manifest.network, choose_device(device))
        # of the last volume of which regions were asked for; forgotten with it
        self._known: weakref.WeakKeyDictionary[Volume, _Known] = weakref.WeakKeyDictionary()
        self._members: dict[str, Synthesizer] = {}

    def __call__(
        self,
        volume: Volume,
        options: ApplyOptions | None = None,
        *,
        region: Box | None = None,
        progress: Progress | None = None,
        out: Mapping[str, np.ndarray] | None = None,
        **settings: Any,
    ) -> Result:
        """Apply the generator.

        Args:
            volume: image of the kind the bundle takes.
            options: what to do, by default :class:`~medgan.options.ApplyOptions` as it is.
            region: box (k, j, i) of the grid of ``volume``: only that part is computed. It has the values it has in the
                result of the whole volume (up to the rounding of floats; where a network sees everything and memory
                asks for blended tiles, as long as the free memory allows tiles of the same size). Only the first region
                of a Volume object looks at the whole of it, so its voxels must not change between regions. With a
                target spacing the result is the part of the finer grid that covers the region.
            progress: called with (fraction, message); may raise to stop.
            out: arrays to write into, of the names, shapes and types of ``bundle.outputs(volume, options, region)``.
            settings: single fields of the options, such as ``strength=0.7``.

        Raises:
            InputError: the volume cannot be used (wrong number of components, NaN), a setting is out of range, or the
                generator cannot do what the options ask for.
        """
        options = ApplyOptions.of(options, settings)
        outputs = self.bundle.outputs(volume, options, region)
        arrays = _arrays(outputs, out)
        members = self._ensemble(volume, options, region)
        notes: list[str] = []
        asked = (volume, options, region, notes.append)
        started = sum(one.network.seconds for one in (self, *members))
        generation, remarks = self._prepare(*asked, progress)
        store = stored_in(arrays["image"])
        if options.spread == "none":
            generation.run(store, progress)
        else:
            passes = [generation.run, *_variants(generation, options)]
            passes += [functools.partial(_run, member, asked) for member in members]
            skip_first = options.spread == "dropout"
            moments = spread.measure(passes, arrays["image"].shape, store, skip_first, progress)
            arrays["spread"][...] = moments.deviation()
        parameters = {"strength": options.strength, **options.to_dict()}
        if members:
            parameters["ensemble"] = [member.bundle.name for member in members]
        made = {name: Volume(arrays[name], spec.geometry, spec.units, spec.modality) for name, spec in outputs.items()}
        return Result(
            volume=made["image"],
            source=volume,
            spread=made.get("spread"),
            provenance=describe(self.bundle, parameters, self.network.device_name),
            applicability=remarks,
            notes=list(dict.fromkeys(notes)),
            compute_seconds=sum(one.network.seconds for one in (self, *members)) - started,
        )

    def _prepare(
        self,
        volume: Volume,
        options: ApplyOptions,
        region: Box | None,
        notify: Callable[[str], None],
        progress: Progress | None,
    ) -> tuple[Generation, list[str]]:
        """What only has to run, and what is to be said of the volume."""
        known = self._look_at(volume, options, keep=region is not None)
        target, colours = self.bundle.manifest.result(), None
        self.network.take(self.bundle.manifest.network.oriented(options.orientations))
        if options.reference is not None:
            if options.orientations not in known.colours:
                known.colours[options.orientations] = generated_colours(self.network, known.source, target, progress)
            own = known.colours[options.orientations]
            colours = functools.partial(recolour, own=own, reference=options.reference)
        _, box = self.bundle.input_region(volume, options, region)
        generation = Generation(self.network, known.source, target, box, options, colours, notify)
        return generation, list(known.applicability)

    def _look_at(self, volume: Volume, options: ApplyOptions, keep: bool) -> _Known:
        """What is to be known of the whole volume; with ``keep`` what is known already, and is to be remembered."""
        spacing_mm = options.target_spacing_mm
        if keep and volume in self._known and self._known[volume].spacing_mm == spacing_mm:
            return self._known[volume]
        manifest = self.bundle.manifest
        applicability = self.bundle.applicability(volume)
        source = volume.with_array(volume.array, units=manifest.units or volume.units)  # unstated: those of the model
        if spacing_mm is not None:
            source = resampled(source, self.bundle.input_grid(volume, spacing_mm))
        fitted = FittedSource(source, manifest.network, manifest.source_scale(), manifest.result())
        known = _Known(fitted, applicability, spacing_mm)
        if keep:
            self._known.clear()
            self._known[volume] = known
        return known

    def _ensemble(self, volume: Volume, options: ApplyOptions, region: Box | None) -> list[Synthesizer]:
        """The other generators of an ensemble, which stay loaded until others are asked for."""
        from .bundle import Bundle

        folders = options.ensemble if options.spread == "ensemble" else ()
        own, members = self.bundle.outputs(volume, options, region)["image"], {}
        for folder in folders:
            bundle, member = Bundle.load(folder), self._members.get(folder)
            if member is not None and member.bundle.manifest != bundle.manifest:
                member = None  # replaced on disk meanwhile
            other = bundle.outputs(volume, options, region)["image"]
            if bundle.task != self.bundle.task or not own.is_like(other):
                raise InputError(
                    f"'{bundle.title}' does not make the same kind of image on the same grid as "
                    f"'{self.bundle.title}', so no spread over both can be computed; choose models of one task."
                )
            members[folder] = member or Synthesizer(bundle, self.device)
        self._members = members or self._members
        return list(members.values())


def _run(member: Synthesizer, asked: tuple, take: Take, progress: Progress | None) -> None:
    """A pass over a member of an ensemble; nothing is looked at before it runs."""
    generation, _remarks = member._prepare(*asked, progress)
    generation.run(take, progress)


def _variants(generation: Generation, options: ApplyOptions) -> list[spread.Pass]:
    if options.spread == "flips":
        return spread.flips(generation)
    return spread.dropouts(generation, options.spread_samples) if options.spread == "dropout" else []


def _arrays(outputs: dict[str, OutputSpec], out: Mapping[str, np.ndarray] | None) -> dict[str, np.ndarray]:
    """The arrays to write into, those given or new ones."""
    arrays = {}
    for name, spec in outputs.items():
        given = None if out is None else out.get(name)
        arrays[name] = np.empty(spec.shape, spec.dtype) if given is None else given
        if arrays[name].shape != spec.shape or arrays[name].dtype != np.dtype(spec.dtype):
            raise InputError(f"The output array '{name}' must have shape {spec.shape} and type {spec.dtype}.")
    return arrays


def generate(
    generator: Any, spec: NetworkSpec, scale: Scale, target: Target, volume: Volume, device: str = "auto"
) -> Volume:
    """Apply a torch generator that is no bundle yet (validation during training); float32 result."""
    from .device import choose_device

    shape = tuple(size * factor for size, factor in zip(volume.grid_shape, spec.scale, strict=True))
    channels = target.channels or volume.channels
    image = np.empty(shape if channels == 1 else (*shape, channels), np.float32)
    network = TorchNetwork(generator, spec, choose_device(device))
    Generation(network, FittedSource(volume, spec, scale, target), target).run(stored_in(image))
    geometry = volume.geometry.shifted((0, 0, 0), spec.scale[::-1]) if spec.scale != (1, 1, 1) else volume.geometry
    return Volume(image, geometry, target.units or volume.units, target.modality or volume.modality)
