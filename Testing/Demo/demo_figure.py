"""The picture of the demo: input, generator, truth and differences, in axial, coronal and sagittal planes."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

WINDOW_HU = (-160.0, 240.0)
DIFFERENCE_HU = 100.0


def draw(path, noisy, denoised, truth, table, origin):
    """Write a PNG of three planes through the body; all volumes lie on one grid.

    ``table`` is a list of (name, {"psnr_db", "ssim", "rmse"}), printed below the images.
    """
    removed = noisy.with_array(noisy.array.astype(np.float32) - denoised.array)
    columns = [
        ("input: quarter dose", noisy, WINDOW_HU, "gray"),
        ("MedGAN", denoised, WINDOW_HU, "gray"),
        ("untouched scan", truth, WINDOW_HU, "gray"),
        ("input - MedGAN", removed, (-DIFFERENCE_HU, DIFFERENCE_HU), "RdBu_r"),
    ]
    spacing_i, spacing_j, spacing_k = truth.geometry.spacing_mm
    slices, rows, width = truth.grid_shape
    planes = [("axial", spacing_j / spacing_i, rows * spacing_j)]
    if slices > 1:
        planes += [("coronal", spacing_k / spacing_i, slices * spacing_k), ("sagittal", spacing_k / spacing_j, slices * spacing_k)]
    heights = [max(height, 0.1 * planes[0][2]) for _name, _aspect, height in planes]
    scale = 4.0 / (width * spacing_i)
    figure, axes = plt.subplots(
        len(planes), len(columns), figsize=(16.5, sum(heights) * scale + 2.6), squeeze=False,
        gridspec_kw={"height_ratios": heights, "hspace": 0.06, "wspace": 0.03},
    )  # fmt: skip
    for row, (plane, aspect, _height) in enumerate(planes):
        for column, (name, volume, (low, high), colours) in enumerate(columns):
            axis = axes[row, column]
            image = _plane(volume.array, plane)
            shown = axis.imshow(image, vmin=low, vmax=high, cmap=colours, aspect=aspect, interpolation="nearest")
            axis.set_xticks([]), axis.set_yticks([])
            if row == 0:
                axis.set_title(name)
            if column == 0:
                axis.set_ylabel(plane)
    figure.colorbar(shown, ax=axes[:, -1], label="HU", fraction=0.04)
    figure.suptitle(
        f"Low-dose CT denoising. Images in the window {WINDOW_HU[0]:.0f} to {WINDOW_HU[1]:.0f} HU, difference in "
        f"+-{DIFFERENCE_HU:.0f} HU.\nSYNTHETIC: computed by a neural network, not acquired. Input: {origin}.",
        fontsize=11,
    )
    lines = [f"{name:<32} PSNR {row['psnr_db']:6.2f} dB   SSIM {row['ssim']:.4f}   RMSE {row['rmse']:6.2f} HU" for name, row in table]
    figure.text(0.12, 0.0, "\n".join(lines), family="monospace", fontsize=9, va="bottom")
    figure.subplots_adjust(bottom=0.24, top=0.86)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def _plane(array, plane):
    """Middle plane as radiologists look at it: anterior and superior up."""
    k, j, i = (size // 2 for size in array.shape)
    return {"axial": array[k], "coronal": array[::-1, j, :], "sagittal": array[::-1, :, i]}[plane]
