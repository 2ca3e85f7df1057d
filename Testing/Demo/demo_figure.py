"""The picture of the demo: input, generator, truth and what was removed, in axial, coronal and sagittal planes."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

WINDOW_HU = (-160.0, 240.0)
DIFFERENCE_HU = 100.0
LEAST_HEIGHT = 0.2  # of the axial image: a thin slab would be a line otherwise, so it is stretched, and says so


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
    planes = _planes(truth)
    heights = [3.6 * height for _name, _aspect, height in planes]
    table_height, title_height = 0.2 * len(table) + 0.3, 0.9
    total = sum(heights) + table_height + title_height
    figure = plt.figure(figsize=(16.0, total))
    grid = figure.add_gridspec(
        len(planes), len(columns) + 1, height_ratios=heights, width_ratios=[1, 1, 1, 1, 0.04], hspace=0.04, wspace=0.03,
        left=0.03, right=0.95, bottom=table_height / total, top=1 - title_height / total,
    )  # fmt: skip
    for row, (plane, aspect, _height) in enumerate(planes):
        for column, (name, volume, (low, high), colours) in enumerate(columns):
            axis = figure.add_subplot(grid[row, column])
            image = _cut(volume.array, plane)
            shown = axis.imshow(image, vmin=low, vmax=high, cmap=colours, aspect=aspect, interpolation="nearest")
            axis.set(xticks=[], yticks=[], title=name if row == 0 else None, ylabel=plane if column == 0 else None)
    figure.colorbar(shown, cax=figure.add_subplot(grid[0, -1]), label="HU")
    figure.suptitle(
        f"Low-dose CT denoising. Images in the window {WINDOW_HU[0]:.0f} to {WINDOW_HU[1]:.0f} HU, difference within "
        f"{DIFFERENCE_HU:.0f} HU of zero.\nSecond column SYNTHETIC: computed by a neural network, not acquired. "
        f"Input: {origin}.",
        fontsize=11,
    )
    lines = [
        f"{name:<28} PSNR {row['psnr_db']:6.2f} dB   SSIM {row['ssim']:.4f}   RMSE {row['rmse']:6.2f} HU"
        for name, row in table
    ]
    figure.text(0.03, 0.1 / total, "\n".join(lines), family="monospace", fontsize=9, va="bottom")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _planes(truth):
    """(label, aspect, height relative to a column's width) of the planes worth showing."""
    spacing_i, spacing_j, spacing_k = truth.geometry.spacing_mm
    slices, rows, width = truth.grid_shape
    planes = [("axial", spacing_j / spacing_i, rows * spacing_j / (width * spacing_i))]
    if slices == 1:
        return planes
    for label, pixels, spacing in (("coronal", width, spacing_i), ("sagittal", rows, spacing_j)):
        height = slices * spacing_k / (pixels * spacing)
        stretch = max(1.0, LEAST_HEIGHT / height)
        name = label if stretch == 1.0 else f"{label}\n(z x {stretch:.1f})"
        planes.append((name, stretch * spacing_k / spacing, stretch * height))
    return planes


def _cut(array, plane):
    """Middle plane as radiologists look at it: anterior and superior up."""
    k, j, i = (size // 2 for size in array.shape)
    return {"axial": array[k], "coronal": array[::-1, j, :], "sagittal": array[::-1, :, i]}[plane.split("\n")[0]]
