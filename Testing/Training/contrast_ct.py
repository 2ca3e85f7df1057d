"""How the shipped generator ``contrast-ct-demo`` was made: simulate pairs, train, measure, write the bundle.

    python Testing/Training/contrast_ct.py RUN_FOLDER [--data ../shared/data]

There is no free pair of plain and enhanced CT of one patient. The plain scans are drawn from two enhanced ones (see
:mod:`medgan.virtual_noncontrast`): a thorax to learn from, the neck of another patient to be judged on. A real plain
chest of a third patient, of which no enhanced scan exists, is enhanced for a picture. Every step is taken up where an
earlier call stopped. A quarter of an hour on one CPU core.

The shipped weights learnt from plain scans drawn before marrow was told from blood by its cortex; 0.3 % of the voxels
differ by more than 20 HU from those drawn now.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from medgan.dataset import Case, Dataset  # noqa: E402
from medgan.files import write_json  # noqa: E402
from medgan.image_io import read_volume, write_volume  # noqa: E402
from medgan.tile_plan import Box  # noqa: E402
from medgan.virtual_noncontrast import PLAIN_BLOOD_HU, virtual_noncontrast  # noqa: E402
from medgan.volume import Geometry, Volume  # noqa: E402
from medgan.working_grid import grid_of_spacing, resampled  # noqa: E402
from shipping import ship, show, unpacked  # noqa: E402

THORAX = "ct/cta_thorax_1p5mm_totalseg.nii.gz"
HEAD_NECK = "ct/head_neck_contrast_1mm_weasis_dicom_j2k_185.tar.xz"
PLAIN_CHEST = "ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz"
NAME = "contrast-ct-demo"
SPACING_MM = 1.5
NECK = (slice(0, 80), slice(60, 400), slice(60, 460))  # below the skull; without table and head rest
USUAL_BLOOD_HU = 220.0
"""Blood of a routine chest CT; the angiography shows 430 HU, which no other scan of a demonstration would."""
SHRINKINGS = (1.0, 0.7, 0.52)  # a carotid artery is a small aorta
# Heart and great vessels, aorta from below to its arch, brachiocephalic vessels; voxels (k, j, i) of the thorax.
BLOOD_BOXES = (
    Box((38, 18, 18), (115, 82, 105)), Box((115, 40, 22), (142, 82, 105)), Box((136, 42, 20), (156, 64, 34)),
    Box((136, 44, 50), (160, 66, 62)), Box((0, 63, 38), (34, 85, 64)), Box((34, 68, 42), (56, 90, 70)),
    Box((56, 80, 61), (76, 106, 84)), Box((76, 84, 62), (104, 112, 90)), Box((104, 70, 54), (142, 112, 80)),
)  # fmt: skip
SPINE = (
    Box((0, 86, 30), (36, 126, 66)), Box((36, 91, 30), (56, 126, 66)), Box((56, 93, 28), (104, 126, 60)),
    Box((104, 93, 25), (140, 126, 53)), Box((140, 70, 25), (164, 126, 55)),
)  # fmt: skip
NECK_SPINE = (Box((0, 78, 55), (14, 123, 90)), Box((14, 70, 55), (40, 123, 90)), Box((40, 60, 55), (53, 123, 90)))
REGIONS = {"aorta": (16, 244, 331, 7), "heart": (16, 290, 240, 22), "liver": (16, 175, 245, 18)}
"""Of the real plain chest: slice, column and row of the center, radius in pixels."""
KEPT = ("mae_hu_body", "psnr_db_synthrad2025", "ms_ssim_synthrad2025", "cnr")


def thorax(data: Path) -> tuple[Volume, Volume]:
    """Plain (drawn) and enhanced; the enhancement scaled to that of a usual scan."""
    angiography, _ = read_volume(data / THORAX, modality="CT")
    scan = virtual_noncontrast(angiography, 0, BLOOD_BOXES, SPINE)
    share = (USUAL_BLOOD_HU - PLAIN_BLOOD_HU) / (scan.blood_hu - PLAIN_BLOOD_HU)
    plain = scan.volume.array
    return scan.volume, angiography.with_array(plain + share * (angiography.array - plain))


def neck(data: Path, folder: Path) -> tuple[Volume, Volume]:
    """Plain (drawn) and enhanced, as it was scanned but for the voxel size."""
    whole, _ = read_volume(unpacked(data / HEAD_NECK, folder))
    corner = tuple(part.start for part in NECK)[::-1]
    cut = whole.with_array(np.ascontiguousarray(whole.array[NECK]), geometry=whole.geometry.shifted(corner))
    enhanced = resampled(cut, grid_of_spacing(cut, (SPACING_MM,) * 3))
    return virtual_noncontrast(enhanced, 1, (), NECK_SPINE).volume, enhanced


def shrunken(volume: Volume, factor: float) -> Volume:
    """The same anatomy, smaller."""
    if factor == 1.0:
        return volume
    smaller = resampled(volume, grid_of_spacing(volume, (SPACING_MM / factor,) * 3))
    geometry = Geometry(smaller.geometry.origin_mm, np.full(3, SPACING_MM), smaller.geometry.directions)
    return smaller.with_array(smaller.array, geometry=geometry)


def build_dataset(data: Path, folder: Path) -> Dataset:
    """Simulated pairs: the thorax in three sizes to train on, the neck to test on."""
    if (folder / "dataset.json").is_file():
        return Dataset.load(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)

    def write(volume: Volume, name: str) -> str:
        whole = volume.with_array(np.rint(np.clip(volume.array, -1024, 3071)).astype(np.int16))
        write_volume(whole, folder / "images" / f"{name}.nrrd")
        return f"images/{name}.nrrd"

    cases = []
    plain, enhanced = thorax(data)
    for factor in SHRINKINGS:
        name = f"thorax-{factor:g}"
        paths = [write(shrunken(v, factor), f"{name}-{kind}") for v, kind in ((plain, "plain"), (enhanced, "enhanced"))]
        cases.append(Case(name, "totalseg", *paths, "train"))
    plain, enhanced = neck(data, folder.parent)
    cases.append(Case("neck", "weasis", write(plain, "neck-plain"), write(enhanced, "neck-enhanced"), "test"))
    description = (
        "No real pairs: one CT angiography of the thorax of one adult with a dissected aorta (TotalSegmentator, "
        "1.5 mm), "
        f"its enhancement scaled to {USUAL_BLOOD_HU:g} HU of blood, and the same with the contrast medium taken out by "
        "computation as the plain scan; in three sizes"
    )
    dataset = Dataset(folder, "contrast-ct", "CT", "HU", description, "Apache-2.0", tuple(cases))
    dataset.save()
    return dataset


def recipe() -> Any:
    """Small enough for a core and ten minutes; higher learning rates diverged."""
    return medgan.recipes.get(
        "contrast-ct", base_width=16, patch_size=56, batch_size=4, epochs=8, steps_per_epoch=40, adversarial_start=7,
        working_spacing_mm=SPACING_MM, noise_hu=15.0, shift_fraction=0.1, discriminator_width=16, averaging=0.98,
        learning_rate_generator=3e-4, weight_enhanced=1.0,
    )  # fmt: skip


def measure(bundle: medgan.Bundle, dataset: Dataset, data: Path, folder: Path) -> list[dict]:
    """The test patient, the training scan itself (how much was learnt by heart), and a real plain chest."""
    rows = []
    for split, name in (("test", "neck, other patient (simulated plain)"), ("train", "the training scan itself")):
        table = medgan.evaluate(bundle, dataset, "cpu", split, baselines=False)
        print(table, table.verdict(), sep="\n", flush=True)
        rows.append({"case": name, "learnt_from": split == "train"} | {
            f"{method}_{metric}": round(float(np.mean(table.values(method, metric))), 4)
            for metric in KEPT for method in ("input", "output")
        })  # fmt: skip
    rows.append(enhance_plain_chest(bundle, data, folder))
    print(rows[-1], flush=True)
    write_json(folder / "results.json", rows)
    return rows


def enhance_plain_chest(bundle: medgan.Bundle, data: Path, folder: Path) -> dict[str, Any]:
    """Mean HU of regions of a real plain scan before and after, and a picture; there is no truth."""
    plain, _ = read_volume(data / PLAIN_CHEST, modality="CT")
    made = medgan.Synthesizer(bundle, "cpu")(plain).volume
    row: dict[str, Any] = {"case": "real plain chest, third patient (no truth; mean HU)"}
    for name, (k, column, line, radius) in REGIONS.items():
        rows, columns = np.mgrid[: plain.array.shape[1], : plain.array.shape[2]]
        inside = np.hypot(rows - line, columns - column) < radius
        for kind, volume in (("input", plain), ("output", made)):
            row[f"{kind}_{name}_hu"] = round(float(volume.array[k - 1 : k + 2, inside].mean()), 1)
    draw(plain.array, made.array, folder / "plain_chest.png")
    return row


def draw(before: np.ndarray, after: np.ndarray, path: Path, count: int = 5) -> None:
    """Slices before and after, and their difference."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, count, figsize=(3 * count, 9), squeeze=False)
    for column, k in enumerate(np.linspace(0, len(before) - 1, count).astype(int)):
        change = after[k].astype(float) - before[k]
        for row, (image, low, high) in enumerate(((before[k], -160, 340), (after[k], -160, 340), (change, -50, 250))):
            axes[row, column].imshow(image, cmap="gray", vmin=low, vmax=high)
            axes[row, column].axis("off")
    figure.tight_layout(pad=0.2)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--ship", action="store_true", help="write the bundle to where the module finds it")
    options = parser.parse_args()
    dataset = build_dataset(options.data, options.folder / "dataset")
    bundle = medgan.train(recipe(), dataset, options.folder / "run", name=NAME, progress=show)
    rows = measure(bundle, dataset, options.data, options.folder)
    if options.ship:
        write_shipped(bundle, dataset, rows)


def write_shipped(bundle: medgan.Bundle, dataset: Dataset, rows: list[dict]) -> None:
    """Write the bundle with its card to where the module finds it."""
    ship(
        bundle,
        dataset,
        rows,
        title="Synthetic contrast CT (demonstration)",
        intended_use=(
            "Demonstration of the path from pairs to a generator, and a start for training on real pairs. What it "
            "brightens is a guess; not for diagnosis, not for planning, not for finding vessels."
        ),
        limits=[
            (
                "Trained on ONE scan of one adult, on simulated pairs: the plain scan was computed from the enhanced "
                "one, so the generator may have learnt traces of that computation instead of anatomy. The same "
                "computation made the plain scan of the test."
            ),
            verdict(rows[0]),
            (
                "Outside of the thorax it is wrong: on a plain abdomen of another person it painted most of the liver "
                "as blood."
            ),
            "Phase and dose of contrast medium cannot be known from a plain scan; it paints about "
            f"{USUAL_BLOOD_HU:g} HU of blood wherever it believes in blood.",
            "Lesions were not in the training: it says nothing about whether one takes up contrast medium.",
            "CNR: contrast of enhanced vessels against soft tissue, in standard deviations of the latter.",
        ],
    )


def verdict(row: dict[str, Any]) -> str:
    """Whether it beats the plain input on the test patient, said plainly."""
    better = row["output_mae_hu_body"] < row["input_mae_hu_body"]
    return (
        f"On the simulated plain neck of another patient it {'beats' if better else 'does NOT beat'} leaving the scan "
        f"as it is: MAE in the body {row['output_mae_hu_body']:.2f} against {row['input_mae_hu_body']:.2f} HU, "
        f"contrast to noise of vessels {row['output_cnr']:.2f} against {row['input_cnr']:.2f}."
    )


if __name__ == "__main__":
    main()
