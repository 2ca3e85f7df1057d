"""What each task is judged by: for a case, a judge that turns an image into named numbers.

Masks, ranges and regions come from the true images alone, once per case, so that they are the same for every method.
The names are explained in :mod:`.catalogue`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..volume import Volume
from . import basic, enhancement, head, multiscale, perceptual, staining, synthrad, texture, windows

Judge = Callable[[np.ndarray], dict[str, float]]


class Reference:
    """What the image of one case is compared with.

    Args:
        source: what the generator was given.
        truth: what it should have made.
        mask: body, head or tissue on the grid of ``truth``; found in ``truth`` if None.
        look: colors wanted of a slide; those of ``truth`` if None.
    """

    def __init__(
        self, source: Volume, truth: Volume, mask: np.ndarray | None = None, look: staining.Look | None = None
    ):
        self.source, self.truth, self._mask, self._look = source, truth, mask, look

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """Where values count, ``(k, j, i)``."""
        from ..body_mask import body_mask

        return body_mask(self.truth) if self._mask is None else self._mask

    @functools.cached_property
    def look(self) -> staining.Look:
        """Colors wanted of a slide."""
        return staining.Look.of(self.truth.array[self.mask]) if self._look is None else self._look

    @functools.cached_property
    def value_range(self) -> tuple[float, float]:
        """Fixed range of PSNR and SSIM: of CT, of 8-bit color, or of an MR from its own percentiles."""
        if self.truth.units == "HU":
            return basic.CT_RANGE_HU
        return staining.RGB_RANGE if self.truth.channels > 1 else head.intensity_range(self.truth.array, self.mask)


@dataclass(frozen=True)
class TaskMetrics:
    """How a task is judged.

    Args:
        primary: metric that decides which method is better and which case is the worst.
        full: judge for an evaluation. fast: judge for the validations of a training.
        unpaired: judge where there is no true image of the same thing, and its primary metric.
    """

    primary: str
    full: Callable[[Reference], Judge]
    fast: Callable[[Reference], Judge]
    unpaired: tuple[str, Callable[[Reference], Judge]] | None = None


def whole_image(reference: Reference) -> Judge:
    """PSNR, SSIM and RMSE over whole slices, range fixed by modality."""
    truth, value_range = reference.truth.array, reference.value_range
    return lambda image: basic.summary(truth, image, value_range)


def several_scales(reference: Reference) -> Judge:
    """MS-SSIM over whole slices."""
    truth, value_range = reference.truth.array, reference.value_range
    return lambda image: {"ms_ssim": multiscale.ms_ssim(truth, image, value_range)}


def body_hu(reference: Reference) -> Judge:
    """Errors in HU inside the body."""
    truth, mask = reference.truth.array, reference.mask
    return lambda image: {
        "mae_hu_body": basic.mae(truth, image, mask),
        "rmse_hu_body": basic.rmse(truth, image, mask),
        "bias_hu_body": basic.bias(truth, image, mask),
    }


def challenge(reference: Reference) -> Judge:
    """PSNR, SSIM and MS-SSIM of the SynthRAD challenges."""
    truth, mask = reference.truth.array, reference.mask
    return lambda image: {
        "psnr_db_synthrad2023": synthrad.psnr_2023_db(truth, image, mask),
        "ssim_synthrad2023": synthrad.ssim_2023(truth, image, mask),
        "psnr_db_synthrad2025": synthrad.psnr_2025_db(truth, image, mask),
        "ms_ssim_synthrad2025": synthrad.ms_ssim_2025(truth, image, mask),
    }


def noise_and_edges(reference: Reference) -> Judge:
    """How much of the noise and sharpness of the truth is kept, as ratios to the truth."""
    truth = reference.truth.array
    pixel_mm = float(reference.truth.geometry.spacing_mm[0])
    tissue = texture.tissue_of(truth)
    spots, edges = texture.homogeneous_windows(truth), texture.strong_edges(truth, reference.mask)

    def measure(image: np.ndarray) -> dict[str, float]:
        values = {"noise": texture.noise_of(image, tissue), "edge": texture.edge_slope(image, edges)}
        spectrum = texture.noise_power_spectrum(image, spots, pixel_mm) if spots else None
        values["noise_frequency"] = texture.mean_frequency(*spectrum) if spectrum else float("nan")
        values["noise_peak"] = texture.peak_frequency(*spectrum) if spectrum else float("nan")
        return values

    true_values = measure(truth)
    return lambda image: {f"{name}_ratio": _ratio(value, true_values[name]) for name, value in measure(image).items()}


def edges_3d(reference: Reference) -> Judge:
    """Steepness of edges in all three directions, as a ratio to the truth."""
    edges = texture.strong_edges(reference.truth.array, reference.mask, (0, 1, 2))
    slope = texture.edge_slope(reference.truth.array, edges)
    return lambda image: {"edge_ratio": _ratio(texture.edge_slope(image, edges), slope)}


def ct_windows(reference: Reference) -> Judge:
    """PSNR and SSIM in the windows of chest, abdomen and brain."""
    return lambda image: windows.windowed(reference.truth.array, image)


def uptake(reference: Reference) -> Judge:
    """Contrast-to-noise ratio of what takes up contrast medium, and its ratio to that of the truth."""
    region, background = enhancement.enhanced(reference.source.array, reference.truth.array, reference.mask)
    true_ratio = enhancement.contrast_to_noise(reference.truth.array, region, background)

    def judge(image: np.ndarray) -> dict[str, float]:
        value = enhancement.contrast_to_noise(image, region, background)
        return {"cnr": value, "cnr_ratio": _ratio(value, true_ratio)}

    return judge


def head_mr(reference: Reference) -> Judge:
    """Errors of an MR inside the head."""
    truth, mask, value_range = reference.truth.array, reference.mask, reference.value_range
    return lambda image: head.inside_head(truth, image, mask, value_range)


def colors(reference: Reference) -> Judge:
    """Colors against the true picture."""
    truth, mask = reference.truth.array, reference.mask
    return lambda image: staining.against_truth(truth, image, mask)


def look(reference: Reference) -> Judge:
    """Distribution of colors against the one wanted, which may be that of other tissue."""
    from ..body_mask import body_mask

    target = reference.look

    def judge(image: np.ndarray) -> dict[str, float]:
        picture = np.clip(np.rint(image), *staining.RGB_RANGE).astype(np.uint8)
        return staining.against_look(target, staining.Look.of(picture[body_mask(Volume(picture))]))

    return judge


def lpips(reference: Reference) -> Judge:
    """LPIPS where its weights are on this machine; else nothing, and :func:`perceptual.missing` says why."""
    if perceptual.missing() is not None:
        return lambda image: {}
    truth, value_range = reference.truth.array, reference.value_range
    return lambda image: {"lpips": perceptual.lpips(truth, image, value_range)}


def together(*judges: Callable[[Reference], Judge]) -> Callable[[Reference], Judge]:
    """A judge that asks several, in order."""

    def prepare(reference: Reference) -> Judge:
        prepared = [judge(reference) for judge in judges]
        return lambda image: {name: value for judge in prepared for name, value in judge(image).items()}

    return prepare


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference else float("nan")


_SYNTHETIC_CT = TaskMetrics(
    "mae_hu_body",
    together(body_hu, challenge, whole_image, several_scales, edges_3d, lpips),
    together(whole_image, body_hu),
)

TASKS: dict[str, TaskMetrics] = {
    "denoise-ct": TaskMetrics(
        "psnr_db", together(whole_image, body_hu, ct_windows, noise_and_edges, lpips), whole_image
    ),
    "contrast-ct": TaskMetrics(
        "mae_hu_body",
        together(body_hu, challenge, whole_image, several_scales, uptake, lpips),
        together(whole_image, body_hu),
    ),
    "superres-mr": TaskMetrics("psnr_db_head", together(head_mr, whole_image, edges_3d, lpips), whole_image),
    "mr-to-ct": _SYNTHETIC_CT,
    "mr-to-ct-unpaired": _SYNTHETIC_CT,
    "stain": TaskMetrics("de2000_tissue", together(colors, look, lpips), whole_image, ("de2000_classes", look)),
}
