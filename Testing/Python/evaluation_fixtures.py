"""Small datasets on disk, one case per split unless more are asked for, and generators that need no training."""

from pathlib import Path

import numpy as np
from medgan.dataset import Case, Dataset
from medgan.image_io import write_volume
from medgan.volume import Geometry, Volume

GRID = Geometry((-20.0, 10.0, 5.0), (0.9, 0.8, 2.0), np.eye(3))
SPLITS = ("train", "validation", "test")


def saved(folder: Path, task: str, pairs, modality: str, units: str = "", **fields) -> Dataset:
    """A dataset of ``(split, patient, source, truth or None)`` rows."""
    (folder / "images").mkdir(parents=True)
    cases = []
    for number, (split, patient, *volumes) in enumerate(pairs):
        paths = []
        for role, volume in zip(("source", "target"), volumes, strict=True):
            paths.append("" if volume is None else f"images/{number}-{role}.nrrd")
            if volume is not None:
                write_volume(volume, folder / paths[-1])
        cases.append(Case(f"case-{number}", patient, *paths, split))
    Dataset(folder, task, modality, units, "made up", "CC0-1.0", tuple(cases), **fields).save()
    return Dataset.load(folder)


def ct_disc(generator: np.random.Generator, slices: int = 2, size: int = 96) -> np.ndarray:
    """Soft tissue in air with a bone, HU, and a little noise."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    bone = generator.uniform(-15, 15, (slices, 2))
    body = np.where(np.hypot(rows, columns) < 0.4 * size, 40.0, -1000.0)
    images = [np.where(np.hypot(rows - y, columns - x) < 6, 700.0, body) for y, x in bone]
    return np.stack(images) + generator.normal(0, 5, (slices, size, size))


def denoising(folder: Path, patients: int = 3) -> Dataset:
    """Noisy CT; ``patients`` in the test split, of whom the first has two cases."""
    generator = np.random.default_rng(0)
    names = ["train", "validation", *(f"test-{number}" for number in range(patients))]
    pairs = []
    for name in (*names, "test-0"):
        truth = ct_disc(generator)
        noisy = truth + generator.normal(0, 20 + 10 * len(pairs), truth.shape)
        volumes = [Volume(np.rint(x).astype(np.int16), GRID, "HU", "CT") for x in (noisy, truth)]
        pairs.append((name.partition("-")[0], name, *volumes))
    return saved(folder, "denoise-ct", pairs, "CT", "HU")


def mr_and_ct(folder: Path, task: str = "mr-to-ct") -> Dataset:
    """MR whose intensity tells air, soft tissue and bone apart in its own way, and the CT of the same disc."""
    generator = np.random.default_rng(0)
    pairs = []
    for split in SPLITS:
        ct = ct_disc(generator, 9, 64)
        mr = np.select([ct < -500, ct < 300], [5.0, 300.0], 120.0) * generator.uniform(0.5, 2.0)
        mr = np.abs(mr + generator.normal(0, 3, mr.shape))
        pairs.append((split, split, Volume(mr.astype(np.float32), GRID, "", "MR"),
                      Volume(np.rint(ct).astype(np.int16), GRID, "HU", "CT")))  # fmt: skip
    return saved(folder, task, pairs, "MR", "", target_modality="CT", target_units="HU")


def coarse_and_fine(folder: Path) -> Dataset:
    """Smooth MR heads, every second voxel averaged away."""
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(0)
    pairs = []
    for split in SPLITS:
        fine = gaussian_filter(generator.random((16, 48, 48)), 1.5)
        fine = (fine - fine.min()) / np.ptp(fine) * 500 + 100
        rows, columns = np.mgrid[:48, :48] - 23.5
        fine = np.where(np.hypot(rows, columns) < 20, fine, 0.0).astype(np.float32)
        coarse = fine.reshape(8, 2, 24, 2, 24, 2).mean(axis=(1, 3, 5))
        pairs.append((split, split, Volume(coarse, GRID, "", "MR"),
                      Volume(fine, GRID.shifted((0, 0, 0), (2, 2, 2)), "", "MR")))  # fmt: skip
    return saved(folder, "superres-mr", pairs, "MR")


OURS = np.array([[0.65, 0.70, 0.29], [0.25, 0.90, 0.35]])
THEIRS = np.array([[0.50, 0.75, 0.43], [0.20, 0.70, 0.68]])


def slide(seed: int, size: int = 64, stains: np.ndarray = OURS) -> Volume:
    """Nuclei in stroma beside glass, RGB: random concentrations of two stains with the given colors of absorption."""
    generator = np.random.default_rng(seed)
    nuclei = generator.random((1, size, size)) < 0.3
    concentration = generator.uniform(0.6, 1.0, (1, size, size, 2))
    concentration *= np.where(nuclei[..., np.newaxis], (1.5, 0.3), (0.2, 1.2))
    picture = 240.0 * np.exp(-concentration @ stains)
    picture[:, :, : size // 4] = 250
    return Volume(np.clip(np.rint(picture), 0, 255).astype(np.uint8))


def slides(folder: Path, paired: bool = True) -> Dataset:
    """Slides of another laboratory, and the same in the colors wanted; in the test split, if not paired, without."""
    pairs = [(split, split, slide(seed, stains=THEIRS), slide(seed)) for seed, split in enumerate(SPLITS)]
    if not paired:
        pairs = [("train", "train", None, slide(0)), ("test", "test", slide(2, stains=THEIRS), None)]
    return saved(folder, "stain", pairs, "SM", paired=paired)


def enhancing(folder: Path) -> Dataset:
    """Non-contrast CT, and the same with a vessel 200 HU brighter."""
    generator = np.random.default_rng(0)
    pairs = []
    for split in SPLITS:
        plain = ct_disc(generator, 4, 64)
        plain[:, 17:31, 17:31] = 40 + generator.normal(0, 5, (4, 14, 14))  # no bone here
        bright = plain.copy()
        bright[:, 20:28, 20:28] += 200
        volumes = [Volume(np.rint(x).astype(np.int16), GRID, "HU", "CT") for x in (plain, bright)]
        pairs.append((split, split, *volumes))
    return saved(folder, "contrast-ct", pairs, "CT", "HU")
