"""How the shipped generator ``stain-he-cmu1`` was made: cut the slide, train, measure, write the bundle.

    python Testing/Training/stain.py RUN_FOLDER [--data ../shared/data] [--input rgb] [--ship]

Every step is taken up where an earlier call stopped. A quarter of an hour on one CPU core. The target laboratory is
that of the slide CMU-1; a band of it is kept out of training, and so are all slides of other laboratories.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "MedGANSynthesis"))

import medgan  # noqa: E402
from medgan import slide_io  # noqa: E402
from medgan.baselines_stain import StainNormalizer  # noqa: E402
from medgan.body_mask import body_mask  # noqa: E402
from medgan.dataset import Case, Dataset  # noqa: E402
from medgan.files import write_json  # noqa: E402
from medgan.image_io import read_volume, write_volume  # noqa: E402
from medgan.metrics import staining  # noqa: E402
from medgan.restaining import Restaining  # noqa: E402
from medgan.volume import Volume  # noqa: E402
from shipping import ship, show  # noqa: E402

SLIDE = "histology/CMU-1-Small-Region.svs"
FOREIGN = ("torchstain_source", "torchstain_target", "veta_example1", "veta_example2")
NAME = "stain-he-cmu1"
COLUMNS = (450, 1950)  # where the tissue lies
TRAIN_ROWS = ((0, 1640), (2314, 2967))
VALIDATION_ROWS = (1690, 1850)
HELD_OUT_ROWS = (1850, 2250)  # of all bands the one whose colors are nearest to those of the whole slide
SETTINGS = {
    "batch_size": 4, "patch_size": 128, "base_width": 16, "epochs": 7, "steps_per_epoch": 60, "averaging": 0.99,
    "learning_rate_generator": 1.2e-3, "weight_adversarial": 0.0,
}  # fmt: skip


LIMITS = [
    "Trained on one region of one H&E slide of skin from one laboratory; whatever it is given takes on those colors.",
    (
        "Measured on four pictures of breast tissue of other laboratories, which have no true partner: their colors "
        "are compared with those of a band of CMU-1 that was kept out of training; skin and breast differ."
    ),
    (
        "'macenko' and 'reinhard' are torchstain fitted to the training bands with their glass, as is usual; "
        "'macenko_tissue' and 'reinhard_tissue' to their tissue alone. Reinhard matches the mean color by "
        "construction: fitted to tissue alone it is better in de2000_mean_color on three of the four, and worse in "
        "de2000_classes (dark to light tissue apart) on all four."
    ),
    (
        "'structure' is the SSIM of luma against the source, both brought to the same mean and deviation in tissue; "
        "Reinhard keeps more of it than this generator, Macenko about as much."
    ),
    (
        "The band stained 'by macenko' or 'by reinhard' is simulated, in its tissue only: each method undoes best what "
        "is of its own kind."
    ),
    (
        "A slide is brought to the statistics of its own tissue first: pictures of a single kind of tissue come out "
        "less true than whole slides, and a tile by itself other than within its slide."
    ),
    (
        "The other way, painting the optical density (grey), was trained alike and is worse: 7.3 instead of 4.2 in "
        "de2000_tissue, 25.5 instead of 29.9 dB and SSIM 0.935 instead of 0.975 on the held-out band as it is."
    ),
    "Almost black pixels, as in dense keratin, can come out with single green specks.",
    "Pigment, ink and other stains than H&E are turned into H&E colors; look at the source too.",
    "Normalization may not help what is computed from slides afterwards; measure that before relying on it.",
]


def region(data: Path, rows: tuple[int, int]) -> Volume:
    """Some rows of the target slide."""
    start, stop = rows
    return slide_io.read_region(data / SLIDE, 0, (COLUMNS[0], start), (COLUMNS[1] - COLUMNS[0], stop - start))


def build_dataset(data: Path, folder: Path) -> Dataset:
    """Training bands as they are; the other two also as other laboratories might have stained them (at random)."""
    if (folder / "dataset.json").is_file():
        return Dataset.load(folder)

    def write(volume: Volume, name: str) -> str:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        write_volume(volume, folder / "images" / f"{name}.nrrd")
        return f"images/{name}.nrrd"

    cases = []
    for number, rows in enumerate(TRAIN_ROWS):
        path = write(region(data, rows), f"train-{number}")
        cases.append(Case(id=f"train-{number}", patient="CMU-1", source=path, target=path, split="train"))
    for split, rows in (("validation", VALIDATION_ROWS), ("test", HELD_OUT_ROWS)):
        target = region(data, rows)
        path = write(target, split)
        for number in range(3):
            restain = Restaining.draw(np.random.default_rng([11, number, len(split)]))
            source = write(restained(target, restain), f"{split}-{number}")
            patient = f"CMU-1 rows {rows[0]}-{rows[1]}"
            cases.append(Case(id=f"{split}-{number}", patient=patient, source=source, target=path, split=split))
    dataset = Dataset(
        folder=folder, task="stain", modality="SM", units="",
        description=(
            "Most of a region of one H&E slide of skin at 20x (0.499 um pixels; OpenSlide test data CMU-1, Aperio), "
            "re-stained at random"
        ),
        licence="CC0-1.0 (OpenSlide test data)", cases=tuple(cases),
    )  # fmt: skip
    dataset.save()
    return Dataset.load(folder)


def restained(volume: Volume, restain: Restaining) -> Volume:
    """A slide in another staining, 8 bits."""
    picture = restain(np.moveaxis(volume.array.astype(np.float32), -1, 0))
    return volume.with_array(np.ascontiguousarray(np.rint(np.moveaxis(picture, 0, -1)).astype(np.uint8)))


def tissue_of(volume: Volume) -> np.ndarray:
    """RGB of the tissue, ``(n, 3)``."""
    return volume.array[body_mask(volume)]


class Methods:
    """The generator, and torchstain fitted to the training bands: with their glass, as is usual, and without."""

    def __init__(self, bundle: medgan.Bundle, data: Path):
        bands = [region(data, rows) for rows in TRAIN_ROWS]
        tissue = np.concatenate([tissue_of(band) for band in bands])
        only = Volume(np.ascontiguousarray(tissue[np.newaxis, :, np.newaxis]))
        synthesizer = medgan.Synthesizer(bundle, "cpu")
        self.methods = {
            "input": lambda slide: slide,
            "macenko": StainNormalizer("macenko", bands),
            "macenko_tissue": StainNormalizer("macenko", [only]),
            "reinhard": StainNormalizer("reinhard", bands),
            "reinhard_tissue": StainNormalizer("reinhard", [only]),
            "output": lambda slide: synthesizer(slide).volume,
        }

    def rows(self, case: str, slides: list[Volume], judge: Callable[[Volume, np.ndarray], dict]) -> list[dict]:
        """What a judge says of every method, one row each; means over the slides."""
        rows = []
        for name, method in self.methods.items():
            values = [judge(slide, method(slide).array) for slide in slides]
            means = {key: float(np.mean([value[key] for value in values])) for key in values[0]}
            # the same picture has an infinite PSNR, which JSON does not know
            rows.append(
                {"case": case, "method": name} | {key: round(v, 4) for key, v in means.items() if np.isfinite(v)}
            )
        return rows


def measure(bundle: medgan.Bundle, data: Path) -> list[dict]:
    """Slides of other laboratories against the look of the held-out band; that band re-stained against itself."""
    methods = Methods(bundle, data)
    truth = region(data, HELD_OUT_ROWS)
    look = staining.Look.of(tissue_of(truth))
    slides = {name: read_volume(data / "histology" / f"{name}.png", modality="SM")[0] for name in FOREIGN}
    rows = []
    for name, slide in slides.items():
        rows += methods.rows(f"slide {name}", [slide], lambda source, image: unpaired(look, source, image))
    for kind in ("macenko", "reinhard"):
        sources = [stained_as(slide, kind, truth) for slide in slides.values()]
        case = f"held-out band, stained as these four by {kind} (mean)"
        rows += methods.rows(case, sources, lambda source, image: paired(truth, image))
    return rows + methods.rows("held-out band as it is", [truth], lambda source, image: paired(truth, image))


def stained_as(slide: Volume, method: str, truth: Volume) -> Volume:
    """The tissue of ``truth`` in the colors of the tissue of another slide; its glass stays."""
    inside = body_mask(truth)
    only, wanted = (
        Volume(np.ascontiguousarray(pixels[np.newaxis, :, np.newaxis]))
        for pixels in (truth.array[inside], tissue_of(slide))
    )
    array = truth.array.copy()
    array[inside] = StainNormalizer(method, [wanted])(only).array[0, :, 0]
    return truth.with_array(array)


def paired(truth: Volume, image: np.ndarray) -> dict[str, float]:
    """Against the true picture of the same tissue."""
    values = staining.against_truth(truth.array, image, body_mask(truth))
    return {key: values[key] for key in ("de2000_tissue", "psnr_db", "ssim", "ssim_luma")}


def unpaired(look: staining.Look, slide: Volume, image: np.ndarray) -> dict[str, float]:
    """Colors against the look wanted, and structure against the source: correlation of luma gradients."""
    made = Volume(np.ascontiguousarray(image))
    values = staining.against_look(look, staining.Look.of(tissue_of(made)))
    return {**values, "structure": structure_kept(slide.array, image, body_mask(slide))}


def structure_kept(before: np.ndarray, after: np.ndarray, tissue: np.ndarray) -> float:
    """SSIM of luma, the luma of each picture brought to the same mean and deviation of the tissue first."""
    from skimage.metrics import structural_similarity

    pictures = []
    for picture in (before, after):
        luma = staining.luma(picture)[0]
        inside = luma[tissue[0]]
        pictures.append((luma - inside.mean()) / max(inside.std(), 1e-6))
    return float(structural_similarity(*pictures, data_range=6.0))


def main() -> None:
    """All steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--input", default="rgb", help="rgb, luma, optical-density or haematoxylin")
    parser.add_argument("--ship", action="store_true", help="write the bundle to where the module finds it")
    options = parser.parse_args()
    dataset = build_dataset(options.data, options.folder / "dataset")
    recipe = medgan.recipes.get("stain", input=options.input, **SETTINGS)
    run = options.folder / options.input
    bundle = medgan.train(recipe, dataset, run, name=NAME, progress=show)
    rows = measure(bundle, options.data)
    write_json(run / "measured.json", {"rows": rows})
    for row in rows:
        print(row)
    if options.ship:
        write_shipped(bundle, dataset, rows)


def write_shipped(bundle: medgan.Bundle, dataset: Dataset, rows: list[dict]) -> None:
    """Write the bundle with its card to where the module finds it."""
    ship(
        bundle,
        dataset,
        rows,
        title="H&E stain transfer (into the colors of CMU-1)",
        intended_use=(
            "Research on stain normalization: demonstration of MedGAN, and a start for training on your own "
            "laboratory's slides. Not for diagnosis."
        ),
        limits=LIMITS,
    )


if __name__ == "__main__":
    main()
