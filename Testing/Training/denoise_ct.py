"""How the shipped generator ``denoise-ct-multi`` was made: simulate, train, measure, write the bundle.

    python Testing/Training/denoise_ct.py RUN_FOLDER [--data ../shared/data] [--start BUNDLE]

Every step is taken up where an earlier call stopped: 15 minutes of simulation and an hour of training on two CPU cores.
``--start`` names a bundle whose weights the training starts from. The shipped weights started from those of
``denoise-ct-chest`` (git revision 92282fb). They came from the same images, parameters, rates and steps, with patches
drawn by the sampler of then and the end of each leg taken instead of its best epoch: a run remakes them in kind and
quality, not bit for bit.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from denoise_ct_scans import (  # noqa: E402
    ABDOMEN,
    BLOCK,
    CHEST,
    CTA,
    HEAD_NECK,
    HEAD_VALIDATED,
    NECK_MEASURED,
    QUARTER,
    build_dataset,
    read_head,
    volume,
    whole_hu,
)  # fmt: skip
from medgan import baselines, metrics  # noqa: E402
from medgan.dataset import Dataset  # noqa: E402
from medgan.degrade import calibrate_photons, simulate_low_dose  # noqa: E402
from medgan.image_io import read_volume  # noqa: E402
from medgan.volume import Volume  # noqa: E402
from shipping import ship, show, unpacked  # noqa: E402

NAME = "denoise-ct-multi"
# On the head and neck, whose own I0 is 3.8e5, that of the chest gives the noise of about 8 % of the dose.
CHEST_PHOTONS = 9.5e4

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
    (
        "The gain shrinks with the noise: on a head of 6 HU at a quarter dose it is 0.2 dB ahead of non-local means, "
        "and within bone it removes next to nothing."
    ),
    (
        "Coarse grids were put into the training because an earlier version was weak on the two coarse test scans; "
        "nothing was chosen by their results."
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


def measured_scans(data: Path, folder: Path) -> list[tuple[str, bool, Volume, list[int], float | None]]:
    """What is measured: name, whether the patient (not these slices) was learnt from, scan, slices, I0 (calibrated if
    None).
    """
    chest, block, cta, abdomen = (read_volume(data / name, modality="CT")[0] for name in (CHEST, BLOCK, CTA, ABDOMEN))
    neck = read_volume(unpacked(data / HEAD_NECK, folder))[0]
    cta, abdomen = (one.with_array(whole_hu(one.array)) for one in (cta, abdomen))
    head = volume(*read_head(data, folder))
    places = list(NECK_MEASURED)
    return [
        ("abdomen 3 mm, patient not in training", False, abdomen, [3, 8, 13, 18, 23, 28], None),
        ("thorax with contrast 1.5 mm, patient not in training", False, cta, [20, 40, 60, 80, 100, 120, 140], None),
        ("head (quiet), patient of the validation", False, head, list(HEAD_VALIDATED), None),
        ("abdomen of the chest patient of the training, other slices", True, chest, [0, 3, 6, 9, 12], None),
        ("lung base of the chest patient of the training, other slices", True, block, [2, 9, 16, 23, 30], None),
        ("head and neck (quiet), patient in training, slices 3 mm or more away", True, neck, places, None),
        ("the same head and neck slices at about 8 % of the dose", True, neck, places, CHEST_PHOTONS),
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
    place: Path, name: str, learnt_from: bool, scan: Volume, chosen: list[int], photons: float | None
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
    row = {"case": name, "learnt_from": learnt_from, "slices": len(chosen), "photons": round(photons), "tuned": tuned}
    for image, result in {"input": low, "gaussian": smooth, "nlm": means}.items():
        values = metrics.summary(truth.array, result.array)
        row |= {f"{image}_{key}": round(value, 4) for key, value in values.items()}
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / "low.npy", low.array)
    (place / "row.json").write_text(json.dumps(row), encoding="utf-8")
    return row, truth, low


def train(dataset: Dataset, folder: Path, start: Path | None) -> medgan.Bundle:
    """Both legs, the second from the averaged weights of the first, and the mean of their ends."""
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


def write_shipped(bundle: medgan.Bundle, dataset: Dataset, rows: list[dict]) -> None:
    """Write the bundle with its card to where the module finds it."""
    ship(
        bundle,
        dataset,
        rows,
        title="Low-dose CT denoising (CNCL, several scans)",
        version="2.0.0",
        change="trained on two patients, on several grids and doses; was denoise-ct-chest",
        schedule=SCHEDULE,
        intended_use=(
            "Research on CT noise: demonstration of MedGAN, and a start for training on your own scans. "
            "Not for diagnosis."
        ),
        limits=LIMITS,
    )


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--start", type=Path, help="bundle to start from; default: random weights")
    options = parser.parse_args()
    dataset = build_dataset(options.data, options.folder)
    bundle = train(dataset, options.folder, options.start)
    write_shipped(bundle, dataset, measure(bundle, options.data, options.folder))


if __name__ == "__main__":
    main()
