"""Does a volume look like what a generator was trained on? Compared by modality, spacing,
intensities and field of view.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .intensity import PADDING_BELOW_HU
from .manifest import Manifest
from .volume import Volume
from .working_grid import canonical

SPACING_TOLERANCE = 1.5
FIELD_TOLERANCE = 1.5
FITTED_SCALES = ("percentiles", "slice-range")
"""Scales that bring images of every range to the same numbers."""
_GRAVE = "do not trust the result"
_MOST_VOXELS = 200_000


@dataclass(frozen=True)
class Verdict:
    """Whether a volume suits a generator.

    Args:
        level: "good", "caution" (look at the result with care) or "unsuitable" (it cannot be used, or not be trusted).
        reasons: one sentence each, the gravest first; for "good" one that says what was compared.
    """

    level: str
    reasons: list[str]


def check(volume: Volume, manifest: Manifest) -> list[str]:
    """Warnings, one sentence each; empty if nothing stands out.

    Raises:
        InputError: the volume holds NaN or infinite values.
    """
    if volume.non_finite:
        raise InputError(
            f"The volume has {volume.non_finite} voxels that are no number (NaN or infinite); replace them first."
        )
    warnings = _modality(volume, manifest) + _intensities(volume, manifest)
    return warnings + _extent(_as_trained(volume, manifest), manifest)


def judge(volume: Volume, manifest: Manifest) -> Verdict:
    """:func:`check` as a traffic light; what cannot be used at all is unsuitable instead of an error."""
    if volume.channels != manifest.channels:
        return Verdict("unsuitable", [wrong_components(volume, manifest)])
    try:
        warnings = check(volume, manifest)
    except InputError as error:
        return Verdict("unsuitable", [str(error)])
    grave = [warning for warning in warnings if _GRAVE in warning]
    if grave:
        return Verdict("unsuitable", grave + [warning for warning in warnings if warning not in grave])
    compared = _compared(volume, manifest)
    if not manifest.fingerprint or not compared:
        unknown = "The model does not say what images it was trained on, so this one cannot be compared with them."
        return Verdict("caution", [*warnings, unknown])
    if warnings:
        return Verdict("caution", warnings)
    *before, last = compared
    are = f"{', '.join(before)} and {last} are like those" if before else f"{last} is like that"
    return Verdict("good", [f"{are[0].upper()}{are[1:]} of the training data."])


def wrong_components(volume: Volume, manifest: Manifest) -> str:
    """The sentence for a volume with other components than the generator takes."""
    return (
        f"'{manifest.title}' takes images of {manifest.channels} component(s) per voxel, "
        f"this one has {volume.channels}."
    )


def fingerprint(volumes: Iterable[Volume], patients: int) -> dict:
    """Fingerprint of training sources, as a manifest stores it; they are looked at one after the other."""
    spacings, fields, samples = [], [], []
    for volume in volumes:
        spacings.append(volume.geometry.spacing_mm)
        fields.append(volume.geometry.spacing_mm * volume.grid_shape[::-1])
        samples.append(_sample(volume.array))
    spacing, field, values = np.array(spacings), np.array(fields), np.concatenate(samples)
    names = (1, 5, 50, 95, 99)
    return {
        "spacing_mm": [[float(f"{step:.5g}") for step in ends] for ends in (spacing.min(axis=0), spacing.max(axis=0))],
        "field_of_view_mm": [field.min(axis=0).round(1).tolist(), field.max(axis=0).round(1).tolist()],
        "percentiles": {str(q): float(value) for q, value in zip(names, np.percentile(values, names), strict=True)},
        "patients": patients,
        "cases": len(spacings),
    }


def _sample(array: np.ndarray) -> np.ndarray:
    """At most ``_MOST_VOXELS`` voxels, evenly spread."""
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // _MOST_VOXELS)].astype(np.float32)


def _as_trained(volume: Volume, manifest: Manifest) -> Volume:
    """With the axes by which the training data are described."""
    return canonical(volume) if manifest.network.canonical else volume


def _compared(volume: Volume, manifest: Manifest) -> list[str]:
    """What of a volume was compared with the training data."""
    compared = ["modality"] if manifest.modality and volume.modality else []
    if "spacing_mm" in manifest.fingerprint and not _is_picture(volume, manifest):
        compared.append("voxel spacing")
    if manifest.fingerprint.get("percentiles") and manifest.intensity.get("kind") not in FITTED_SCALES:
        compared.append("intensities")
    if "field_of_view_mm" in manifest.fingerprint and manifest.modality != "SM":
        compared.append("field of view")
    return compared


def _is_picture(volume: Volume, manifest: Manifest) -> bool:
    """Whether it is a picture of a slide that does not tell the size of its pixels."""
    return manifest.modality == "SM" and bool(np.all(volume.geometry.spacing_mm == 1.0))


def _modality(volume: Volume, manifest: Manifest) -> list[str]:
    if manifest.modality and volume.modality and volume.modality != manifest.modality:
        return [f"This is a {volume.modality} volume, but the model was trained on {manifest.modality}; {_GRAVE}."]
    if manifest.units and volume.units and volume.units != manifest.units:
        return [f"The values are in {volume.units}, but the model expects {manifest.units}; {_GRAVE}."]
    return []


def _intensities(volume: Volume, manifest: Manifest) -> list[str]:
    trained = manifest.fingerprint.get("percentiles")
    if not trained or manifest.intensity.get("kind") in FITTED_SCALES:
        return []
    unit = f" {manifest.units}" if manifest.units else ""
    reach = trained["99"] - trained["1"]
    values = _sample(volume.array)
    low, high = np.percentile(values, (1, 99))
    stated = volume.units == "HU" and values.min() < 0  # a crop of soft tissue; raw values have no sign
    if manifest.units == "HU" and low >= -100 and not stated:
        return [
            f"The darkest voxels are at {low:.6g}, but in Hounsfield units air is at -1000: this looks like an MR, "
            f"or a CT without its rescale intercept; unless it is a crop without any air, {_GRAVE}."
        ]
    if manifest.units == "HU" and values.min() < PADDING_BELOW_HU < values.max():
        # one value far below air is what scanners put outside their field of view
        low, high = np.percentile(values[values > values.min()], (1, 99))
    if low < trained["1"] - 0.5 * reach or high > trained["99"] + 1.0 * reach:
        return [
            f"Intensities from {low:.6g} to {high:.6g}{unit} lie outside what the model was trained on "
            f"({trained['1']:.0f} to {trained['99']:.0f}{unit}); check the result with care."
        ]
    return []


def _extent(volume: Volume, manifest: Manifest) -> list[str]:
    warnings = []
    if _is_picture(volume, manifest):
        return []
    # Axes a 2-D network without context never looks along cannot matter.
    axes = (0, 1) if manifest.network.dimensions == 2 and manifest.network.context == 0 else (0, 1, 2)
    quantities = (
        ("spacing_mm", "voxel spacing", volume.geometry.spacing_mm, SPACING_TOLERANCE),
        ("field_of_view_mm", "field of view", volume.geometry.spacing_mm * volume.grid_shape[::-1], FIELD_TOLERANCE),
    )
    for key, label, values, tolerance in quantities:
        if key not in manifest.fingerprint:
            continue
        lowest, highest = manifest.fingerprint[key]
        if key == "spacing_mm" and manifest.network.spacing_mm is not None:  # finer images are brought to it
            lowest = [0.0, 0.0, 0.0]
        if key == "field_of_view_mm" and manifest.modality == "SM":
            continue  # tissue has no size
        for axis in axes:
            least = lowest[axis] / tolerance
            if key == "field_of_view_mm":
                least = min(least, _seen_mm(manifest, axis))
            if not least <= values[axis] <= highest[axis] * tolerance:
                warnings.append(
                    f"The {label} along {'ijk'[axis]} is {values[axis]:.3g} mm, the model was trained on "
                    f"{lowest[axis]:.3g} to {highest[axis]:.3g} mm; check the result with care."
                )
                break
    return warnings


def _seen_mm(manifest: Manifest, axis: int) -> float:
    """How far the network looks along an axis (i, j, k): a crop larger than that is as good as the whole scan."""
    halo = manifest.network.footprint.halos[2 - axis]
    if halo is None:
        return math.inf
    if manifest.network.spacing_mm is not None:
        return (2 * halo + 1) * manifest.network.spacing_mm[axis]
    spacing_mm = manifest.fingerprint.get("spacing_mm")
    return math.inf if spacing_mm is None else (2 * halo + 1) * spacing_mm[0][axis]
