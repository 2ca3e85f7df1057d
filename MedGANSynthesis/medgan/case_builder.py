"""One case of a dataset from its files: read, laid onto one grid, degraded, masked and measured."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .alignment import LEAST_SLICES, Alignment, measure
from .body_mask import body_mask
from .dataset import grid_factor
from .dataset_check import voxel_sha256
from .errors import InputError
from .modalities import components
from .pairs import Candidate
from .volume import Volume

if TYPE_CHECKING:
    from .registration import Registration

DEGRADATIONS = ("low-dose", "low-resolution", "grey", "none")
PERCENTILES = (0.5, 1, 5, 50, 95, 99, 99.5)
LEAST_COVERED = 0.5

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class CaseOptions:
    """How cases are made from files.

    Args:
        modality, target_modality: DICOM codes of what the files hold; "CT" also means Hounsfield units.
        degrade: how the source is made from the target: "low-dose" (CT), "low-resolution" (MR), "grey" (color slides),
            "none" (source and target are the same image; the recipe changes it as it trains); "" for given pairs.
        dose: fraction of the dose to simulate, 0 to 1.
        factor: how much coarser the low resolution is, along (k, j, i).
        resolution_kind: "kspace" or "blur".
        grey_kind: "luma", "optical-density" or "haematoxylin".
        register: "rigid", "affine" or "bspline" to lay the target onto the source first; "" believes the headers.
        super_resolution: the target is finer than the source by a whole factor, about the ratio of their spacings.
        find_masks: find the body where no mask is given.
        seed: of simulated noise.
    """

    modality: str = ""
    target_modality: str = ""
    degrade: str = ""
    dose: float = 0.25
    factor: tuple[int, int, int] = (2, 2, 2)
    resolution_kind: str = "kspace"
    grey_kind: str = "luma"
    register: str = ""
    super_resolution: bool = False
    find_masks: bool = True
    seed: int = 0


@dataclass
class BuiltCase:
    """Images of a case and what was found out about them; ``target`` may be the same object as ``source``."""

    source: Volume | None
    target: Volume | None
    mask: np.ndarray | None = None
    registration: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def first(self) -> Volume:
        """The source; of an unpaired case the only image."""
        return self.source if self.source is not None else self.target

    def fingerprint(self) -> dict[str, dict[str, float]]:
        """Intensity percentiles within the body (everywhere, if no body is known) by role."""
        result = {}
        for role, volume in (("source", self.source), ("target", self.target)):
            if volume is not None:
                values = volume.array if self.mask is None else volume.array[self._mask_on(volume)]
                numbers = np.percentile(values, PERCENTILES).tolist()
                result[role] = {f"{p:g}": float(f"{value:.6g}") for p, value in zip(PERCENTILES, numbers, strict=True)}
        return result

    def sha256(self) -> dict[str, str]:
        """Hash of the voxels by role."""
        images = (("source", self.source), ("target", self.target))
        return {role: voxel_sha256(volume) for role, volume in images if volume is not None}

    def _mask_on(self, volume: Volume) -> np.ndarray:
        mask = self.mask
        for axis, (size, small) in enumerate(zip(volume.grid_shape, mask.shape, strict=True)):
            mask = np.repeat(mask, size // small, axis)
        return mask


def build_case(candidate: Candidate, options: CaseOptions, progress: Progress | None = None) -> BuiltCase:
    """The images of a case, ready to be written.

    Raises:
        InputError: an image cannot be read or used, or the pair cannot be laid onto one grid; the sentence says why
            the case has to be set aside.
    """
    tell = progress or (lambda fraction, message: None)
    notes: list[str] = []
    images = {"source": candidate.source, "target": candidate.target}
    series = {"source": candidate.source_series, "target": candidate.target_series}
    codes = {"source": options.modality, "target": options.target_modality or options.modality}
    read = {
        role: _read(path, series[role], codes[role], notes) if path is not None else None
        for role, path in images.items()
    }
    for role, volume in read.items():
        _check_components(volume, codes[role])
    if options.degrade:
        original = read["source"] if read["source"] is not None else read["target"]
        built = BuiltCase(*_degraded(original, options, candidate.id, tell), notes=notes)
    elif read["source"] is None or read["target"] is None:
        built = BuiltCase(read["source"], read["target"], notes=notes)
    else:
        built = _aligned(read["source"], read["target"], options, tell)
        built.notes = notes + built.notes
    tell(0.9, "Finding the body")
    built.mask = _mask(built, candidate, options)
    return built


def _check_components(volume: Volume | None, modality: str) -> None:
    expected = components(modality)
    if volume is not None and volume.channels != expected:
        kind = "a color picture" if expected == 3 else f"a scalar image ({modality or 'one value per voxel'})"
        raise InputError(f"it has {volume.channels} component(s) per voxel, but this task takes {kind}.")


def _read(path: Any, series: str | None, modality: str, notes: list[str]) -> Volume:
    from .image_io import read_volume

    volume, found = read_volume(path, series, modality or None)
    notes += found
    if volume.non_finite:
        raise InputError(f"{path.name} has voxels that are no number (NaN or infinite); replace them first.")
    if volume.array.min() == volume.array.max():
        raise InputError(f"{path.name} is empty: every voxel is {volume.array.flat[0]}.")
    if modality == "CT" and volume.units != "HU":
        raise InputError(f"{path.name} is a CT whose values are not Hounsfield units; convert it to HU first.")
    return volume


def _degraded(volume: Volume, options: CaseOptions, name: str, tell: Progress) -> tuple[Volume, Volume]:
    """Source and target made from one good image."""
    tell(0.1, "Degrading")
    if options.degrade == "none":
        return volume, volume
    seed = zlib.crc32(f"{options.seed} {name}".encode())
    if options.degrade == "low-dose":
        from .degrade import simulate_low_dose

        low = simulate_low_dose(volume, options.dose, seed, progress=lambda f, text: tell(0.1 + 0.8 * f, text))
        return low, volume
    if options.degrade == "low-resolution":
        from .degrade_mr import degrade, divisible

        target = divisible(volume, options.factor)
        rng = np.random.default_rng(seed)
        return degrade(target, options.factor, kind=options.resolution_kind, rng=rng), target
    return _grey_picture(volume, options.grey_kind), volume


def _grey_picture(volume: Volume, kind: str) -> Volume:
    """The grey of a slide as a picture of three equal components, which the network's input scale takes like any other;
    densities are shown as the brightness they leave.
    """
    from .colour import from_optical_density, grey

    values = grey(volume, kind).array
    brightness = values if kind == "luma" else from_optical_density(values)
    rounded = np.clip(np.rint(brightness), 0, 255).astype(np.uint8)
    return volume.with_array(np.repeat(rounded[..., np.newaxis], 3, axis=3))


def _aligned(source: Volume, target: Volume, options: CaseOptions, tell: Progress) -> BuiltCase:
    """The target on the grid of the source (for super-resolution on a refinement of it), and how well it lies there."""
    flat = 1 in source.grid_shape or 1 in target.grid_shape or source.channels > 1 or target.channels > 1
    try:
        factor = grid_factor(source, target)
    except InputError:
        factor = None
        if flat:
            raise InputError(
                f"The pictures have {_size(source)} and {_size(target)} pixels and nothing says how they lie on each "
                "other; cut them to the same region first."
            ) from None
    if options.register:
        return _registered(source, target, options, tell)
    if factor == (1, 1, 1):
        found = None if flat or min(source.grid_shape) < LEAST_SLICES else measure(source, target)
        return BuiltCase(source, target, registration=_facts("as given", found))
    if factor is not None and options.super_resolution:
        return BuiltCase(source, target, registration={"method": "as given"})
    return _resampled(source, target, options)


def _resampled(source: Volume, target: Volume, options: CaseOptions) -> BuiltCase:
    """By the headers; refused if the images do not lie on each other then."""
    from .registration import resample

    moved, inside = resample(target, _refined(source, target, options))
    found, reason = None, ""
    if min(*source.grid_shape, *target.grid_shape) >= LEAST_SLICES:
        found = measure(source, *resample(target, source))
        reason = found.reason
    elif inside.mean() < LEAST_COVERED:
        reason = f"the target covers only {inside.mean():.0%} of the source's grid"
    if reason:
        raise InputError(f"The pair does not fit: {reason}; register the pairs (--register rigid).")
    return BuiltCase(source, moved, registration=_facts("resampled", found))


def _registered(source: Volume, target: Volume, options: CaseOptions, tell: Progress) -> BuiltCase:
    from .registration import register, resample

    found = register(source, target, options.register, progress=lambda f, text: tell(0.1 + 0.8 * f, text))
    if not found.ok:
        raise InputError(f"The registration failed: {found.reason}.")
    grid = _refined(source, target, options)
    moved = found.moved if grid is source else resample(target, grid, found.transform)[0]
    return BuiltCase(source, moved, registration=_facts(options.register, found))


def _refined(source: Volume, target: Volume, options: CaseOptions) -> Volume:
    """The grid for the target: that of the source, for super-resolution refined to about the spacing of the target."""
    if not options.super_resolution:
        return source
    ratio = source.geometry.spacing_mm / target.geometry.spacing_mm
    factor = np.maximum(np.rint(ratio), 1).astype(int)
    shape = [size * f for size, f in zip(source.grid_shape, factor[::-1], strict=True)]
    return Volume(np.zeros(shape, np.uint8), source.geometry.shifted((0, 0, 0), factor))


def _facts(method: str, found: Alignment | Registration | None) -> dict[str, Any]:
    if found is None:
        return {"method": method}
    return {
        "method": method,
        "quality": round(found.quality, 3),
        "mutual_information": round(found.mutual_information, 4),
        "body_dice": round(found.body_dice, 4),
    }


def _mask(built: BuiltCase, candidate: Candidate, options: CaseOptions) -> np.ndarray | None:
    if candidate.mask is not None:
        from .image_io import read_volume

        volume = read_volume(candidate.mask)[0]
        if volume.array.shape != built.first.grid_shape or not volume.geometry.is_close(built.first.geometry):
            raise InputError(f"The mask {candidate.mask.name} does not lie on the grid of its image; resample it.")
        mask = volume.array != 0
    elif options.find_masks:
        # air is the clearest in a CT, so where one of the pair is a CT, it decides
        target = built.target
        better = target is not None and target.units == "HU" and target.grid_shape == built.first.grid_shape
        mask = body_mask(target if better else built.first)
    else:
        return None
    return mask if mask.any() else None


def _size(volume: Volume) -> str:
    return " x ".join(str(size) for size in volume.grid_shape[::-1])
