"""Texture: how much of the noise and of the sharpness of the reference an image has.

A denoiser can have a high PSNR and still look like plastic. Everything here is measured in places chosen on the
reference alone, in HU, on slices ``(j, i)`` of volumes ``(k, j, i)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..degrade import MINIMUM_TISSUE_PIXELS, SOFT_TISSUE_HU, homogeneous_tissue, noise_hu

SPECTRUM_WINDOW = 32
EDGE_PERCENTILE = 98.0
EDGE_SCALE_VOXELS = 1.0

Window = tuple[int, int, int]


@dataclass(frozen=True)
class Edges:
    """Where edges are, ``(k, j, i)``, and for each of their voxels the unit vector across it, ``(axes, voxels)``."""

    where: np.ndarray
    direction: np.ndarray
    axes: tuple[int, ...]


def tissue_of(reference_hu: np.ndarray) -> np.ndarray:
    """Mask of homogeneous soft tissue, slice by slice; slices with hardly any count as none."""
    masks = [homogeneous_tissue(image) for image in reference_hu]
    return np.stack([mask if mask.sum() >= MINIMUM_TISSUE_PIXELS else np.zeros_like(mask) for mask in masks])


def noise_of(image_hu: np.ndarray, tissue: np.ndarray) -> float:
    """Standard deviation in HU in homogeneous tissue, root mean square over its pixels; NaN where there is none."""
    counts = tissue.sum(axis=(1, 2))
    used = np.flatnonzero(counts)
    if not used.size:
        return float("nan")
    variances = np.array([noise_hu(image_hu[k], tissue[k]) ** 2 for k in used])
    return float(np.sqrt((variances * counts[used]).sum() / counts[used].sum()))


def homogeneous_windows(reference_hu: np.ndarray) -> list[Window]:
    """Corners (k, j, i) of 32x32 windows, half overlapping, that lie in soft tissue; of these the most even third.

    How even is judged on a heavily smoothed slice, so that windows are not chosen for little noise.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, uniform_filter

    size, half = SPECTRUM_WINDOW, SPECTRUM_WINDOW // 2
    found: list[tuple[float, Window]] = []
    for k, image in enumerate(reference_hu):
        smooth = gaussian_filter(image.astype(np.float32), 4.0)
        soft = (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
        if min(soft.shape) < size or np.count_nonzero(soft) < size**2:
            continue
        share, slope = (
            uniform_filter(values.astype(np.float32), size, mode="constant")[half:, half:]
            for values in (soft, gaussian_gradient_magnitude(smooth, 4.0))
        )
        rows, columns = (range(0, extent - size + 1, half) for extent in soft.shape)
        found += [(float(slope[j, i]), (k, j, i)) for j in rows for i in columns if share[j, i] > 0.999]
    return [window for _, window in sorted(found)[: -(-len(found) // 3)]]


def noise_power_spectrum(image_hu: np.ndarray, windows: list[Window], pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise power spectrum averaged over windows and directions (ICRU 87): frequency in 1/mm, power in HU^2 mm^2.

    From every window the best-fitting plane is taken away, so that slow changes of tissue are not noise. The mean of
    the two-dimensional spectrum over all frequencies, divided by the area of a pixel, is the variance in HU^2.

    Args:
        windows: corners from :func:`homogeneous_windows`, at least one.
        pixel_mm: size of the square pixels.
    """
    size = SPECTRUM_WINDOW
    blocks = np.stack([image_hu[k, j : j + size, i : i + size] for k, j, i in windows]).astype(np.float64)
    axis = np.arange(size) - (size - 1) / 2
    plane = np.stack([np.ones((size, size)), *np.meshgrid(axis, axis, indexing="ij")]).reshape(3, -1)
    flat = blocks.reshape(len(blocks), -1)
    flat = flat - (flat @ plane.T / (plane**2).sum(axis=1)) @ plane  # the three functions are orthogonal
    power = (np.abs(np.fft.fft2(flat.reshape(blocks.shape))) ** 2).mean(axis=0) * (pixel_mm / size) ** 2
    frequency = np.fft.fftfreq(size, pixel_mm)
    ring = np.rint(np.hypot(*np.meshgrid(frequency, frequency)) * size * pixel_mm).astype(int)
    rings = np.arange(1, size // 2 + 1)
    return rings / (size * pixel_mm), np.array([power[ring == number].mean() for number in rings])


def mean_frequency(frequency: np.ndarray, power: np.ndarray) -> float:
    """Mean of a radial spectrum, in the unit of ``frequency``: low for blotchy noise, high for fine grain."""
    return float((frequency * power).sum() / power.sum()) if power.sum() > 0 else float("nan")


def peak_frequency(frequency: np.ndarray, power: np.ndarray) -> float:
    """Frequency at which a radial spectrum is highest, in the unit of ``frequency``."""
    return float(frequency[np.argmax(power)])


def strong_edges(reference: np.ndarray, mask: np.ndarray, axes: tuple[int, ...] = (1, 2)) -> Edges:
    """The 2 % of the mask where the reference is steepest, and the direction of its slope there.

    Args:
        reference: ``(k, j, i)``, any unit. mask: of that shape.
        axes: array axes along which slopes count: in the slices, or all three where voxels are about cubes.
    """
    slopes = _slopes(reference, axes)
    steepness = np.sqrt((slopes**2).sum(axis=0))
    if not mask.any():
        return Edges(np.zeros(mask.shape, bool), np.empty((len(axes), 0)), axes)
    where = mask & (steepness > 0) & (steepness >= np.percentile(steepness[mask], EDGE_PERCENTILE))
    return Edges(where, slopes[:, where] / steepness[where], axes)


def edge_slope(image: np.ndarray, edges: Edges) -> float:
    """Mean slope across edges, in units per voxel, to which noise does not add, having no direction."""
    if not edges.where.any():
        return float("nan")
    return float((_slopes(image, edges.axes)[:, edges.where] * edges.direction).sum(axis=0).mean())


def _slopes(image: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Derivatives along ``axes`` of the image smoothed by a Gaussian of one voxel along these axes."""
    from scipy.ndimage import gaussian_filter

    scale = [EDGE_SCALE_VOXELS if axis in axes else 0.0 for axis in range(3)]
    image = image.astype(np.float32)
    return np.stack([gaussian_filter(image, scale, order=[int(axis == along) for axis in range(3)]) for along in axes])
