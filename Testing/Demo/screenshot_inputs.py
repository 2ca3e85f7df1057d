"""What the screenshots show: one real image per effect from the shared data, or a phantom where they are not."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from medgan.volume import Geometry, Volume

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """One screenshot.

    key, model: effect and shipped bundle that are chosen in the panel
    name: of the volume in the scene
    load: gives the Volume (None where the shared data are not here)
    modality: of the phantom that stands in for it
    level: where the axial slice lies, as a share of the volume from its bottom to its top
    window: lowest and highest value that is shown; None for what the scene finds itself
    focus: middle of the enlarged part, as shares of the picture from the left and from the top
    """

    key: str
    model: str
    name: str
    load: Callable
    modality: str
    level: float = 0.5
    window: tuple[float, float] | None = None
    focus: tuple[float, float] = (0.5, 0.5)


def sourceVolume(case):
    """The image of a case; a phantom where the shared data are not here."""
    volume = case.load()
    return volume if volume is not None else phantom(case.modality)


def trainingPairs():
    """MR and CT by patient, of which the picture of a dataset is made: real ones where they are, or phantoms."""
    pairs = {}
    for patient, (mr, ct) in TRAINING_PAIRS.items():
        pair = (_read(mr, "MR"), _read(ct, "CT"))
        seed = len(pairs)
        pairs[patient] = pair if None not in pair else (phantom("MR", seed), phantom("CT", seed))
    return pairs


def trainingScans():
    """Three CT by patient, from which the pictures of MedGAN Training are made: parts of real ones, or phantoms."""
    scans = {}
    for patient, (name, (k, j, i)) in TRAINING_SCANS.items():
        volume = _read(name, "CT")
        if volume is None:
            scans[patient] = phantom("CT", seed=len(scans))
        else:
            geometry = volume.geometry.shifted((i.start, j.start, k.start))
            scans[patient] = volume.with_array(volume.array[k, j, i], geometry=geometry)
    return scans


def _read(name, modality):
    """A shared image, None if it is not here."""
    from medgan.image_io import read_volume

    path = Path(os.environ.get("MEDGAN_DATA") or CHECKOUT.parent / "shared" / "data") / name
    return read_volume(path, modality=modality)[0] if path.is_file() else None


def _thick():
    """A T1 head of 1 mm as a scan with voxels of 2 mm would show it: what the super-resolving generator is for."""
    from medgan.degrade_mr import degrade, divisible

    volume = _read("mr_t1/t1_uih_1mm.nii.gz", "MR")
    return degrade(divisible(volume, (2, 2, 2)), (2, 2, 2)) if volume is not None else None


def _middle():
    """What lies between the lungs, as far around as in the scan the demonstration generator was trained on."""
    volume = _read("ct/chest_abdomen_noncontrast_andrei_57_slices_every_4mm.nii.gz", "CT")
    if volume is None:
        return None
    return volume.with_array(volume.array[:, 130:360, 141:371], geometry=volume.geometry.shifted((141, 130, 0)))


def _slide():
    """A piece of breast tissue at 0.5 micrometers; the file does not say its resolution."""
    volume = _read("histology/veta_example1.png", None)
    if volume is None:
        return None
    pixels = volume.array[:, :512, :512]
    return Volume(pixels, Geometry((0, 0, 0), (0.0005, 0.0005, 1.0), np.diag([-1.0, -1.0, 1.0])), "", "SM")


def phantom(modality, seed=0):
    """An ellipse with two organs and noise: CT in HU, MR without a unit, or a stained slide ("SM")."""
    shape, rng = (24, 128, 128), np.random.default_rng(seed)
    k, j, i = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    body = (i / 0.8) ** 2 + (j / 0.65) ** 2 < 1
    organs = ((abs(i) - 0.35) / 0.2) ** 2 + (j / 0.4) ** 2 + k**2 < 1
    if modality == "CT":
        array = np.where(body, np.where(organs, 60.0, -20.0), -1000.0) + rng.normal(0, 40, shape)
        return Volume(np.round(array).astype(np.int16), _grid(2.0), "HU", "CT")
    if modality == "MR":
        array = np.where(body, np.where(organs, 700.0, 400.0), 5.0) + rng.normal(0, 20, shape)
        return Volume(array.clip(0).astype(np.float32), _grid(2.0), "", "MR")
    tissue = np.where((organs | (rng.random(shape) < 0.1))[12, ..., None], (120, 70, 150), (235, 180, 210))
    return Volume(tissue[None].astype(np.uint8), _grid(0.0005), "", "SM")


def _grid(spacing):
    return Geometry((0, 0, 0), (spacing, spacing, spacing if spacing > 0.1 else 1.0), np.diag([-1.0, -1.0, 1.0]))


def _ct(name):
    return lambda: _read(name, "CT")


TRAINING_PAIRS = {  # the last are not of one person, which the score tells
    "Templates": ("mr_ct/template_t1_mni_2mm.nii.gz", "mr_ct/template_ct_hu_mni_2mm.nii.gz"),
    "Head": ("mr_ct/weakpair_t1_mni_affine_2mm.nii.gz", "mr_ct/weakpair_headct_weasis_2mm.nii.gz"),
    "Abdomen": ("ct/mr_abdomen_3mm_small_totalseg.nii.gz", "ct/abdomen_3mm_small_totalseg.nii.gz"),
}
TRAINING_SCANS = {  # slices, rows, columns
    "Chest": (
        "ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz", (slice(4, 16), slice(130, 350), slice(90, 430)),
    ),
    "Thorax": ("ct/cta_thorax_1p5mm_totalseg.nii.gz", (slice(60, 72), slice(0, 120), slice(0, 120))),
    "Abdomen": ("ct/abdomen_3mm_small_totalseg.nii.gz", (slice(8, 20), slice(0, 100), slice(0, 122))),
}  # fmt: skip
CASES = (
    Case(
        "denoise-ct",
        "denoise-ct-multi",
        "Chest CT, quarter dose",
        _ct("ldct/chest_andrei_z072-083_lowdose25_sim.nii.gz"),
        "CT",
        window=(-160, 240),
    ),
    Case(
        "contrast-ct",
        "contrast-ct-demo",
        "Chest CT, no contrast",
        _middle,
        "CT",
        level=0.4,
        window=(-160, 340),
    ),
    Case(
        "superres-mr",
        "superres-mr-2x2x2",
        "T1 head, 2 mm",
        _thick,
        "MR",
        level=0.65,
        window=(0, 380),
        focus=(0.4, 0.42),
    ),
    Case(
        "mr-to-ct",
        "mr-to-ct-head-demo",
        "T1 head",
        lambda: _read("mr_ct/weakpair_t1_mni_affine_2mm.nii.gz", "MR"),
        "MR",
        level=0.7,
        focus=(0.3, 0.35),
    ),
    Case("stain", "stain-he-cmu1", "Breast, H&E", _slide, "SM", window=(0, 255)),
    Case(
        "custom",
        "denoise-ct-multi",
        "Chest CT",
        _ct("ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz"),
        "CT",
        window=(-160, 240),
    ),
)
