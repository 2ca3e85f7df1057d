"""How the shipped generator ``mr-to-ct-head-demo`` was made: draw pairs, train, measure, write the bundle.

    python Testing/Training/mr_to_ct.py RUN_FOLDER [--data ../shared/data]

There are no free pairs of MR and CT of one person. The pairs are drawn from two real head CTs (see
:mod:`medgan.synthetic_contrast`); the aligned templates of MR and CT, averages of other people, are the test.
Every step is taken up where an earlier call stopped. Half an hour on one CPU core.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from medgan.image_io import read_volume, write_volume  # noqa: E402
from medgan.synthetic_contrast import draw, tissues  # noqa: E402
from medgan.volume import Geometry, Volume  # noqa: E402
from medgan.working_grid import canonical, grid_of_spacing, resampled  # noqa: E402

HEAD_NECK = "ct/head_neck_contrast_1mm_weasis_dicom_j2k_185.tar.xz"
HEAD_TILTED = "dicom_edge/ge_head_ct_gantry_tilt_variable_spacing.tar.xz"
TEMPLATE = ("mr_ct/template_t1_mni_2mm.nii.gz", "mr_ct/template_ct_hu_mni_2mm.nii.gz")
SPACING_MM = 2.0
DRAWS = 36
NECK_SLICES = 25
"""Slices of shoulders and lower neck that are left out: the bundle is for heads."""


def heads(data: Path, folder: Path) -> dict[str, Volume]:
    """The real CTs, 1 mm voxels, axes to right, anterior and superior."""
    neck, _ = read_volume(_unpacked(data / HEAD_NECK, folder))
    neck = canonical(neck)
    neck = resampled(neck, grid_of_spacing(neck, (1.0, 1.0, 1.0)), linear=True)
    neck = neck.with_array(neck.array[NECK_SLICES:], geometry=neck.geometry.shifted((0, 0, NECK_SLICES)))
    return {"weasis": neck, "ge": canonical(upright(_unpacked(data / HEAD_TILTED, folder)))}


def _unpacked(archive: Path, folder: Path) -> Path:
    """The folder of DICOM files of an archive, unpacked once."""
    target = folder / archive.name.split(".")[0]
    if not target.is_dir():
        with tarfile.open(archive) as files:
            files.extractall(target, filter="data")
    return next(path for path in target.iterdir() if path.is_dir())


def upright(folder: Path, spacing_mm: float = 1.0) -> Volume:
    """A CT of a tilted gantry and varying slice distances on a regular upright grid, linear interpolation."""
    import pydicom
    from scipy import ndimage

    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices = sorted((s for s in slices if "ImagePositionPatient" in s), key=lambda s: s.ImagePositionPatient[2])
    along_i, along_j = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    pixel_mm, normal = float(slices[0].PixelSpacing[0]), np.cross(along_i, along_j)
    origins = np.array([s.ImagePositionPatient for s in slices], float)
    stack = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])
    ends = [along_i * pixel_mm * (stack.shape[2] - 1), along_j * pixel_mm * (stack.shape[1] - 1)]
    corners = np.array([o + a * ends[0] + b * ends[1] for o in origins[[0, -1]] for a in (0, 1) for b in (0, 1)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes = [np.arange(start, stop, spacing_mm) for start, stop in zip(low, high, strict=True)]
    point = np.stack(np.meshgrid(*reversed(axes), indexing="ij")[::-1], axis=-1)  # LPS millimetres
    at_slice = np.interp(point @ normal, origins @ normal, np.arange(len(slices)), left=-5, right=len(slices) + 5)
    origin = np.stack([np.interp(at_slice, np.arange(len(slices)), origins[:, axis]) for axis in range(3)], axis=-1)
    index = [at_slice, (point - origin) @ along_j / pixel_mm, (point - origin) @ along_i / pixel_mm]
    hu = ndimage.map_coordinates(stack.astype(np.float32), index, order=1, cval=-1024.0)
    geometry = Geometry(low * (-1, -1, 1), np.full(3, spacing_mm), np.diag([-1.0, -1.0, 1.0]))
    return Volume(hu, geometry, "HU", "CT")


def draw_pairs(data: Path, folder: Path) -> list[tuple[str, str, str, str]]:
    """Pairs of random contrast and anatomy: (id, patient, source, target), paths relative to ``folder``."""
    pairs = []
    missing = [n for p in ("weasis", "ge") for n in range(DRAWS) if not (folder / f"images/{p}-{n}-ct.nrrd").is_file()]
    real = heads(data, folder.parent) if missing else {"weasis": None, "ge": None}
    for patient, ct in real.items():
        anatomy = tissues(ct) if ct is not None else None
        for number in range(DRAWS):
            name = f"{patient}-{number}"
            source, target = f"images/{name}-mr.nrrd", f"images/{name}-ct.nrrd"
            pairs.append((name, patient, source, target))
            if (folder / target).is_file():
                continue
            generator = np.random.default_rng([number, *patient.encode()])
            mr, truth = draw(anatomy, SPACING_MM, generator)
            write_volume(mr, folder / source)
            write_volume(truth, folder / target)
            print(f"\rdrawn {name}   ", end="", flush=True)
    return pairs


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    options = parser.parse_args()
    draw_pairs(options.data, options.folder / "dataset")


if __name__ == "__main__":
    main()
