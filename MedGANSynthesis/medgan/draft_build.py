"""Prepare one case of a draft: its images on one grid, the body, a picture of the pair, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .case_builder import BuiltCase, CaseOptions, build_images
from .dataset import grid_factor
from .disk_space import require_space
from .draft_store import DraftStore
from .errors import InputError
from .pair_thumbnail import pair_thumbnail, write_png
from .volume import Volume

BINS = 64
_COPIES = 3
"""Prepared images (the target may be finer or float) are at most about so much larger than those added."""

Progress = Callable[[float, str], None]


def prepare(
    store: DraftStore, id: str, content: Mapping[str, Any], options: CaseOptions, digest: str, progress: Progress
) -> dict[str, Any]:
    """Write the prepared images of a case.

    Args:
        content: of its ``case.json``. digest: of all that the images are made from; it becomes part of their names.

    Returns:
        content of its ``result.json``: of a case that cannot be prepared, why not.

    Raises:
        InputError: the disk is full or cannot be written to.
    """
    progress(0.0, "Reading")
    try:
        read = _read(store, id, content)
        require_space(store.folder, _COPIES * sum(volume.array.nbytes for volume in read.values()))
        transform = content.get("transform")
        transform = None if transform is None else np.array(transform, np.float64)
        source, target, mask = (read.get(role) for role in ("source", "target", "mask"))
        built = build_images(source, target, options, id, mask, transform, progress)
        factor = None if built.source is None or built.target is None else grid_factor(built.source, built.target)
    except MemoryError:
        return _failed(digest, "There is not enough memory for these images; crop them, or close other programs.")
    except RuntimeError as error:  # what SimpleITK raises on images that it cannot work on
        return _failed(digest, f"The images cannot be laid onto each other ({str(error).strip().splitlines()[-1]}).")
    except InputError as error:
        if type(error) is not InputError:  # a full disk says nothing about the case
            raise
        return _failed(digest, str(error))
    progress(0.95, "Writing")
    images = _write(store, id, built, digest)
    with store.writing(f"thumbnails/{id}.png") as beside:
        write_png(pair_thumbnail(built.source, built.target), beside)
    return {
        "digest": digest,
        "state": "ready",
        "reason": "",
        "doubt": built.doubt,
        "images": images,
        "registration": built.registration,
        "transform": None if built.transform is None else built.transform.tolist(),
        "factor": factor,
        "spacing_mm": [float(f"{mm:.6g}") for mm in built.first.geometry.spacing_mm],
        "fingerprint": built.fingerprint(),
        "sha256": built.sha256(),
        "histograms": histograms(built),
        "thumbnail": f"thumbnails/{id}.png",
        "notes": [] if built.mask is not None or not options.find_masks else ["No body was found in the image."],
    }


def histograms(built: BuiltCase) -> dict[str, dict[str, Any]]:
    """Of each image within the body, without the extreme thousandths: lowest and highest value, and 64 counts.

    Colors are averaged.
    """
    result = {}
    for role, volume in (("source", built.source), ("target", built.target)):
        if volume is not None:
            values = volume.array if built.mask is None else volume.array[built.mask_on(volume)]
            values = values.astype(np.float32)
            values = values.mean(axis=-1) if volume.channels > 1 else values
            low, high = (float(f"{value:.6g}") for value in np.percentile(values, (0.1, 99.9)))
            high = high if high > low else low + 1.0
            counts = np.histogram(values, bins=BINS, range=(low, high))[0]
            result[role] = {"low": low, "high": high, "counts": counts.tolist()}
    return result


def _read(store: DraftStore, id: str, content: Mapping[str, Any]) -> dict[str, Volume]:
    from .image_io import read_volume

    files = dict(content["raw"])
    if content.get("mask"):
        files["mask"] = content["mask"]
    return {role: read_volume(store.folder / "cases" / id / file)[0] for role, file in files.items()}


def _write(store: DraftStore, id: str, built: BuiltCase, digest: str) -> dict[str, str]:
    """Paths of the images by role."""
    from .image_io import write_volume

    images: dict[str, Volume] = {}
    if built.target is not None:
        images["target"] = built.target
    if built.source is not None and built.source is not built.target:
        images["source"] = built.source
    if built.mask is not None:
        images["mask"] = Volume(built.mask.astype(np.uint8), built.first.geometry)
    paths = {role: f"images/{id}/{role}-{digest}.nrrd" for role in images}
    for role, volume in images.items():
        (store.folder / paths[role]).parent.mkdir(parents=True, exist_ok=True)
        write_volume(volume, store.folder / paths[role])
    if built.source is built.target:
        paths["source"] = paths["target"]
    return paths


def _failed(digest: str, reason: str) -> dict[str, Any]:
    return {"digest": digest, "state": "failed", "reason": reason}
