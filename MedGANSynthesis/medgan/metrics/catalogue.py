"""What each name in a table of results means: label, unit, which way is better, range, mask and source."""

from __future__ import annotations

from dataclasses import dataclass

from .windows import WINDOWS_HU


@dataclass(frozen=True)
class Metric:
    """A column of a table of results.

    Args:
        label: name for people. unit: "HU", "dB", "%" or "" for a pure number.
        better: "higher", "lower", "one" (a ratio that is best at 1) or "zero" (a signed error).
        definition: one sentence with range and mask.
    """

    label: str
    unit: str
    better: str
    definition: str

    def loss(self, value: float) -> float:
        """How far from perfect a value is; lower is better, whatever the metric."""
        return {"higher": -value, "lower": value, "one": abs(value - 1.0), "zero": abs(value)}[self.better]


_WHOLE = (
    "whole slices; range [-1024, 3071] HU for CT, [0, 255] for color, 0.1th percentile of the truth to 99.9th "
    "percentile of the truth inside the mask for MR; values beyond it are clipped"
)
_SYNTHRAD = "inside the body mask, both images set to -1024 HU outside"

CATALOGUE: dict[str, Metric] = {
    "psnr_db": Metric("PSNR", "dB", "higher", f"Peak signal-to-noise ratio over {_WHOLE}."),
    "ssim": Metric("SSIM", "", "higher", f"Structural similarity, 7x7 uniform window, mean of {_WHOLE}."),
    "ms_ssim": Metric(
        "MS-SSIM", "", "higher", f"Wang et al. 2003, Gaussian window of 11 pixels, five scales, mean of {_WHOLE}."
    ),
    "rmse": Metric("RMSE", "", "lower", "Root mean squared error over whole slices, unit of the image, not clipped."),
    "mae_hu_body": Metric("MAE, body", "HU", "lower", "Mean absolute error inside the body mask, not clipped."),
    "rmse_hu_body": Metric("RMSE, body", "HU", "lower", "Root mean squared error inside the body mask, not clipped."),
    "bias_hu_body": Metric("Bias, body", "HU", "zero", "Mean of result minus truth inside the body mask."),
    "psnr_db_synthrad2023": Metric(
        "PSNR, SynthRAD2023", "dB", "higher", f"Range [-1024, 3000] HU, {_SYNTHRAD}."
    ),
    "ssim_synthrad2023": Metric(
        "SSIM, SynthRAD2023", "", "higher",
        f"3-D, uniform window of 7 voxels, range [-1024, 3000] HU, mean {_SYNTHRAD}, 3 voxels cropped at borders.",
    ),
    "psnr_db_synthrad2025": Metric(
        "PSNR, SynthRAD2025", "dB", "higher", f"Range [-1024, 3071] HU, {_SYNTHRAD}."
    ),
    "ms_ssim_synthrad2025": Metric(
        "MS-SSIM, SynthRAD2025", "", "higher",
        f"Five levels, 3-D, range [-1024, 3071] HU, {_SYNTHRAD}; the challenge's variant, in which luminance, contrast "
        "and structure are raised to the weight of every level, so not comparable with the MS-SSIM of Wang et al.",
    ),
    "noise_ratio": Metric(
        "Noise kept", "", "one",
        "Standard deviation in homogeneous soft tissue (found in the truth), relative to that of the truth.",
    ),
    "noise_frequency_ratio": Metric(
        "Noise frequency", "", "one",
        "Mean frequency of the radial noise power spectrum in windows of homogeneous soft tissue, relative to that of "
        "the truth; below 1 the noise looks blotchy.",
    ),
    "noise_peak_ratio": Metric(
        "Noise peak frequency", "", "one", "Frequency at which that spectrum is highest, relative to the truth."
    ),
    "edge_ratio": Metric(
        "Edge sharpness", "", "one",
        "Slope of the image across the steepest 2 % of the mask (found in the truth), relative to the truth.",
    ),
    "cnr": Metric(
        "CNR", "", "higher",
        "(Mean of region - mean of background) / standard deviation of background; region: the truth enhances by more "
        "than 50 HU; background: soft tissue that changes by less than 20 HU.",
    ),
    "cnr_ratio": Metric("CNR kept", "", "one", "The contrast-to-noise ratio relative to that of the truth."),
    "psnr_db_head": Metric(
        "PSNR, head", "dB", "higher",
        "Inside the head mask; range from the 0.1th percentile of the truth to its 99.9th inside the mask.",
    ),
    "ssim_head": Metric("SSIM, head", "", "higher", "As SSIM, mean over the head mask."),
    "mae_percent_head": Metric("MAE, head", "%", "lower", "Mean absolute error inside the head, in % of that range."),
    "rmse_percent_head": Metric("RMSE, head", "%", "lower", "Root mean squared error inside the head, in % of it."),
    "de2000": Metric("dE2000", "", "lower", "CIEDE2000 color difference, mean over the whole picture."),
    "de2000_tissue": Metric("dE2000, tissue", "", "lower", "CIEDE2000 color difference, mean over the tissue."),
    "psnr_db_luma": Metric("PSNR, luma", "dB", "higher", "On BT.601 luma, whole picture, range [0, 255]."),
    "ssim_luma": Metric("SSIM, luma", "", "higher", "On BT.601 luma, whole picture, range [0, 255]."),
    "de2000_mean_color": Metric(
        "dE2000 of mean color", "", "lower",
        "CIEDE2000 between the mean colors of the tissue and of the target slide's tissue, which may be other tissue.",
    ),
    "de2000_classes": Metric(
        "dE2000 of colors", "", "lower",
        "CIEDE2000 between the tissue and the target slide's tissue, which may be other tissue: mean over 20 classes "
        "from the darkest twentieth of the pixels to the lightest.",
    ),
    "lab_mean": Metric(
        "Lab mean", "", "lower", "Distance of the mean Lab color of the tissue from that of the target slide."
    ),
    "lab_covariance": Metric(
        "Lab covariance", "", "lower",
        "Frobenius norm of the difference of the covariances of the tissue's Lab colors from the target slide's.",
    ),
    "lpips": Metric(
        "LPIPS", "", "lower", "Learned perceptual distance (AlexNet), mean over slices, range mapped to [-1, 1]."
    ),
    "fid": Metric(
        "FID", "", "lower", "Frechet distance of Inception features over all slices, mapped from the range to [0, 1]."
    ),
}  # fmt: skip

for _name, (_width, _level) in WINDOWS_HU.items():
    _window = f"inside the {_name} window (W {_width:g} L {_level:g} HU, both clipped to it), whole slices"
    CATALOGUE[f"psnr_db_{_name}"] = Metric(f"PSNR, {_name} window", "dB", "higher", f"PSNR {_window}.")
    CATALOGUE[f"ssim_{_name}"] = Metric(f"SSIM, {_name} window", "", "higher", f"SSIM {_window}.")
