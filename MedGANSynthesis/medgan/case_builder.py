"""One case of a dataset from its files: read, laid onto one grid, degraded, masked and measured."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .body_mask import body_mask
from .dataset_check import voxel_sha256
from .errors import InputError
from .modalities import components
from .pair_alignment import align_pair
from .pairs import Candidate
from .volume import Volume

DEGRADATIONS = ("low-dose", "low-resolution", "grey", "none")
PERCENTILES = (0.5, 1, 5, 50, 95, 99, 99.5)

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
    """Images of a case and what was found out about them; ``target`` may be the same object as ``source``.

    ``transform`` and ``doubt`` are those of :class:`~medgan.pair_alignment.AlignedPair`, for pairs only.
    """

    source: Volume | None
    target: Volume | None
    mask: np.ndarray | None = None
    registration: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    transform: np.ndarray | None = None
    doubt: str = ""

    @property
    def first(self) -> Volume:
        """The source; of an unpaired case the only image."""
        return self.source if self.source is not None else self.target

    def fingerprint(self) -> dict[str, dict[str, float]]:
        """Intensity percentiles within the body (everywhere, if no body is known) by role."""
        result = {}
        for role, volume in (("source", self.source), ("target", self.target)):
            if volume is not None:
                values = volume.array if self.mask is None else volume.array[self.mask_on(volume)]
                numbers = np.percentile(values, PERCENTILES).tolist()
                result[role] = {f"{p:g}": float(f"{value:.6g}") for p, value in zip(PERCENTILES, numbers, strict=True)}
        return result

    def sha256(self) -> dict[str, str]:
        """Hash of the voxels by role."""
        images = (("source", self.source), ("target", self.target))
        return {role: voxel_sha256(volume) for role, volume in images if volume is not None}

    def mask_on(self, volume: Volume) -> np.ndarray:
        """The mask on the grid of one of the images, whose voxels may be parts of the mask's."""
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
    notes: list[str] = []
    images = {"source": candidate.source, "target": candidate.target}
    series = {"source": candidate.source_series, "target": candidate.target_series}
    codes = modalities(options)
    read = {
        role: read_checked(path, codes[role], notes, series[role]) if path is not None else None
        for role, path in images.items()
    }
    if candidate.mask is not None:
        options = replace(options, find_masks=False)
    built = build_images(read["source"], read["target"], options, candidate.id, progress=progress)
    _refuse_doubtful(built)
    built.notes = notes
    if candidate.mask is not None:
        built.mask = _read_mask(candidate.mask, built.first)
    return built


def _refuse_doubtful(built: BuiltCase) -> None:
    """Nobody looks at the pairs, so one must not be used if what was done to it seems to have failed."""
    method = built.registration.get("method", "")
    if built.doubt and method == "resampled":
        raise InputError(f"The pair does not fit: {built.doubt}; register the pairs (--register rigid).")
    if built.doubt and method != "as given":
        raise InputError(f"The registration failed: {built.doubt}.")


def build_images(
    source: Volume | None,
    target: Volume | None,
    options: CaseOptions,
    name: str,
    mask: Volume | None = None,
    transform: np.ndarray | None = None,
    progress: Progress | None = None,
) -> BuiltCase:
    """The images of a case from its volumes: degraded or laid onto one grid, with the body found in them.

    Args:
        source, target: one of them is enough where the source is made from the target, and for unpaired tasks.
        name: of the case; the noise that is simulated depends on it and on the seed.
        mask: not 0 in the body, on any grid, instead of finding it.
        transform: 4x4 from source to target points, RAS mm, instead of registering.

    Raises:
        InputError: an image cannot be used for this, one sentence.
    """
    tell = progress or (lambda fraction, message: None)
    for volume, code in zip((source, target), modalities(options).values(), strict=True):
        _check_components(volume, code)
    if options.degrade:
        built = BuiltCase(*_degraded(target if source is None else source, options, name, tell))
    elif source is None or target is None:
        built = BuiltCase(source, target)
    else:
        pair = align_pair(
            source,
            target,
            options.register,
            options.super_resolution,
            transform,
            lambda fraction, message: tell(0.1 + 0.8 * fraction, message),
        )
        built = BuiltCase(source, pair.target, None, pair.facts, [], pair.transform, pair.doubt)
    tell(0.9, "Finding the body")
    if mask is not None:
        built.mask = _sampled_mask(mask, built.first)
    elif options.find_masks:
        built.mask = _found_mask(built)
    return built


def modalities(options: CaseOptions) -> dict[str, str]:
    """DICOM modality codes by role."""
    return {"source": options.modality, "target": options.target_modality or options.modality}


def _check_components(volume: Volume | None, modality: str) -> None:
    expected = components(modality)
    if volume is not None and volume.channels != expected:
        kind = "a color picture" if expected == 3 else f"a scalar image ({modality or 'one value per voxel'})"
        raise InputError(f"it has {volume.channels} component(s) per voxel, but this task takes {kind}.")


def read_checked(path: Path, modality: str, notes: list[str], series: str | None = None) -> Volume:
    """An image that can be learnt from; what the reader has to say goes to ``notes``.

    Raises:
        InputError: it cannot be read, holds voxels that are no number, one value only, or a CT not in HU.
    """
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


def _read_mask(path: Path, grid: Volume) -> np.ndarray | None:
    from .image_io import read_volume

    volume = read_volume(path)[0]
    if volume.array.shape != grid.grid_shape or not volume.geometry.is_close(grid.geometry):
        raise InputError(f"The mask {path.name} does not lie on the grid of its image; resample it.")
    mask = volume.array != 0
    return mask if mask.any() else None


def _sampled_mask(mask: Volume, grid: Volume) -> np.ndarray:
    """A mask at the voxel centers of another grid."""
    import SimpleITK as sitk

    image = mask.with_array((mask.array != 0).astype(np.uint8)).to_sitk()
    empty = Volume(np.zeros(grid.grid_shape, np.uint8), grid.geometry).to_sitk()
    identity = sitk.Transform(3, sitk.sitkIdentity)
    sampled = sitk.GetArrayFromImage(sitk.Resample(image, empty, identity, sitk.sitkNearestNeighbor, 0)) != 0
    if not sampled.any():
        raise InputError("The mask covers no voxel of the image; choose a segment that lies in it.")
    return sampled


def _found_mask(built: BuiltCase) -> np.ndarray | None:
    """Air is the clearest in a CT, so where one of the pair is a CT, it decides."""
    target = built.target
    better = target is not None and target.units == "HU" and target.grid_shape == built.first.grid_shape
    mask = body_mask(target if better else built.first)
    return mask if mask.any() else None
