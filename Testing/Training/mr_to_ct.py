"""How the shipped generator ``mr-to-ct-head-demo`` was made: draw pairs, train, measure, write the bundle.

    python Testing/Training/mr_to_ct.py RUN_FOLDER [--data ../shared/data]

There are no free pairs of MR and CT of one person. The pairs are drawn from two real head CTs (see
:mod:`medgan.synthetic_contrast`); the aligned templates of MR and CT, averages of other people, are the test.
Every step is taken up where an earlier call stopped. Half an hour on one CPU core.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from medgan import Bundle, metrics  # noqa: E402
from medgan.baselines_ct import IntensityRegression, water  # noqa: E402
from medgan.body_mask import body_mask  # noqa: E402
from medgan.dataset import Case, Dataset  # noqa: E402
from medgan.files import write_json  # noqa: E402
from medgan.image_io import read_volume, write_volume  # noqa: E402
from medgan.recipes.base import Recipe  # noqa: E402
from medgan.synthetic_contrast import draw, tissues  # noqa: E402
from medgan.volume import Geometry, Volume  # noqa: E402
from medgan.working_grid import canonical, grid_of_spacing, resampled  # noqa: E402
from shipping import ship, show, unpacked  # noqa: E402

HEAD_NECK = "ct/head_neck_contrast_1mm_weasis_dicom_j2k_185.tar.xz"
HEAD_TILTED = "dicom_edge/ge_head_ct_gantry_tilt_variable_spacing.tar.xz"
NAME = "mr-to-ct-head-demo"
TEMPLATE = ("mr_ct/template_t1_mni_2mm.nii.gz", "mr_ct/template_ct_hu_mni_2mm.nii.gz")
PATIENTS = ("weasis", "ge")
SPACING_MM = 2.0
DRAWS = 36
NECK_SLICES = 25
"""Slices of shoulders and lower neck that are left out: the bundle is for heads."""
ADVERSARIAL_WEIGHTS = (0.0, 1.0)
LICENCE = """Weights trained on images under CC BY 4.0 (nroduit/demo-archive) and BSD-2-Clause (neurolabusc/dcm_qa_ct).
They may be used and passed on under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), naming MedGAN and these.
"""
# The training was cut short; one run of 60 epochs is the plain way.
SCHEDULE = "45 epochs of 50 steps on 24 patches of 64 x 64 pixels, the rate falling as for 60 epochs in the first 41"
LIMITS = [
    "No real MR was in the training: MRs of random contrast were drawn from the CTs of two adults, one of them with "
    "contrast medium, so that enhanced vessels may be made where there are none.",
    "It does not beat its baselines where it could be measured: on the pair of templates its mean absolute error is "
    "greater than that of water and of a regression of intensities. The templates are averages of people whose skulls "
    "blur into each other, so their bone is thinner and has fewer HU than a person's; no pair of one person was free. "
    "It beats both on new drawings of its own two training heads.",
    "A discriminator added for 100 steps changed nothing that could be measured, so none was used; longer was not "
    "tried.",
    "Looked at on two real T1s (mne, UIH), skull, scalp, orbits and sinuses lie where they belong; bone of the face "
    "and the skull base is too faint, and teeth, ears and the air of the mastoids are lost.",
    "Computed on voxels of 2 mm: thin bone (sinuses, ear) is lost or blurred.",
    "HU of bone are a guess by place and shape: an MR does not show the density of bone.",
    "Not measured on patients, children, after surgery, with metal, tumours or large defects of the skull.",
]
COMPARED = ("mae_hu_body", "bias_hu_body", "psnr_db_synthrad2025", "edge_ratio")


def heads(data: Path, folder: Path) -> dict[str, Volume]:
    """The real CTs, 1 mm voxels, axes to right, anterior and superior."""
    neck, _ = read_volume(unpacked(data / HEAD_NECK, folder))
    neck = canonical(neck)
    neck = resampled(neck, grid_of_spacing(neck, (1.0, 1.0, 1.0)), linear=True)
    neck = neck.with_array(neck.array[NECK_SLICES:], geometry=neck.geometry.shifted((0, 0, NECK_SLICES)))
    return {"weasis": neck, "ge": canonical(upright(unpacked(data / HEAD_TILTED, folder)))}


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


def build_dataset(data: Path, folder: Path) -> Dataset:
    """Drawn pairs of both heads to train on, and the templates to test on."""
    if (folder / "dataset.json").is_file():
        return Dataset.load(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cases = draw_pairs(data, folder)
    source, target = (read_volume(data / path, modality=m)[0] for path, m in zip(TEMPLATE, ("MR", "CT"), strict=True))
    write_volume(source, folder / "images/template-mr.nrrd")
    write_volume(target, folder / "images/template-ct.nrrd")
    both = body_mask(source) & body_mask(target)
    write_volume(source.with_array(both.astype(np.uint8)), folder / "images/template-mask.nrrd")
    template = Case(
        "template",
        "template",
        "images/template-mr.nrrd",
        "images/template-ct.nrrd",
        "test",
        "images/template-mask.nrrd",
    )
    description = (
        "No real pairs: MRs of random contrast drawn from two real head CTs of two adults (head and neck with "
        "contrast, nroduit/demo-archive, CC BY 4.0; neurolabusc/dcm_qa_ct, BSD-2-Clause), each "
        f"{DRAWS} times randomly deformed, table and head rest removed, 2 mm voxels"
    )
    dataset = Dataset(
        folder, "mr-to-ct", "MR", "", description, "CC BY 4.0 and BSD-2-Clause", (*cases, template),
        target_modality="CT", target_units="HU",
    )  # fmt: skip
    dataset.save()
    return dataset


def draw_pairs(data: Path, folder: Path) -> list[Case]:
    """Pairs of random contrast and anatomy, images in ``folder``."""
    cases = []
    paths = [folder / f"images/{patient}-{n}-ct.nrrd" for patient in PATIENTS for n in range(DRAWS)]
    real = {} if all(path.is_file() for path in paths) else heads(data, folder.parent)
    for patient in PATIENTS:
        anatomy = tissues(real[patient]) if real else None
        for number in range(DRAWS):
            name = f"{patient}-{number}"
            source, target, mask = (f"images/{name}-{kind}.nrrd" for kind in ("mr", "ct", "mask"))
            cases.append(Case(name, patient, source, target, "train", mask))
            if (folder / target).is_file():
                continue
            mr, truth = draw(anatomy, SPACING_MM, np.random.default_rng([number, *patient.encode()]))
            write_volume(mr, folder / source)
            write_volume(mr.with_array(body_mask(mr).astype(np.uint8)), folder / mask)
            write_volume(truth, folder / target)
            print(f"\rdrawn {name}   ", end="", flush=True)
    return cases


def few(dataset: Dataset) -> Dataset:
    """The dataset with every twelfth training case, where that is enough."""
    train = dataset.split("train")[::12]
    return dataclasses.replace(dataset, cases=(*train, *dataset.split("test")))


def compare_adversarial(bundle: Bundle, dataset: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Does a discriminator help? The generator goes on as before and, beside, with one; judged on the templates."""
    if (folder / "adversarial.json").is_file():
        return json.loads((folder / "adversarial.json").read_text(encoding="utf-8"))
    rows = []
    for weight in ADVERSARIAL_WEIGHTS:
        more = recipe(
            epochs=1, steps_per_epoch=100, learning_rate_generator=1e-4, weight_adversarial=weight, adversarial_start=0
        )
        run = folder / f"adversarial-{weight:g}"
        trained = medgan.train(more, few(dataset), run, progress=show, name=run.name, start_from=bundle, device="cpu")
        table = medgan.evaluate(trained, few(dataset), "cpu", baselines=False)
        rows.append({"weight": weight, **{key: table[0][f"output_{key}"] for key in COMPARED}})
        print("\n", rows[-1], flush=True)
    write_json(folder / "adversarial.json", rows)
    return rows


def recipe(**overrides: Any) -> Recipe:
    """The recommended recipe, ten minutes on one core."""
    return medgan.recipes.get("mr-to-ct", **{"epochs": 45, **overrides})


def measure(bundle: Bundle, dataset: Dataset, comparison: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Rows of the card: the templates, beside what needs no network, and what a discriminator made of them."""
    table = medgan.evaluate(bundle, few(dataset), "cpu", out_dir=folder / "report")
    print("", *table.summary, *table.notes, sep="\n", flush=True)
    case = "template MR to template CT (averages of other people), inside both bodies"
    known = {key: value for key, value in table[0].items() if key not in ("patient", "cases") and value == value}
    rows = [{"case": case, "learnt_from": False, **known}]
    for row in comparison:
        name = f"the same after 100 more steps, adversarial weight {row['weight']:g} (L1 100)"
        rows.append({"case": name, "method": "output", **{key: row[key] for key in COMPARED}})
    return rows


def measure_draws(bundle: Bundle, dataset: Dataset, data: Path, folder: Path) -> list[dict[str, Any]]:
    """Rows of the card: new contrasts and shapes of the two heads it was trained on, so no measure of other people."""
    synthesizer = medgan.Synthesizer(bundle, "cpu")
    cases = few(dataset).split("train")
    regression = IntensityRegression((*dataset.volumes(case), dataset.mask(case)) for case in cases)
    rows = []
    for patient, ct in heads(data, folder).items():
        anatomy = tissues(ct)
        for number in (1000, 1001):
            mr, truth = draw(anatomy, SPACING_MM, np.random.default_rng([number, *patient.encode()]))
            mask = body_mask(mr)
            row = {"case": f"new drawing {number - 999} of the training head {patient}", "learnt_from": True}
            for name, made in (
                ("output", synthesizer(mr).volume),
                ("water", water(mr)),
                ("regression", regression(mr)),
            ):
                row[f"{name}_mae_hu_body"] = round(metrics.mae(truth.array, made.array, mask), 1)
                row[f"{name}_bias_hu_body"] = round(metrics.bias(truth.array, made.array, mask), 1)
            rows.append(row)
    return rows


def write_shipped(bundle: Bundle, dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    """Write the bundle with its card to where the module finds it."""
    ship(
        bundle,
        dataset,
        rows,
        title="Head MR (T1) to synthetic CT (demo)",
        licence="CC-BY-4.0",
        licence_text=LICENCE,
        schedule=SCHEDULE,
        intended_use=(
            "Demonstration of MedGAN, and a start for training on your own pairs. Not for diagnosis, attenuation "
            "correction or dose calculation."
        ),
        limits=LIMITS,
    )


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    options = parser.parse_args()
    dataset = build_dataset(options.data, options.folder / "dataset")
    bundle = medgan.train(recipe(), dataset, options.folder / "run", progress=show, name=NAME)
    comparison = compare_adversarial(bundle, dataset, options.folder)
    rows = measure(bundle, dataset, comparison, options.folder)
    write_shipped(bundle, dataset, rows + measure_draws(bundle, dataset, options.data, options.folder))


if __name__ == "__main__":
    main()
