"""A simulated plain CT from a contrast-enhanced one, for pairs that nobody scanned.

No free data holds the same patient with and without contrast medium on one grid. What can be had is the enhanced scan;
this module takes the contrast medium out of it again: enhanced blood is told from bone, brought down to the HU of plain
blood with its noise, its edges composed anew from the shares of blood and neighbor in each voxel, and the moderate
enhancement of heart muscle and organs is flattened. It is a drawing of a plain scan, not one: a generator trained on
such pairs may learn traces of the drawing, so nothing it does may be believed before real pairs say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .volume import Volume

PLAIN_BLOOD_HU = 45.0
ENHANCED_ABOVE_HU = 130.0
"""Nothing but bone, calcification and contrast medium is brighter."""
CORTICAL_HU = 650.0
SOFT_TISSUE_HU = (0.0, 180.0)
KNEE_HU = 55.0
KEPT_CONTRAST = 0.2
"""What is left of enhancement above the knee in soft tissue; livers and muscles differ by themselves too."""
COMPACT_HU = 1000.0
LUNG_BELOW_HU = -400.0
EVEN_MM = 4.5
EVEN_SHARE = 0.13
LEAST_CORE_MM3 = 60.0
RIM_MM = 4.0
EDGE_MM = 2.3
LEVEL_MM = 4.0
FAR_MM = 30.0
_CLIP = 3.0  # standard deviations: what differs more from its surroundings is structure, not noise


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


def virtual_noncontrast(enhanced: Volume, seed: int = 0) -> PlainScan:
    """Take the contrast medium out of a CT.

    Args:
        enhanced: contrast-enhanced CT in HU; voxels of 0.5 to 2 mm.
        seed: of the noise that edges get, which cannot keep their own.

    Raises:
        InputError: it is not in HU, or shows no enhanced vessel.
    """
    if enhanced.units != "HU" or enhanced.channels != 1:
        raise InputError("Contrast medium can only be taken out of a CT in HU; load the CT itself.")
    hu = enhanced.array.astype(np.float32)
    spacing_mm = np.asarray(enhanced.geometry.spacing_mm[::-1], float)
    calm = _median(hu)
    blood, bone = _blood_and_bone(calm, spacing_mm)
    if not blood.any():
        raise InputError("No enhanced vessel was found, so there is no contrast medium to take out of this scan.")
    noise_hu, grain = _noise(hu, calm, blood, bone)
    plain = _Drawing(hu, calm, blood, bone, spacing_mm, noise_hu).drawn(_texture(hu.shape, grain, seed))
    return PlainScan(
        enhanced.with_array(np.maximum(plain, hu.min())), blood, bone, float(np.median(hu[blood])), noise_hu
    )


class _Drawing:
    """Replaces blood, its edges and enhanced soft tissue in an image."""

    def __init__(
        self, hu: np.ndarray, calm: np.ndarray, blood: np.ndarray, bone: np.ndarray, spacing_mm: np.ndarray, noise: float
    ):
        from scipy import ndimage

        self.hu, self.calm, self.blood, self.bone, self.spacing_mm, self.noise = hu, calm, blood, bone, spacing_mm, noise
        inside_mm = ndimage.distance_transform_edt(blood, sampling=spacing_mm)
        outside_mm = ndimage.distance_transform_edt(~blood, sampling=spacing_mm)
        self.core = inside_mm > EDGE_MM
        self.edge = ~self.core & (outside_mm < EDGE_MM) & ~bone
        low, high = SOFT_TISSUE_HU
        self.soft = ~blood & ~self.edge & ~bone & (calm > low) & (calm < high)

    def drawn(self, texture: np.ndarray) -> np.ndarray:
        """The plain image; ``texture`` is noise of deviation 1."""
        soft_level = self._level(self.soft)
        plain = self.hu.copy()
        tissue = soft_level + np.clip(self.hu - soft_level, -_CLIP * self.noise, _CLIP * self.noise)
        change = np.where(soft_level > KNEE_HU, (KEPT_CONTRAST - 1) * (soft_level - KNEE_HU), 0.0)
        plain[self.soft] = (np.where(change < 0, tissue, self.hu) + change)[self.soft]
        blood_level = self._level(self.core | (self.blood & ~self.edge))
        noise = np.clip(self.hu - blood_level, -_CLIP * self.noise, _CLIP * self.noise)
        excess = max(1.0, float(noise[self.core].std()) / self.noise) if self.core.any() else 1.0
        plain[self.core] = (PLAIN_BLOOD_HU + noise / excess)[self.core]
        share, beside = self._shares(plain)
        composed = share * PLAIN_BLOOD_HU + (1 - share) * beside + self.noise * texture
        plain[self.edge] = composed[self.edge]
        return plain

    def _shares(self, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the edge: share of blood in each voxel, and the plain HU of what lies beyond."""
        from scipy import ndimage

        inside = self._level(self.blood, brightest=True)
        beyond = ~self.blood & ~self.edge
        at = ndimage.distance_transform_edt(~beyond, sampling=self.spacing_mm, return_distances=False, return_indices=True)
        calm_plain = _median(plain)
        outside_before, outside_after = self.calm[tuple(at)], calm_plain[tuple(at)]
        height = np.maximum(inside - outside_before, 50.0)
        share = np.clip((self.calm - outside_before) / height, 0.0, 1.0)
        return share, np.minimum(outside_after, self.calm)

    def _level(self, where: np.ndarray, brightest: bool = False) -> np.ndarray:
        """Local mean of the image over a class of voxels, everywhere (far from the class, that of its nearest)."""
        from scipy import ndimage

        image = self.calm
        if brightest:  # thin vessels are blood all through in none of their voxels
            size = [max(1, int(2 * LEVEL_MM / mm) | 1) for mm in self.spacing_mm]
            image = ndimage.maximum_filter(np.where(where, self.calm, -np.inf), size)
            where = where & np.isfinite(image)
        total, weight = np.zeros_like(self.hu), np.zeros_like(self.hu)
        for width_mm, trust in ((LEVEL_MM / 2, 1.0), (4 * LEVEL_MM, 1e-4)):
            width = width_mm / self.spacing_mm
            total += trust * ndimage.gaussian_filter(np.where(where, image, 0).astype(np.float32), width)
            weight += trust * ndimage.gaussian_filter(where.astype(np.float32), width)
        return total / np.maximum(weight, 1e-12)


def _blood_and_bone(calm: np.ndarray, spacing_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enhanced blood (and organs as bright) and bone among what is bright.

    Blood is even over some millimeters and bone nowhere, for its cortex and trabeculae; thin vessels show by what is
    around them: lung, or soft tissue far from cortical bone. Where vessel and bone touch, a watershed parts them.
    """
    from scipy import ndimage
    from skimage.segmentation import watershed

    bright = calm > ENHANCED_ABOVE_HU
    cores = _even_cores(calm, bright, spacing_mm)
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
    labels = watershed(ndimage.gaussian_gradient_magnitude(calm, 0.7), markers, mask=bright)
    return bright & (labels == 1), bright & (labels == 2)


def _even_cores(calm: np.ndarray, bright: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Regions of bright voxels that differ little from their neighbors, large enough not to be chance."""
    from scipy import ndimage

    size = [max(3, int(EVEN_MM / mm) | 1) for mm in spacing_mm]
    mean = ndimage.uniform_filter(calm, size)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(calm * calm, size) - mean * mean, 0))
    even = bright & (deviation < EVEN_SHARE * np.maximum(mean, 2 * ENHANCED_ABOVE_HU)) & (calm < COMPACT_HU)
    even = ndimage.binary_opening(even)
    labels, count = ndimage.label(even)
    large = np.bincount(labels.ravel(), minlength=count + 1) * np.prod(spacing_mm) > LEAST_CORE_MM3
    large[0] = False
    return large[labels]


def _noise(hu: np.ndarray, calm: np.ndarray, blood: np.ndarray, bone: np.ndarray) -> tuple[float, float]:
    """Standard deviation of the noise in soft tissue, and how alike neighbors in a slice are (0 to 1)."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(hu, (0, 2.0, 2.0))
    flat = (np.abs(smooth - 50) < 40) & ~ndimage.binary_dilation(blood | bone, iterations=3)
    flat &= ndimage.gaussian_gradient_magnitude(smooth, 1.0) < 6
    if np.count_nonzero(flat) < 500:
        flat = np.abs(calm - 50) < 60
    residual = hu - smooth
    noise = residual[flat].std()
    pairs = flat[..., 1:] & flat[..., :-1]
    alike = float((residual[..., 1:] * residual[..., :-1])[pairs].mean() / noise**2)
    return float(noise), float(np.clip(alike, 0.0, 0.9))


def _texture(shape: tuple[int, ...], alike: float, seed: int) -> np.ndarray:
    """Noise of deviation 1 whose neighbors in a slice are alike to a degree, as reconstruction kernels make it."""
    from scipy import ndimage

    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    if alike > 0.02:  # a Gaussian of width s makes neighbors alike by exp(-1 / (4 s^2))
        width = 0.5 / np.sqrt(-np.log(alike))
        noise = ndimage.gaussian_filter(noise, (0, width, width))
    return noise / noise.std()


def _median(image: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return ndimage.median_filter(image, 3)
