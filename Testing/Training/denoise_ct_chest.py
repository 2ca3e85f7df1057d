"""How the shipped generator ``denoise-ct-chest`` was made: simulate, train, measure, write the bundle.

    python Testing/Training/denoise_ct_chest.py RUN_FOLDER [--data ../shared/data]

Every step is taken up where an earlier call stopped. Two hours on two CPU cores. The measuring needs the head
and neck scan as a DICOM folder (``ct/head_neck_contrast_1mm_weasis_dicom_j2k_185.tar.xz`` unpacked); it is
unpacked here.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from medgan import baselines, metrics  # noqa: E402
from medgan.dataset import Case, Dataset  # noqa: E402
from medgan.degrade import LowDoseSimulator, calibrate_photons, simulate_low_dose  # noqa: E402
from medgan.image_io import read_volume, write_volume  # noqa: E402

CHEST = "ct/chest_abdomen_noncontrast_andrei_57_slices_every_4mm.nii.gz"
BLOCK = "ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz"
HEAD = "ct/head_neck_contrast_1mm_weasis_dicom_j2k_185.tar.xz"
CTA = "ct/cta_thorax_1p5mm_totalseg.nii.gz"
ABDOMEN = "ct/abdomen_3mm_small_totalseg.nii.gz"
BUNDLE = CHECKOUT / "MedGANSynthesis" / "Resources" / "Models" / "denoise-ct-chest"
VALIDATION = range(34, 38)  # slices of the 57
TRAIN = [k for k in range(14, 57) if k not in VALIDATION]  # chest to neck; 0 to 13 (abdomen) stay unseen
PHOTONS = 8.0e4
# I0 of the shared low-dose pair. On the head, whose own I0 is 3.8e5, it gives the noise of about 8 % of the dose:
# (1 - a) / a = 3 * 3.8e5 / 9.5e4.
CHEST_PHOTONS = 9.5e4
REALISATIONS = 5
SOFT_NOISE_HU = 28.0
# How the shipped weights came about while the augmentations were being found; one run of 100 epochs is the plain way.
SCHEDULE = (
    "112 epochs of 100 steps on 8 patches of 96 x 96 pixels in four legs (12, 2, 30 and 68 epochs, cosine decay in "
    "each, noise balanced from epoch 38 of the last), each from the weights of the one before; the parameters are "
    "those of the end"
)


def simulate(slice_hu: np.ndarray, pixel_mm: float, k: int) -> list[np.ndarray]:
    """Several quarter-dose versions of a slice."""
    simulator = LowDoseSimulator(PHOTONS)
    sinogram = simulator.project(slice_hu, pixel_mm)
    noises = [
        simulator.noise_hu(sinogram, pixel_mm, 0.25, np.random.default_rng([7, k, r])) for r in range(REALISATIONS)
    ]
    return [np.rint(np.maximum(slice_hu + noise, -1024)).astype(np.int16) for noise in noises]


def build_dataset(data: Path, folder: Path) -> Dataset:
    """Pairs of quarter and full dose; for some the target is denoised first,
    so that cleaner scans are known as well.
    """
    if (folder / "dataset.json").is_file():
        return Dataset.load(folder)
    chest, _ = read_volume(data / CHEST, modality="CT")
    pixel_mm = float(chest.geometry.spacing_mm[0])

    def write(array: np.ndarray, name: str) -> str:
        write_volume(chest.with_array(np.ascontiguousarray(array)), folder / "images" / f"{name}.nrrd")
        return f"images/{name}.nrrd"

    cases = []
    with ProcessPoolExecutor() as pool:
        for split, chosen in (("train", TRAIN), ("validation", list(VALIDATION))):
            full = chest.array[chosen]
            low = np.stack(list(pool.map(simulate, full, [pixel_mm] * len(chosen), chosen)), axis=1)
            target = write(full, split)
            plain = (0, 1, 2) if split == "train" else (0,)
            cases += [Case(f"{split}-{r}", "andrei", write(low[r], f"{split}-low{r}"), target, split) for r in plain]
            if split == "train":
                soft = np.rint(baselines.non_local_means(chest.with_array(full), SOFT_NOISE_HU).array).astype(np.int16)
                soft_target = write(soft, "soft")
                for r in (2, 3, 4):
                    source = np.maximum(soft.astype(np.int32) + low[r] - full, -1024).astype(np.int16)
                    cases.append(Case(f"soft-{r}", "andrei", write(source, f"soft-low{r}"), soft_target, split))
    description = (
        "39 slices, every 4 mm, of a non-contrast chest CT of one adult (Philips Brilliance 16P, 120 kVp, "
        "300 mAs, 0.78 mm; FNNDSC/data), with simulated lower doses, quarter dose most often; half of the targets "
        "denoised before"
    )
    dataset = Dataset(folder, "denoise-ct", "CT", "HU", description, "Apache-2.0", tuple(cases))
    dataset.save()
    return dataset


def measure(bundle: medgan.Bundle, data: Path, folder: Path) -> list[dict]:
    """One row per scan: other parts of the same body, and other scans, at a quarter of the dose of each."""
    chest, _ = read_volume(data / CHEST, modality="CT")
    block, _ = read_volume(data / BLOCK, modality="CT")
    if not (folder / "head").is_dir():
        with tarfile.open(data / HEAD) as archive:
            archive.extractall(folder / "head", filter="data")
    head, _ = read_volume(next(path for path in (folder / "head").iterdir() if path.is_dir()))
    slices = [20, 55, 90, 120, 150, 170]
    cta, abdomen = (_rounded(read_volume(data / name, modality="CT")[0]) for name in (CTA, ABDOMEN))
    scans = (
        ("abdomen, same patient, slices 0-13 of 57", chest, [0, 3, 6, 9, 12], None),
        ("lung base, same patient, 1 mm block", block, [2, 9, 16, 23, 30], None),
        ("abdomen, other patient, 3 mm voxels", abdomen, [3, 8, 13, 18, 23, 28], None),
        ("thorax with contrast, other patient, 1.5 mm voxels", cta, [20, 40, 60, 80, 100, 120, 140], None),
        ("head and neck, other patient and scanner (a quiet scan)", head, slices, None),
        ("the same head and neck at about 8 % of its dose", head, slices, CHEST_PHOTONS),
    )
    synthesizer = medgan.Synthesizer(bundle, "cpu")
    return [measure_scan(synthesizer, *scan) for scan in scans]


def _rounded(volume: medgan.Volume) -> medgan.Volume:
    """Whole HU, as scanners store them."""
    return volume.with_array(np.rint(volume.array).astype(np.int16))


def measure_scan(
    synthesizer: medgan.Synthesizer, name: str, scan: medgan.Volume, chosen: list[int], photons: float | None
) -> dict:
    """Metrics of some slices at a simulated quarter dose, beside classical filters tuned on the truth."""
    photons = calibrate_photons(scan) if photons is None else photons
    truth = scan.with_array(np.ascontiguousarray(scan.array[chosen]))
    low = simulate_low_dose(truth, 0.25, 3, photons)
    smooth, width = baselines.best(baselines.gaussian, baselines.GAUSSIAN_WIDTHS, low, truth)
    means, noise = baselines.best(baselines.non_local_means, baselines.NLM_NOISES_HU, low, truth)
    tuned = f"Gaussian {width:g} px, non-local means {noise:g} HU"
    row = {"case": name, "slices": len(chosen), "photons": round(photons), "tuned": tuned}
    images = {"input": low, "gaussian": smooth, "nlm": means, "output": synthesizer(low).volume}
    for image, volume in images.items():
        values = metrics.summary(truth.array, volume.array)
        row |= {f"{image}_{key}": round(value, 4) for key, value in values.items()}
    print(row, flush=True)
    return row


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    options = parser.parse_args()
    dataset = build_dataset(options.data, options.folder / "dataset")
    recipe = medgan.recipes.get("denoise-ct")
    run = options.folder / "run"

    def show(fraction: float, message: str) -> None:
        print(f"\r{fraction:6.1%} {message}    ", end="", flush=True)

    bundle = medgan.train(recipe, dataset, run, name="denoise-ct-chest", progress=show)
    rows = measure(bundle, options.data, options.folder)
    ship(bundle, dataset, rows)


def ship(bundle: medgan.Bundle, dataset: Dataset, rows: list[dict]) -> None:
    """Write the bundle of the run once more, with its card filled, to where the module finds it."""
    from medgan.bundle_writer import write_bundle

    manifest = bundle.manifest
    shipped = write_bundle(
        BUNDLE,
        "denoise-ct-chest",
        medgan.recipes.recipe_class("denoise-ct").from_dict(manifest.recipe),
        manifest.network,
        bundle.build_generator(),
        dataset,
        rows,
        title="Low-dose CT denoising (CNCL, chest)",
        version="1.0.0",
        licence="Apache-2.0",
        licence_text=(CHECKOUT / "LICENSE.txt").read_text(encoding="utf-8"),
        authors="The MedGAN developers",
        schedule=SCHEDULE,
        intended_use=(
            "Research on CT noise: demonstration of MedGAN, and a start for training on your own scans. "
            "Not for diagnosis."
        ),
        limits=[
            (
                "Trained on one chest of one adult from one scanner, with simulated noise (parallel beam, "
                "no tube-current modulation)."
            ),
            (
                "Measured only on simulated low doses: other parts of the same body, three scans of other patients, "
                "two of them on coarse grids."
            ),
            (
                "At a quarter dose of a scan that is quiet already (head and neck) it does not beat non-local means: "
                "it blurs fine bone and the folds of the head rest."
            ),
            "Not measured on real low-dose scans, on children, with metal, or by readers.",
            (
                "PSNR and SSIM are over whole slices, range [-1024, 3071] HU; "
                "classical baselines were tuned on the truth itself."
            ),
        ],
    )
    shipped.verify(print)


if __name__ == "__main__":
    main()
