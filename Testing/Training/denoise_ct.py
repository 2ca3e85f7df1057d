"""How the shipped generator ``denoise-ct-multi`` was made: simulate, train, measure, write the bundle.

    python Testing/Training/denoise_ct.py RUN_FOLDER [--data ../shared/data] [--start BUNDLE]

Every step is taken up where an earlier call stopped: 15 minutes of simulation and an hour of training on two CPU cores.
``--start`` names a bundle whose weights the training starts from. The shipped weights started from those of
``denoise-ct-chest`` (git revision 92282fb).
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from medgan import baselines, metrics  # noqa: E402
from medgan.dataset import Case, Dataset  # noqa: E402
from medgan.degrade import LowDoseSimulator, calibrate_photons, simulate_low_dose  # noqa: E402
from medgan.image_io import read_volume, write_volume  # noqa: E402
from medgan.volume import Geometry, Volume  # noqa: E402

NAME = "denoise-ct-multi"
BUNDLE = CHECKOUT / "MedGANSynthesis" / "Resources" / "Models" / NAME
CHEST = "ct/chest_abdomen_noncontrast_andrei_57_slices_every_4mm.nii.gz"
BLOCK = "ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz"
HEAD_NECK = "ct/head_neck_contrast_1mm_weasis_dicom_j2k_185.tar.xz"
HEAD = "dicom_edge/ge_head_ct_gantry_tilt_variable_spacing.tar.xz"
CTA = "ct/cta_thorax_1p5mm_totalseg.nii.gz"
ABDOMEN = "ct/abdomen_3mm_small_totalseg.nii.gz"

CHEST_TRAINED = slice(14, 57)  # chest to neck; 0 to 13 (abdomen) are measured
NECK_MEASURED = (20, 55, 90, 120, 150, 170)
NECK_TRAINED = [k for k in range(2, 183, 4) if min(abs(k - m) for m in NECK_MEASURED) > 3]
HEAD_VALIDATED = (1, 6, 11, 16, 20, 24)
QUARTER, LOW = 0.25, (0.05, 0.15)
# On the head and neck, whose own I0 is 3.8e5, that of the chest gives the noise of about 8 % of the dose.
CHEST_PHOTONS = 9.5e4
# Its own calibration takes anatomy for noise on so coarse a grid, and gives ten times the noise of the scan.
PICKED_PHOTONS = 2.5e4

REGRESSION = {"weight_adversarial": 0.0, "learning_rate_generator": 4e-4, "steps_per_epoch": 400}
LEGS = (
    {"schedule": "constant", "epochs": 11, "seed": 21},
    {  # the majority of the patches are as simulated
        "schedule": "cosine", "epochs": 9, "seed": 22,
        "structure_augmentation": 0.05, "kernel_augmentation": 0.1, "dose_augmentation": 0.4,
    },
)  # fmt: skip
SCHEDULE = (
    "from the weights of denoise-ct-chest 1.0.0 (chest alone): 4400 steps on 8 patches of 96 x 96 pixels at a constant "
    "rate of 4e-4, then, from the averaged weights, 3600 steps that decay to zero with 51 % of the patches left as "
    "simulated; no adversarial term; the mean of the averaged weights at the end of both parts (chosen on the "
    "validation scan: 0.2 dB better than the end of the second at the quarter dose of its own grid, 0.02 dB worse on "
    "average over all grids and doses). Patches drawn by the sampler of MedGAN 0.1, which "
    "chose patches with 30 % of body rather than around a voxel of it."
)
LIMITS = [
    (
        "Trained on two adults from two scanners, with simulated noise (parallel beam, no tube-current modulation), "
        "of which the network sees one reconstruction filter and its variations."
    ),
    (
        "Measured only on simulated low doses: three scans of patients it was not trained on (of which the head chose "
        "the weights, and two are on coarse grids), and other slices of the two it was trained on."
    ),
    "Not measured on real low-dose scans, on children, with metal, or by readers.",
    (
        "The more noise a scan has, the more fine structure goes with it: low-contrast detail of the size of a few "
        "pixels may be smoothed away or, at doses of a few percent, replaced by something plausible."
    ),
    (
        "PSNR and SSIM are over whole slices, range [-1024, 3071] HU; "
        "classical baselines were tuned on the truth itself."
    ),
]


@dataclass(frozen=True)
class Grid:
    """Full-dose slices of a patient on one grid, and how they are to be made worse."""

    name: str
    patient: str
    slices: np.ndarray
    pixel_mm: float
    whole: np.ndarray  # what I0 is calibrated on
    photons: float | None = None

    @property
    def split(self) -> str:
        """By patient."""
        return "validation" if self.patient == "ge-head" else "train"


def volume(array: np.ndarray, pixel_mm: float) -> Volume:
    """CT slices taken as plain 2-D images."""
    return Volume(np.ascontiguousarray(array), Geometry(spacing_mm=(pixel_mm, pixel_mm, 1.0)), "HU", "CT")


def averaged(slices: np.ndarray, factor: int) -> np.ndarray:
    """A coarser grid that averages pixels, hence quieter."""
    size = slices.shape[1] // factor
    blocks = slices[:, : size * factor, : size * factor].astype(np.float32)
    return whole_hu(blocks.reshape(len(slices), size, factor, size, factor).mean((2, 4)))


def picked(slices: np.ndarray, factor: int) -> np.ndarray:
    """A coarser grid that interpolates without averaging, hence as noisy."""
    from scipy import ndimage

    coarse = [
        ndimage.zoom(one.astype(np.float32), 1 / factor, order=3, mode="nearest", grid_mode=True) for one in slices
    ]
    return whole_hu(np.clip(np.stack(coarse), -1024, 3071))


def whole_hu(array: np.ndarray) -> np.ndarray:
    """Rounded, as scanners store HU."""
    return np.rint(array).astype(np.int16)


def grids(data: Path, folder: Path) -> list[Grid]:
    """The scans of three patients on grids from 0.5 to 2.3 mm, each as noisy as it is."""
    chest = read_volume(data / CHEST, modality="CT")[0]
    neck = read_volume(unpacked(data / HEAD_NECK, folder))[0]
    head, head_mm = read_head(data, folder)
    checked = head[list(HEAD_VALIDATED)]
    thin = neck.array[NECK_TRAINED]
    thick = whole_hu(np.stack([neck.array[k - 1 : k + 2].mean(0, dtype=np.float32) for k in NECK_TRAINED]))
    body, body_mm = chest.array[CHEST_TRAINED], float(chest.geometry.spacing_mm[0])
    neck_mm = float(neck.geometry.spacing_mm[0])

    def coarse(name: str, patient: str, slices: np.ndarray, pixel_mm: float, photons: float | None = None) -> Grid:
        return Grid(name, patient, slices, pixel_mm, slices, photons)

    return [  # the order seeds the noise
        Grid("head", "ge-head", checked, head_mm, head),
        coarse("head-mean2", "ge-head", averaged(checked, 2), 2 * head_mm),
        coarse("head-pick3", "ge-head", picked(checked, 3), 3 * head_mm),
        Grid("neck-thin", "weasis", thin[::2], neck_mm, neck.array),
        Grid("chest", "andrei", body, body_mm, chest.array),
        coarse("neck-thick", "weasis", thick[1::2], neck_mm),
        coarse("chest-mean2", "andrei", averaged(body[::2], 2), 2 * body_mm),
        coarse("chest-pick2", "andrei", picked(body[1::2], 2), 2 * body_mm, PICKED_PHOTONS),
        coarse("neck-mean3", "weasis", averaged(thick[::2], 3), 3 * neck_mm),
        coarse("neck-pick3", "weasis", picked(thick[1::2], 3), 3 * neck_mm),
        coarse("chest-pick3", "andrei", picked(body[::2], 3), 3 * body_mm),
        coarse("chest-mean3", "andrei", averaged(body[1::2], 3), 3 * body_mm),
        coarse("neck-thick-mean2", "weasis", averaged(thick[1::2], 2), 2 * neck_mm),
    ]


def unpacked(archive: Path, folder: Path) -> Path:
    """The one folder of images in an archive."""
    place = folder / archive.name.split(".")[0]
    if not place.is_dir():
        with tarfile.open(archive) as files:
            files.extractall(place, filter="data")
    return next(path for path in place.iterdir() if path.is_dir())


def read_head(data: Path, folder: Path) -> tuple[np.ndarray, float]:
    """Slices of the tilted, unevenly spaced head as plain images, feet first, and their pixel size in mm."""
    import pydicom

    slices = [pydicom.dcmread(path) for path in unpacked(data / HEAD, folder).glob("*.dcm")]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    hu = [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices]
    return whole_hu(np.maximum(np.stack(hu), -1024)), float(slices[0].PixelSpacing[0])


def simulate(slice_hu: np.ndarray, pixel_mm: float, photons: float, seed: list[int], quarters: int) -> list[np.ndarray]:
    """Some quarter-dose versions of a slice and one of a lower dose, drawn at random."""
    simulator = LowDoseSimulator(photons)
    sinogram = simulator.project(slice_hu, pixel_mm)
    versions = []
    for number in range(quarters + 1):
        generator = np.random.default_rng([*seed, number])
        dose = QUARTER if number < quarters else float(np.exp(generator.uniform(*np.log(LOW))))
        noisy = slice_hu + simulator.noise_hu(sinogram, pixel_mm, dose, generator)
        versions.append(whole_hu(np.maximum(noisy, -1024)))
    return versions


def build_dataset(data: Path, folder: Path) -> Dataset:
    """Pairs of low and full dose: per grid three cases at a quarter dose and one at 5 to 15 %."""
    if (folder / "dataset" / "dataset.json").is_file():
        return Dataset.load(folder / "dataset")
    low: dict[str, np.ndarray] = {}
    everything = grids(data, folder)
    with ProcessPoolExecutor() as pool:
        for index, grid in enumerate(everything):
            photons = grid.photons or calibrate_photons(volume(grid.whole, grid.pixel_mm))
            quarters = 3 if grid.split == "train" else 1
            jobs = [
                pool.submit(simulate, one, grid.pixel_mm, photons, [11, index, k], quarters)
                for k, one in enumerate(grid.slices)
            ]
            low[grid.name] = np.stack([job.result() for job in jobs], axis=1)
    return write_dataset(everything, low, folder / "dataset")


def write_dataset(everything: list[Grid], low: dict[str, np.ndarray], folder: Path) -> Dataset:
    """Images and ``dataset.json``; ``low`` holds ``(version, k, j, i)`` per grid."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cases = []
    for grid in everything:
        target = f"images/{grid.name}.nrrd"
        write_volume(volume(grid.slices, grid.pixel_mm), folder / target)
        for number, array in enumerate(low[grid.name]):
            source = f"images/{grid.name}-low{number}.nrrd"
            write_volume(volume(array, grid.pixel_mm), folder / source)
            cases.append(Case(f"{grid.name}-{number}", grid.patient, source, target, grid.split))
    description = (
        "43 slices of a non-contrast chest (Philips Brilliance 16P, 120 kVp, 300 mAs, 0.78 mm; FNNDSC/data) and 37 "
        "places of a head and neck with contrast (Siemens Definition AS+, 120 kVp, 175 mAs, 0.54 mm; "
        "nroduit/demo-archive), also averaged to 3 mm slices and resampled to coarser pixels up to 2.3 mm, with "
        "simulated doses of 25 % and 5 to 15 %"
    )
    licence = "Apache-2.0 (chest), CC BY 4.0 (head and neck)"
    dataset = Dataset(folder, "denoise-ct", "CT", "HU", description, licence, tuple(cases))
    dataset.save()
    return dataset


def measured_scans(data: Path, folder: Path) -> list[tuple[str, Volume, list[int], float | None]]:
    """What is measured: name, scan, slices, I0 (calibrated if None)."""
    chest, block, cta, abdomen = (read_volume(data / name, modality="CT")[0] for name in (CHEST, BLOCK, CTA, ABDOMEN))
    neck = read_volume(unpacked(data / HEAD_NECK, folder))[0]
    cta, abdomen = (one.with_array(whole_hu(one.array)) for one in (cta, abdomen))
    head = volume(*read_head(data, folder))
    places = list(NECK_MEASURED)
    return [
        ("abdomen 3 mm, patient not in training", abdomen, [3, 8, 13, 18, 23, 28], None),
        ("thorax with contrast 1.5 mm, patient not in training", cta, [20, 40, 60, 80, 100, 120, 140], None),
        ("head (quiet), patient of the validation", head, list(HEAD_VALIDATED), None),
        ("abdomen of the chest patient of the training, other slices", chest, [0, 3, 6, 9, 12], None),
        ("lung base of the chest patient of the training, other slices", block, [2, 9, 16, 23, 30], None),
        ("head and neck (quiet), patient in training, slices 3 mm or more away", neck, places, None),
        ("the same head and neck slices at about 8 % of the dose", neck, places, CHEST_PHOTONS),
    ]


def measure(bundle: medgan.Bundle, data: Path, folder: Path) -> list[dict]:
    """One row per scan, at a quarter of its dose unless its name says otherwise."""
    synthesizer = medgan.Synthesizer(bundle, "cpu")
    rows = []
    for number, scan in enumerate(measured_scans(data, folder)):
        row, truth, low = baseline_row(folder / "measured" / str(number), *scan)
        output = synthesizer(low).volume
        row |= {f"output_{key}": round(value, 4) for key, value in metrics.summary(truth.array, output.array).items()}
        print(row, flush=True)
        rows.append(row)
    return rows


def baseline_row(
    place: Path, name: str, scan: Volume, chosen: list[int], photons: float | None
) -> tuple[dict, Volume, Volume]:
    """Metrics of input and classical filters tuned on the truth itself; kept, as they take longer than the network."""
    truth = scan.with_array(np.ascontiguousarray(scan.array[chosen]))
    if (place / "row.json").is_file():
        low = truth.with_array(np.load(place / "low.npy", allow_pickle=False))
        return json.loads((place / "row.json").read_text(encoding="utf-8")), truth, low
    photons = calibrate_photons(scan) if photons is None else photons
    low = simulate_low_dose(truth, QUARTER, 3, photons)
    smooth, width = baselines.best(baselines.gaussian, baselines.GAUSSIAN_WIDTHS, low, truth)
    means, noise = baselines.best(baselines.non_local_means, baselines.NLM_NOISES_HU, low, truth)
    tuned = f"Gaussian {width:g} px, non-local means {noise:g} HU"
    row = {"case": name, "slices": len(chosen), "photons": round(photons), "tuned": tuned}
    for image, result in {"input": low, "gaussian": smooth, "nlm": means}.items():
        values = metrics.summary(truth.array, result.array)
        row |= {f"{image}_{key}": round(value, 4) for key, value in values.items()}
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / "low.npy", low.array)
    (place / "row.json").write_text(json.dumps(row), encoding="utf-8")
    return row, truth, low


def train(dataset: Dataset, folder: Path, start: Path | None) -> medgan.Bundle:
    """Both legs, the second from the averaged weights of the first, and the mean of their ends."""

    def show(fraction: float, message: str) -> None:
        print(f"\r{fraction:6.1%} {message}    ", end="", flush=True)

    ends: list[medgan.Bundle] = []
    for number, leg in enumerate(LEGS):
        recipe = medgan.recipes.get("denoise-ct", **{**REGRESSION, **leg})
        begin = ends[-1] if ends else start
        ends.append(medgan.train(recipe, dataset, folder / f"run-{number}", name=NAME, progress=show, start_from=begin))
    weights = [end.build_generator().state_dict() for end in ends]
    return as_bundle({key: (first + weights[1][key]) / 2 for key, first in weights[0].items()}, dataset, folder)


def as_bundle(weights: dict, dataset: Dataset, folder: Path) -> medgan.Bundle:
    """Weights as a bundle without results, to be measured."""
    from medgan.bundle_writer import write_bundle

    recipe = medgan.recipes.get("denoise-ct", **{**REGRESSION, **LEGS[1]})
    generator = recipe.build_generator()
    generator.load_state_dict(weights)
    return write_bundle(folder / "bundle", NAME, recipe, recipe.measured_spec(generator), generator, dataset, [])


def ship(bundle: medgan.Bundle, dataset: Dataset, rows: list[dict]) -> None:
    """Write the bundle of the run once more, with its card filled, to where the module finds it."""
    from medgan.bundle_writer import write_bundle

    manifest = bundle.manifest
    shipped = write_bundle(
        BUNDLE,
        NAME,
        medgan.recipes.recipe_class("denoise-ct").from_dict(manifest.recipe),
        manifest.network,
        bundle.build_generator(),
        dataset,
        rows,
        title="Low-dose CT denoising (CNCL, several scans)",
        version="2.0.0",
        change="trained on two patients, on several grids and doses; was denoise-ct-chest",
        licence="Apache-2.0",
        licence_text=(CHECKOUT / "LICENSE.txt").read_text(encoding="utf-8"),
        authors="The MedGAN developers",
        schedule=SCHEDULE,
        intended_use=(
            "Research on CT noise: demonstration of MedGAN, and a start for training on your own scans. "
            "Not for diagnosis."
        ),
        limits=LIMITS,
    )
    shipped.verify(print)


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--start", type=Path, help="bundle to start from; default: random weights")
    options = parser.parse_args()
    dataset = build_dataset(options.data, options.folder)
    bundle = train(dataset, options.folder, options.start)
    ship(bundle, dataset, measure(bundle, options.data, options.folder))


if __name__ == "__main__":
    main()
