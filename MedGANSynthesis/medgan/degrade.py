"""Degradations that turn a good image into the bad one a generator has to repair.

Low-dose CT by noise insertion in the projection domain (Yu et al., J Comput Assist Tomogr 2012; Zeng et al., IEEE
Trans Nucl Sci 2015). The clinical image is never reconstructed again: only the noise that a lower tube current
would have added is projected back, so the untouched image remains the exact target of the simulated one.

Not modelled: fan and cone geometry, helical interpolation, tube-current modulation, beam hardening, scatter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .volume import Volume

WATER_PER_MM = 0.0192
ELECTRONIC_VARIANCE = 10.0
FALLBACK_PHOTONS = 1.0e5
MINIMUM_TISSUE_PIXELS = 200
SOFT_TISSUE_HU = (-50.0, 150.0)

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class LowDoseSimulator:
    """Inserts the noise of a lower dose into CT slices, parallel-beam model.

    Args:
        photons: unattenuated photons per detector reading at full dose (I0); see :func:`calibrate_photons`.
        views: projection angles over 180 degrees.
        electronic_variance: detector noise in squared electrons (se^2).
    """

    photons: float = FALLBACK_PHOTONS
    views: int = 600
    electronic_variance: float = ELECTRONIC_VARIANCE

    def project(self, slice_hu: np.ndarray, pixel_mm: float) -> np.ndarray:
        """Line integrals of attenuation of one square slice (HU), shape ``(detectors, views)``, no unit."""
        from skimage.transform import radon

        attenuation = np.clip(WATER_PER_MM * (slice_hu.astype(np.float32) / 1000.0 + 1.0), 0.0, None)
        attenuation[~_scan_circle(slice_hu.shape[0])] = 0.0
        return radon(attenuation, self._angles, circle=True) * np.float32(pixel_mm)

    def noise_hu(
        self, sinogram: np.ndarray, pixel_mm: float, dose: float, generator: np.random.Generator
    ) -> np.ndarray:
        """Noise in HU, to be added to the slice of ``sinogram`` so that it looks as if taken at ``dose``
        (fraction, 0..1).
        """
        inverse = np.exp(sinogram) / self.photons
        variance = (1 - dose) / dose * inverse * (1 + (1 + dose) / dose * self.electronic_variance * inverse)
        return self._back_project(variance, pixel_mm, generator)

    def full_dose_noise_hu(self, sinogram: np.ndarray, pixel_mm: float, generator: np.random.Generator) -> np.ndarray:
        """Noise in HU that the model expects in the full-dose slice itself (used to calibrate ``photons``)."""
        inverse = np.exp(sinogram) / self.photons
        return self._back_project(inverse * (1 + self.electronic_variance * inverse), pixel_mm, generator)

    def _back_project(self, variance: np.ndarray, pixel_mm: float, generator: np.random.Generator) -> np.ndarray:
        from skimage.transform import iradon

        noise = generator.standard_normal(variance.shape, dtype=np.float32) * np.sqrt(variance)
        image = iradon(noise, self._angles, filter_name="hann", circle=True, output_size=variance.shape[0])
        return (1000.0 / WATER_PER_MM / pixel_mm * image).astype(np.float32)

    @property
    def _angles(self) -> np.ndarray:
        return np.arange(self.views) * (180.0 / self.views)


def simulate_low_dose(
    volume: Volume, dose: float = 0.25, seed: int = 0, photons: float | None = None, progress: Progress | None = None
) -> Volume:
    """The volume as it would look at a fraction of its dose.

    Args:
        volume: CT in HU; axial slices along k, square pixels.
        dose: fraction of the dose the volume was taken with, 0 < dose < 1; a quarter doubles the noise.
        seed: the same seed gives the same voxels.
        photons: I0 of the scan; by default calibrated on the volume itself.
        progress: called with (fraction, message) after every slice.

    Returns:
        Volume on the same grid, of the same type (integers are rounded and clipped to at least -1024 HU).

    Raises:
        InputError: the volume is not a scalar CT with square pixels, or ``dose`` is out of range.

    Example:
        >>> low = simulate_low_dose(ct, dose=0.25, seed=1)  # doctest: +SKIP
    """
    pixel_mm = _check(volume)
    if not 0.0 < dose < 1.0:
        raise InputError(f"The dose fraction must lie between 0 and 1 (0.25 is a quarter dose), not {dose}.")
    simulator = LowDoseSimulator(calibrate_photons(volume) if photons is None else photons)
    low = np.empty_like(volume.array)
    for k, slice_hu in enumerate(volume.array):
        square, crop = _square(slice_hu)
        generator = np.random.default_rng([seed, k])
        noise = simulator.noise_hu(simulator.project(square, pixel_mm), pixel_mm, dose, generator)[crop]
        # Detectors and reconstructions cannot report less than no attenuation at all, so scanners clip there.
        noisy = np.maximum(slice_hu + noise, min(-1024.0, float(slice_hu.min())))
        if low.dtype.kind in "iu":
            noisy = np.clip(np.rint(noisy), np.iinfo(low.dtype).min, np.iinfo(low.dtype).max)
        low[k] = noisy
        if progress is not None:
            progress((k + 1) / len(low), "Simulating a lower dose")
    return volume.with_array(low)


def calibrate_photons(volume: Volume, slices: int = 5) -> float:
    """I0 with which the noise model predicts the soft-tissue noise measured in ``volume``.

    Args:
        volume: CT in HU at full dose, square pixels.
        slices: how many slices, spread over the volume, are looked at. The median of their estimates is
            returned, weighted by the homogeneous tissue each shows: a slice through the face measures anatomy
            rather than noise.

    Returns:
        Photons per reading; a plausible default where no slice shows enough soft tissue.
    """
    pixel_mm = _check(volume)
    estimates, weights = [], []
    for k in np.unique(np.linspace(0, len(volume.array) - 1, slices + 2).astype(int)[1:-1]):
        square, _ = _square(volume.array[k])
        tissue = homogeneous_tissue(square)
        if tissue.sum() < MINIMUM_TISSUE_PIXELS:
            continue
        sinogram = LowDoseSimulator().project(square, pixel_mm)
        photons, measured = FALLBACK_PHOTONS, noise_hu(square, tissue)
        for _ in range(2):  # the electronic part is not proportional to 1/I0, so correct once more at the estimate
            noise = LowDoseSimulator(photons).full_dose_noise_hu(sinogram, pixel_mm, np.random.default_rng(0))
            photons *= (noise_hu(noise, tissue) / max(measured, 0.1)) ** 2
        estimates.append(photons)
        weights.append(int(tissue.sum()))
    if not estimates:
        return FALLBACK_PHOTONS
    order = np.argsort(estimates)
    cumulated = np.cumsum(np.array(weights)[order])
    return float(np.array(estimates)[order][np.searchsorted(cumulated, cumulated[-1] / 2)])


def homogeneous_tissue(slice_hu: np.ndarray) -> np.ndarray:
    """Mask of the soft tissue of a slice where the image varies little apart from noise.

    Decided on a heavily smoothed slice, not on the noise itself, so that it does not favour places that happen
    to be quiet.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(slice_hu.astype(np.float32), 4.0)
    tissue = ndimage.binary_erosion((smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1]), iterations=8)
    if not tissue.any():
        return tissue
    slope = ndimage.gaussian_gradient_magnitude(smooth, 4.0)
    return tissue & (slope <= np.percentile(slope[tissue], 30))


def noise_hu(image_hu: np.ndarray, tissue: np.ndarray) -> float:
    """Standard deviation in HU within 15x15 windows, root mean square over the pixels of ``tissue``.

    Means of variances add up for independent noises, which percentiles of local deviations do not.
    """
    from scipy import ndimage

    image = image_hu.astype(np.float64)
    mean = ndimage.uniform_filter(image, 15)
    variance = ndimage.uniform_filter(image**2, 15) - mean**2
    return float(np.sqrt(max(variance[tissue].mean(), 0.0)))


def _check(volume: Volume) -> float:
    """Pixel size in mm of a volume the model applies to."""
    spacing_i, spacing_j = volume.geometry.spacing_mm[:2]
    if volume.channels != 1 or volume.units != "HU":
        raise InputError("Low dose can only be simulated on a CT in Hounsfield units; choose a CT volume.")
    if abs(spacing_i - spacing_j) > 0.01 * spacing_i:
        raise InputError(
            f"Low dose is simulated on axial slices with square pixels, but these measure {spacing_i:.3g} x "
            f"{spacing_j:.3g} mm; resample the volume to square pixels first."
        )
    return float(spacing_i)


def _square(slice_hu: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The slice centred on a square of air, and the crop that undoes it."""
    rows, columns = slice_hu.shape
    size = max(rows, columns)
    top, left = (size - rows) // 2, (size - columns) // 2
    square = np.full((size, size), -1000.0, dtype=np.float32)
    crop = (slice(top, top + rows), slice(left, left + columns))
    square[crop] = slice_hu
    return square, crop


def _scan_circle(size: int) -> np.ndarray:
    """Pixels inside the circle a scanner sees; scikit-image needs the rest to be empty."""
    offset = np.arange(size) - size // 2
    return offset[:, np.newaxis] ** 2 + offset**2 <= (size // 2) ** 2
