"""A simulated plain CT from a contrast-enhanced one, for pairs that nobody scanned.

No free data holds the same patient with and without contrast medium on one grid. What can be had is the enhanced scan;
this module takes the contrast medium out of it again: enhanced blood is told from bone, brought down to the HU of plain
blood with noise like that around it, its edges composed anew from the shares of blood and neighbor in each voxel, and
the moderate enhancement of heart muscle and organs is flattened. It is a drawing of a plain scan, not one: a generator
trained on such pairs may learn traces of the drawing, so nothing it does may be believed before real pairs say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .tile_plan import Box
from .volume import Volume

PLAIN_BLOOD_HU = 45.0
ENHANCED_ABOVE_HU = 130.0
"""Nothing but bone, calcification and contrast medium is brighter."""
CORTICAL_HU = 650.0
SOFT_TISSUE_HU = (0.0, 220.0)
KNEE_HU = 55.0
KEPT_CONTRAST = 0.1
"""What is left of enhancement above the knee in soft tissue; livers and muscles differ by themselves too."""
COMPACT_HU = 1000.0
LUNG_BELOW_HU = -400.0
EVEN_MM = 4.5
EVEN_SHARE = 0.13
LEAST_CORE_MM3 = 60.0
RIM_MM = 4.0
CORTEX_SHARE = 1.3
LEAST_RIM = 0.4
EDGE_MM = 2.3
LEVEL_MM = 4.0
THIN_MM = 6.0
FAR_MM = 30.0


@dataclass(frozen=True)
class PlainScan:
    """A simulated plain scan.

    Args:
        volume: HU, float32, on the grid of the enhanced scan.
        blood: bool ``(k, j, i)``, what was taken for enhanced blood. bone: likewise.
        blood_hu: median of the enhanced blood.
        noise_hu: standard deviation of the noise in soft tissue.
    """

    volume: Volume
    blood: np.ndarray
    bone: np.ndarray
    blood_hu: float
    noise_hu: float


def virtual_noncontrast(
    enhanced: Volume, seed: int = 0, blood_boxes: Sequence[Box] = (), bone_boxes: Sequence[Box] = ()
) -> PlainScan:
    """Take the contrast medium out of a CT.

    Args:
        enhanced: contrast-enhanced CT in HU; voxels of 0.5 to 2 mm.
        seed: of the noise that plain blood gets.
        blood_boxes: where everything bright is blood (the heart, whose trabeculae are as uneven as bone).
        bone_boxes: where everything bright is bone (the spine, whose marrow can be as even as blood).

    Raises:
        InputError: it is not in HU, or shows no enhanced vessel.
    """
    if enhanced.units != "HU" or enhanced.channels != 1:
        raise InputError("Contrast medium can only be taken out of a CT in HU; load the CT itself.")
    hu = enhanced.array.astype(np.float32)
    spacing_mm = np.asarray(enhanced.geometry.spacing_mm[::-1], float)
    calm = _median(hu)
    blood, bone = _blood_and_bone(calm, spacing_mm, blood_boxes, bone_boxes)
    if not blood.any():
        raise InputError("No enhanced vessel was found, so there is no contrast medium to take out of this scan.")
    noise_hu, grain = _noise(hu, calm, blood, bone)
    plain = _Drawing(hu, blood, bone, spacing_mm, noise_hu).drawn(_texture(hu.shape, grain, seed))
    return PlainScan(
        enhanced.with_array(np.maximum(plain, hu.min())), blood, bone, float(np.median(hu[blood])), noise_hu
    )


class _Drawing:
    """Replaces blood, its edges and enhanced soft tissue in an image."""

    def __init__(self, hu: np.ndarray, blood: np.ndarray, bone: np.ndarray, spacing_mm: np.ndarray, noise: float):
        from scipy import ndimage

        self.hu, self.calm, self.spacing_mm, self.noise = hu, _median(hu), spacing_mm, noise
        self.blood, self.bone = blood, bone
        inside_mm = ndimage.distance_transform_edt(blood, sampling=spacing_mm)
        outside_mm = ndimage.distance_transform_edt(~blood, sampling=spacing_mm)
        self.core = inside_mm > EDGE_MM
        self.edge = ~self.core & (outside_mm < EDGE_MM) & ~bone
        low, high = SOFT_TISSUE_HU
        calmer = ndimage.gaussian_filter(self.calm, 0.8)
        self.soft = ~self.core & ~self.edge & ~bone & (calmer > low) & (calmer < high)

    def drawn(self, texture: np.ndarray) -> np.ndarray:
        """The plain image; ``texture`` is noise of deviation 1."""
        plain = self.hu.copy()
        level = self._level(self.soft, LEVEL_MM)
        excess = np.maximum(level - KNEE_HU, 0.0)
        plain[self.soft] -= ((1 - KEPT_CONTRAST) * excess)[self.soft]
        # the noise of enhanced blood holds streaks and mixing, and would tell blood from its edges
        plain[self.core] = (PLAIN_BLOOD_HU + self.noise * texture)[self.core]
        self._dim_lung_vessels(plain)
        share, beside = self._shares(plain)
        composed = share * PLAIN_BLOOD_HU + (1 - share) * beside + self.noise * texture
        plain[self.edge] = composed[self.edge]
        return plain

    def _dim_lung_vessels(self, plain: np.ndarray) -> None:
        """Take their share of blood from what is too thin to be seen as blood, in the lungs."""
        from scipy import ndimage

        lung = self.calm < LUNG_BELOW_HU
        filled = ndimage.distance_transform_edt(~lung, sampling=self.spacing_mm) < THIN_MM
        filled = ndimage.distance_transform_edt(filled, sampling=self.spacing_mm) > THIN_MM
        thin = filled & ~self.core & ~self.edge & ~ndimage.binary_dilation(self.bone) & (self.hu > LUNG_BELOW_HU)
        lung_hu = float(np.median(self.hu[lung])) if lung.any() else LUNG_BELOW_HU
        height = np.maximum(self._level(self.blood, LEVEL_MM) - lung_hu, 400.0)
        share = np.clip((self.hu - lung_hu) / height, 0.0, 1.0)
        plain[thin] -= (share * (height + lung_hu - PLAIN_BLOOD_HU))[thin]

    def _shares(self, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the edge: share of blood in each voxel, and the plain HU of what lies beyond."""
        from scipy import ndimage

        inside = self._level(self.blood, LEVEL_MM, brightest=True)
        beyond = ~self.blood & ~self.edge
        at = ndimage.distance_transform_edt(~beyond, self.spacing_mm, return_distances=False, return_indices=True)
        calm_plain = _median(plain)
        outside_before, outside_after = self.calm[tuple(at)], calm_plain[tuple(at)]
        height = np.maximum(inside - outside_before, 50.0)
        share = np.clip((self.calm - outside_before) / height, 0.0, 1.0)
        return share, np.minimum(outside_after, self.calm)

    def _level(self, where: np.ndarray, reach_mm: float, brightest: bool = False) -> np.ndarray:
        """Local mean of the image over a class of voxels, everywhere (far from the class, that of its nearest)."""
        from scipy import ndimage

        image = self.calm
        if brightest:  # thin vessels are blood all through in none of their voxels
            size = [max(1, int(2 * LEVEL_MM / mm) | 1) for mm in self.spacing_mm]
            image = ndimage.maximum_filter(np.where(where, self.calm, -np.inf), size)
            where = where & np.isfinite(image)
        total, weight = np.zeros_like(self.hu), np.zeros_like(self.hu)
        for width_mm, trust in ((reach_mm / 2, 1.0), (4 * LEVEL_MM, 1e-4)):
            width = width_mm / self.spacing_mm
            total += trust * ndimage.gaussian_filter(np.where(where, image, 0).astype(np.float32), width)
            weight += trust * ndimage.gaussian_filter(where.astype(np.float32), width)
        return total / np.maximum(weight, 1e-12)


def _blood_and_bone(
    calm: np.ndarray, spacing_mm: np.ndarray, blood_boxes: Sequence[Box], bone_boxes: Sequence[Box]
) -> tuple[np.ndarray, np.ndarray]:
    """Enhanced blood (and organs as bright) and bone among what is bright.

    Blood is even over some millimeters and bone nowhere, for its cortex and trabeculae; thin vessels show by what is
    around them: lung, or soft tissue far from cortical bone. Where vessel and bone touch, a watershed parts them.
    """
    from scipy import ndimage
    from skimage.segmentation import watershed

    bright = calm > ENHANCED_ABOVE_HU
    cores = _even_cores(calm, bright, spacing_mm)
    for box in bone_boxes:
        cores[box.slices] = False
    for box in blood_boxes:
        cores[box.slices] = bright[box.slices]
    near_core = ndimage.distance_transform_edt(~cores, sampling=spacing_mm) < 2 * EDGE_MM
    rest, count = ndimage.label(bright & ~near_core)
    peak = np.append(0, ndimage.maximum(calm, rest, np.arange(1, count + 1)))
    at_mm, at = ndimage.distance_transform_edt(rest == 0, sampling=spacing_mm, return_indices=True)
    owner, around = rest[tuple(at)], (at_mm > 0) & (at_mm < RIM_MM)
    ring = np.maximum(np.bincount(owner[around], minlength=count + 1), 1)
    lung = np.bincount(owner[around & (calm < LUNG_BELOW_HU)], minlength=count + 1) / ring
    cortical_mm = ndimage.distance_transform_edt(calm < CORTICAL_HU, sampling=spacing_mm)
    to_bone_mm = np.append(0, ndimage.minimum(np.where(near_core, FAR_MM, cortical_mm), rest, np.arange(1, count + 1)))
    vessel = (lung > 0.5) | ((peak < ENHANCED_ABOVE_HU + 250) & (to_bone_mm > 2 * RIM_MM))
    vessel[0] = False
    markers = np.where(cores, 1, 0).astype(np.int32)
    markers[rest > 0] = np.where(vessel, 1, 2)[rest[rest > 0]]
    for boxes, label in ((blood_boxes, 1), (bone_boxes, 2)):
        for box in boxes:
            markers[box.slices] = np.where(bright[box.slices], label, 0)
    labels = watershed(ndimage.gaussian_gradient_magnitude(calm, 0.7), markers, mask=bright)
    blood, bone = bright & (labels == 1), bright & (labels == 2)
    marrow = np.stack([ndimage.binary_fill_holes(image) for image in bone])  # dark between its trabeculae
    return blood, bone | (marrow & ~blood)


def _even_cores(calm: np.ndarray, bright: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Regions of bright voxels that differ little from their neighbors, large enough not to be chance.

    Those in a brighter rim are marrow in its cortex.
    """
    from scipy import ndimage

    size = [max(3, int(EVEN_MM / mm) | 1) for mm in spacing_mm]
    mean = ndimage.uniform_filter(calm, size)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(calm * calm, size) - mean * mean, 0))
    even = bright & (deviation < EVEN_SHARE * np.maximum(mean, 2 * ENHANCED_ABOVE_HU)) & (calm < COMPACT_HU)
    even = ndimage.binary_opening(even)
    labels, count = ndimage.label(even)
    large = np.bincount(labels.ravel(), minlength=count + 1) * np.prod(spacing_mm) > LEAST_CORE_MM3
    large[0] = False
    level = np.append(0, ndimage.mean(calm, labels, np.arange(1, count + 1)))
    away_mm, at = ndimage.distance_transform_edt(labels == 0, sampling=spacing_mm, return_indices=True)
    owner, ring = labels[tuple(at)], (away_mm > 0) & (away_mm < RIM_MM)
    brighter = ring & (calm > CORTEX_SHARE * level[owner])
    share = np.bincount(owner[brighter], minlength=count + 1) / np.maximum(
        np.bincount(owner[ring], minlength=count + 1), 1
    )
    return (large & (share < LEAST_RIM))[labels]


def _noise(hu: np.ndarray, calm: np.ndarray, blood: np.ndarray, bone: np.ndarray) -> tuple[float, float]:
    """Standard deviation of the noise in soft tissue, and how alike neighbors in a slice are (0 to 1)."""
    from scipy import ndimage

    tissue = (np.abs(calm - 50) < 60) & ~ndimage.binary_dilation(blood | bone, iterations=2)
    if not tissue.any():
        return 0.0, 0.0
    mean = ndimage.uniform_filter(hu, (1, 7, 7))
    power = np.maximum(ndimage.uniform_filter(hu * hu, (1, 7, 7)) - mean * mean, 0)
    flat = tissue & (power <= np.percentile(power[tissue], 15))  # the rest holds edges
    noise = float(np.sqrt(np.median(power[flat])))
    residual, pairs = hu - mean, flat[..., 1:] & flat[..., :-1]
    alike = (residual[..., 1:] * residual[..., :-1])[pairs].mean() / max(noise**2, 1e-6)
    return noise, float(np.clip(alike, 0.0, 0.9))


def _texture(shape: tuple[int, ...], alike: float, seed: int) -> np.ndarray:
    """Noise of deviation 1 whose neighbors in a slice are alike to a degree, as reconstruction kernels make it."""
    from scipy import ndimage

    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    if alike > 0.02:  # a Gaussian of width s makes neighbors alike by exp(-1 / (4 s^2))
        width = max(0.5 / np.sqrt(-np.log(alike)), 0.45)
        noise = ndimage.gaussian_filter(noise, (0, width, width))
    return noise / noise.std()


def _median(image: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return ndimage.median_filter(image, 3)
