"""A head of ellipsoids as MR and CT, and datasets of it: in the MR bone, air of a sinus and ventricles are alike dark,
so that no curve from MR intensity to HU can be right.
"""

import dataclasses
from pathlib import Path

import numpy as np
from medgan.body_mask import body_mask
from medgan.dataset import Case, Dataset
from medgan.image_io import write_volume
from medgan.volume import Geometry, Volume

SHAPE = (32, 48, 40)
SPACING_MM = 5.0
#         k, j, i radius in voxels, MR, HU
LAYERS = ((14, 21, 17, 900.0, -90.0), (12.4, 19.4, 15.4, 60.0, 1100.0), (10.8, 17.8, 13.8, 600.0, 38.0))


def head(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> tuple[Volume, Volume]:
    """MR and CT of a head, 5 mm voxels, axes to right, anterior, superior."""
    generator = np.random.default_rng(seed)
    center = (np.array(shape) - 1) / 2 + generator.uniform(-1, 1, 3)
    axes = np.ogrid[tuple(slice(size) for size in shape)]
    mr, hu = np.zeros(shape, np.float32), np.full(shape, -1000.0, np.float32)

    def inside(at, radii):
        return sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, at, radii, strict=True)) < 1

    for *radii, brightness, value in LAYERS:
        where = inside(center, radii)
        mr[where], hu[where] = brightness, value
    neck = inside(center + np.array((-12, 0, 0)), (6, 7, 6)) & inside(center, LAYERS[0][:3])
    mr[neck], hu[neck] = 500.0, 50.0
    ventricles = inside(center, (7, 11, 9))
    mr[ventricles], hu[ventricles] = 60.0, 8.0
    sinus = inside(center + np.array((-6, 13, 0)), (4, 4, 6)) & inside(center, LAYERS[1][:3])
    mr[sinus], hu[sinus] = 60.0, -980.0
    mr += generator.normal(0, 12, shape).astype(np.float32)
    geometry = Geometry((-90.0, -110.0, -70.0), np.full(3, SPACING_MM))
    return Volume(np.abs(mr), geometry, "", "MR"), Volume(hu, geometry, "HU", "CT")


def stored(volume: Volume, order: tuple[int, int, int], flips: tuple[int, ...] = ()) -> Volume:
    """The same image with its array axes (k, j, i) in another order and some of them backwards."""
    geometry = volume.geometry
    columns = [2 - order[2 - axis] for axis in range(3)]
    directions, spacing_mm = geometry.directions[:, columns].copy(), geometry.spacing_mm[columns]
    array, origin_mm = np.transpose(volume.array, order), geometry.origin_mm.copy()
    for axis in flips:
        column = 2 - axis
        origin_mm = origin_mm + directions[:, column] * spacing_mm[column] * (array.shape[axis] - 1)
        directions[:, column] *= -1
        array = np.flip(array, axis)
    moved = Geometry(origin_mm, spacing_mm, directions)
    return dataclasses.replace(volume, array=np.ascontiguousarray(array), geometry=moved)


def paired_dataset(folder: Path, task: str = "mr-to-ct") -> Dataset:
    """One head to train on, another one to validate and a third to test."""
    folder.mkdir(parents=True)
    cases = []
    for seed, split in enumerate(("train", "validation", "test")):
        mr, ct = head(seed)
        write_volume(mr, folder / f"{split}-mr.nrrd")
        write_volume(ct, folder / f"{split}-ct.nrrd")
        write_volume(mr.with_array(body_mask(mr).astype(np.uint8)), folder / f"{split}-mask.nrrd")
        cases.append(Case(split, split, f"{split}-mr.nrrd", f"{split}-ct.nrrd", split, f"{split}-mask.nrrd"))
    return _saved(folder, task, cases)


def unpaired_dataset(folder: Path) -> Dataset:
    """Two MRs and two CTs of different heads on different grids."""
    folder.mkdir(parents=True)
    cases = []
    for seed in range(4):
        shape = (SHAPE[0], SHAPE[1] + 2 * seed, SHAPE[2] + seed)
        name, volume = f"p{seed}", head(seed, shape)[seed // 2]
        write_volume(volume, folder / f"{name}.nrrd")
        source, target = (f"{name}.nrrd", "") if seed < 2 else ("", f"{name}.nrrd")
        cases.append(Case(name, name, source, target, "train"))
    return _saved(folder, "mr-to-ct-unpaired", cases, paired=False)


def _saved(folder: Path, task: str, cases: list[Case], **fields) -> Dataset:
    dataset = Dataset(
        folder, task, "MR", "", "ellipsoids", "CC0-1.0", tuple(cases), target_modality="CT", target_units="HU", **fields
    )
    dataset.save()
    return Dataset.load(folder)
