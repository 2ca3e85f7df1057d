"""The scans that ``denoise_ct.py`` trains on and measures with, and their simulated low doses."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from medgan.dataset import Case, Dataset
from medgan.degrade import LowDoseSimulator, calibrate_photons
from medgan.image_io import read_volume, write_volume
from medgan.volume import Geometry, Volume
from shipping import unpacked

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
# Its own calibration takes anatomy for noise on so coarse a grid, and gives ten times the noise of the scan.
PICKED_PHOTONS = 2.5e4


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
