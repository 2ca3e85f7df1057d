"""MR images of random contrast drawn from a real CT: pairs for MR to CT where no real ones can be had.

The way of SynthSR (Iglesias et al., NeuroImage 2021, and Science Advances 2023): anatomy is taken from a real scan,
the look of the MR is drawn at random, so widely that real MRs lie within what was seen. Here anatomy is a CT of the
head, divided into tissues by its HU; the brain, in which CT shows next to nothing, is filled with gray matter, white
matter and CSF at random. A generator trained on such pairs knows skulls and sinuses from real CTs, but no real MR.

Own code from the description of the method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .body_mask import body_mask
from .deformation import Deformation, smooth_noise
from .errors import InputError
from .intensity import AIR_HU
from .volume import Volume

AIR_BELOW_HU = -350.0
FAT_BELOW_HU = -20.0
BONE_ABOVE_HU = 170.0
CORTEX_ABOVE_HU = 300.0
MARROW_BELOW_HU = 900.0
SKULL_GAP_MM = 12.0
"""Holes of the skull (foramina, thin walls) are closed up to twice this width to find what it encloses."""
T1_RANGES = {
    "fat": (0.75, 1.2), "soft": (0.3, 0.62), "lining": (0.3, 0.9), "marrow": (0.08, 0.7), "cortex": (0.0, 0.14),
    "white": (0.62, 0.95), "gray": (0.42, 0.72), "csf": (0.08, 0.32),
}  # fmt: skip
"""Brightness of tissues in T1-weighted images; white matter is always brighter than gray, and this than CSF."""
MAPS = ("fat", "soft", "lining", "marrow", "cortex", "brain")


@dataclass(frozen=True)
class Tissues:
    """A CT and how much of each voxel is which tissue.

    Args:
        ct: HU, air outside the body.
        shares: name (see ``MAPS``) to uint8 array of the CT's shape, 255 for a voxel that is that tissue alone.
    """

    ct: Volume
    shares: dict[str, np.ndarray]


def tissues(ct: Volume) -> Tissues:
    """Tissues of a head CT; table and head rest are taken away.

    Args:
        ct: HU, voxels of about 1 mm.

    Raises:
        InputError: it is no CT in HU, or shows no skull.
    """
    from scipy import ndimage

    if ct.units != "HU" or ct.channels != 1:
        raise InputError("Synthetic contrasts are drawn from a CT in HU; this image is none.")
    spacing_mm = ct.geometry.spacing_mm[::-1]
    body = body_mask(ct)
    hu = np.where(body, ct.array, AIR_HU).astype(np.float32)
    air = hu < AIR_BELOW_HU
    bone = hu > BONE_ABOVE_HU
    brain = _enclosed(bone, spacing_mm) & ~bone & ~air
    if not brain.any():
        raise InputError("No skull that encloses a brain was found in the CT; take a scan of the head.")
    marrow = ndimage.binary_erosion(bone) & (hu < MARROW_BELOW_HU)
    classes = np.select([air, brain, hu < FAT_BELOW_HU, marrow, hu < CORTEX_ABOVE_HU], [0, 6, 1, 4, 2], default=5)
    # half air, half muscle has the HU of fat: what lines air is a tissue of its own, skin or mucosa
    lining = ndimage.binary_dilation(air, iterations=2) & np.isin(classes, (1, 2))
    classes[lining] = 3
    widths = 0.6 / spacing_mm
    shares = {
        name: (255 * ndimage.gaussian_filter((classes == number).astype(np.float32), widths)).astype(np.uint8)
        for number, name in enumerate(MAPS, start=1)
    }
    return Tissues(ct.with_array(ndimage.gaussian_filter(hu, widths)), shares)


def _enclosed(skull: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The largest cavity within the skull, its holes closed, on a grid of about 3 mm."""
    from scipy import ndimage

    step = [max(1, round(3.0 / spacing)) for spacing in spacing_mm]
    coarse = ndimage.maximum_filter(skull, step)[:: step[0], :: step[1], :: step[2]]
    sampling = spacing_mm * step
    pad = [(int(SKULL_GAP_MM / size) + 2,) * 2 for size in sampling]
    coarse = np.pad(coarse, pad, mode="edge")
    away_mm = ndimage.distance_transform_edt(~coarse, sampling=sampling)
    labels, count = ndimage.label(away_mm > SKULL_GAP_MM)
    core = tuple(slice(low, size - high) for (low, high), size in zip(pad, coarse.shape, strict=True))
    inner = labels[core]
    sizes = np.bincount(inner.ravel(), minlength=count + 1)
    sizes[0] = 0
    for axis in (1, 2):  # what reaches the front, the back or a side is outside; above and below the scan may end
        for edge in (0, -1):
            sizes[np.unique(np.take(labels, edge, axis=axis))] = 0
    if not sizes.any():
        return np.zeros(skull.shape, bool)
    grown_mm = ndimage.distance_transform_edt(labels != sizes.argmax(), sampling=sampling)
    cavity = (grown_mm <= SKULL_GAP_MM + 3.0)[core]  # and what the coarse grid lost
    for axis, factor in enumerate(step):
        cavity = np.repeat(cavity, factor, axis)
    return np.pad(cavity, [(0, max(0, n - m)) for n, m in zip(skull.shape, cavity.shape, strict=True)], mode="edge")[
        tuple(slice(size) for size in skull.shape)
    ]


def draw(anatomy: Tissues, spacing_mm: float, generator: np.random.Generator) -> tuple[Volume, Volume]:
    """A deformed version of the anatomy: an MR of random contrast and the CT that belongs to it.

    Args:
        anatomy: see :func:`tissues`.
        spacing_mm: of both results.
        generator: the same state gives the same pair.

    Returns:
        MR (uint16, no units) and CT (int16, HU) on one grid; both are air where the MR was cut off (defaced).
    """
    deformation = Deformation.draw(anatomy.ct, spacing_mm, generator)
    hu = deformation.apply(anatomy.ct.array, AIR_HU)
    shares = {name: deformation.apply(share, 0.0) / np.float32(255) for name, share in anatomy.shares.items()}
    shares |= _brain(shares.pop("brain"), spacing_mm, generator)
    brightness = _contrast(generator)
    image = np.zeros(hu.shape, np.float32)
    for name, share in shares.items():
        amount = generator.uniform(0.0, 0.12)
        texture = amount * smooth_noise(hu.shape, generator.uniform(2, 8) / spacing_mm, generator)
        image += brightness[name] * (1 + texture) * share
    image = _acquired(image, spacing_mm, generator)
    gone = _cut_off(hu, generator) if generator.random() < 0.5 else None
    if gone is not None:
        image[gone], hu[gone] = 0.0, AIR_HU
    grid = deformation.grid
    mr = Volume(np.rint(1000 * image).clip(0, 65535).astype(np.uint16), grid.geometry, "", "MR")
    return mr, Volume(np.rint(hu).clip(AIR_HU, 3071).astype(np.int16), grid.geometry, "HU", "CT")


def _contrast(generator: np.random.Generator) -> dict[str, float]:
    """Brightness of each tissue: mostly like T1, at times anything, but air and cortical bone always stay dark."""
    if generator.random() < 0.75:
        values = {name: float(generator.uniform(*limits)) for name, limits in T1_RANGES.items()}
        values["gray"] = values["white"] * float(generator.uniform(0.6, 0.95))
        values["csf"] = min(values["csf"], 0.7 * values["gray"])
        return values
    values = {name: float(generator.uniform(0.1, 1.1)) for name in T1_RANGES}
    values["cortex"] = float(generator.uniform(0.0, 0.2))
    return values


def _brain(brain: np.ndarray, spacing_mm: float, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """White matter, gray matter and CSF within the brain: a rim and sulci of CSF, a folded cortex, ventricles."""
    from scipy import ndimage

    inside = brain > 0.5
    depth_mm = ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1, 1:-1] * spacing_mm
    folds = smooth_noise(brain.shape, generator.uniform(2.5, 4.5) / spacing_mm, generator)
    slow = smooth_noise(brain.shape, 20 / spacing_mm, generator)
    rim_mm = generator.uniform(0.5, 5.0) * (1 + 0.5 * slow)
    sulci = (folds > generator.uniform(0.8, 1.6)) & (depth_mm < generator.uniform(8, 30))
    where = np.argwhere(inside)
    ventricles = np.zeros(brain.shape, bool)
    if len(where):
        low, high = where.min(axis=0), where.max(axis=0)
        center = (low + high) / 2 + generator.normal(0, 6 / spacing_mm, 3)
        radii = np.array([generator.uniform(4, 12), generator.uniform(8, 30), generator.uniform(5, 18)]) / spacing_mm
        axes = np.ogrid[tuple(slice(size) for size in brain.shape)]
        distance = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, center, radii, strict=True))
        ventricles = distance + 0.5 * folds < 1
    csf = (depth_mm < rim_mm) | sulci | ventricles
    white = ~csf & (depth_mm + generator.uniform(2, 6) * folds > rim_mm + generator.uniform(3, 8))
    soften = generator.uniform(0.4, 0.9) / spacing_mm
    csf_share, white_share = (ndimage.gaussian_filter(part.astype(np.float32), soften) for part in (csf, white))
    return {
        "csf": brain * csf_share,
        "white": brain * white_share,
        "gray": brain * (1 - csf_share - white_share).clip(0),
    }


def _acquired(image: np.ndarray, spacing_mm: float, generator: np.random.Generator) -> np.ndarray:
    """What a scanner adds: coil shading, thicker slices, contrast curve, noise (of a magnitude image)."""
    from scipy import ndimage

    shading = smooth_noise(image.shape, generator.uniform(25, 60) / spacing_mm, generator)
    image = image * np.exp(generator.uniform(0.0, 0.35) * shading)
    widths = np.full(3, generator.uniform(0.0, 0.45))
    if generator.random() < 0.4:
        widths[generator.integers(3)] = generator.uniform(0.4, 1.2)
    image = ndimage.gaussian_filter(image, widths)
    image = image.clip(0) ** math.exp(generator.normal(0, 0.15))
    noise = generator.uniform(0.0, 0.05)
    real, imaginary = (noise * generator.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    noisy = np.hypot(image + real, imaginary)
    if generator.random() < 0.4:  # many files hold exact zeros outside the head
        noisy[ndimage.gaussian_filter(image, 1.0) < 0.02] = 0.0
    return noisy.astype(np.float32)


def _cut_off(hu: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """What an MR does not show: the face (made unrecognisable), or all below a tilted plane, as templates are."""
    k, j, _ = np.ogrid[tuple(slice(size) for size in hu.shape)]
    up, ahead = (axis / (size - 1) for axis, size in ((k, hu.shape[0]), (j, hu.shape[1])))
    if generator.random() < 0.5:
        below = up + generator.uniform(-0.3, 0.3) * (ahead - 0.5) < generator.uniform(0.05, 0.45)
        return np.broadcast_to(below, hu.shape)
    # axes run to anterior and superior: the face is ahead and low
    face = (ahead - generator.uniform(0.6, 0.85)) + generator.uniform(0.3, 1.0) * (generator.uniform(0.4, 0.6) - up) > 0
    return np.broadcast_to(face & (up < generator.uniform(0.4, 0.65)), hu.shape)
