"""What the scripts of the shipped generators share: unpacking scans, showing progress, writing the bundle."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from medgan import Bundle, recipes
from medgan.bundle_writer import write_bundle
from medgan.dataset import Dataset

CHECKOUT = Path(__file__).resolve().parents[2]
MODELS = CHECKOUT / "MedGANSynthesis" / "Resources" / "Models"


def show(fraction: float, message: str) -> None:
    """Progress in one line."""
    print(f"\r{fraction:6.1%} {message}    ", end="", flush=True)


def unpacked(archive: Path, folder: Path) -> Path:
    """The one folder of images in an archive, which is unpacked in ``folder`` once."""
    place = folder / archive.name.split(".")[0]
    if not place.is_dir():
        with tarfile.open(archive) as files:
            files.extractall(place, filter="data")
    return next(path for path in place.iterdir() if path.is_dir())


def ship(bundle: Bundle, dataset: Dataset, rows: list[dict[str, Any]], **card: Any) -> None:
    """Write the bundle of a run once more, with its card filled, to where the module finds it, and verify it.

    Args:
        bundle: of the run; keeps its name. dataset: what it was trained on. rows: its results.
        card: details of :func:`medgan.bundle_writer.write_bundle`; a first version under the licence of MedGAN
            unless they say otherwise.
    """
    manifest = bundle.manifest
    usual = {
        "version": "1.0.0",
        "licence": "Apache-2.0",
        "licence_text": (CHECKOUT / "LICENSE.txt").read_text(encoding="utf-8"),
        "authors": "The MedGAN developers",
    }
    shipped = write_bundle(
        MODELS / bundle.name,
        bundle.name,
        recipes.recipe_class(bundle.task).from_dict(manifest.recipe),
        manifest.network,
        bundle.build_generator(),
        dataset,
        rows,
        **(usual | card),
    )
    shipped.verify(print)
