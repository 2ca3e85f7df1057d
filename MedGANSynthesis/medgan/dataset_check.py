"""Is a dataset what it says, and does nothing of what a generator is tested on occur in its training?"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError
from .volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from .dataset import Case, Dataset


def check(dataset: Dataset) -> None:
    """Refuse a dataset that names missing files or leaks from one split into another.

    Images whose hash ``dataset.json`` does not state (schema 1, written by hand) are read for it.

    Raises:
        InputError: one sentence that names the cases at fault.
    """
    _check_cases(dataset)
    _check_patients(dataset)
    _check_images(dataset)


def check_content(dataset: Dataset, progress: Callable[[float, str], None] | None = None) -> None:
    """Read every image of a dataset: grids, numbers, masks, and whether they are still those it was built from.

    Raises:
        InputError: one sentence on the first case that is not as ``dataset.json`` says.
    """
    for number, case in enumerate(dataset.cases):
        if progress is not None:
            progress(number / len(dataset.cases), f"Checking {case.id}")
        volumes = dict(zip(("source", "target"), dataset.volumes(case), strict=True))
        for role, path in case.images().items():
            if case.sha256.get(role, "") not in ("", voxel_sha256(volumes[role])):
                raise InputError(f"Case {case.id}: {path} was changed since the dataset was built; build it again.")
        mask, first = dataset.mask(case), next(volume for volume in volumes.values() if volume is not None)
        if mask is not None and mask.shape != first.grid_shape:
            raise InputError(f"Case {case.id}: the mask has {mask.shape} voxels, its image {first.grid_shape}.")


def voxel_sha256(volume: Volume) -> str:
    """SHA-256 of the values of an image, whatever file, number type or storage order it comes in.

    The voxels are brought into the order right-anterior-superior first, since programs store the rows and slices of the
    same scan in different order.
    """
    directions = volume.geometry.directions
    axes = [int(axis) for axis in np.abs(directions).argmax(axis=0)]  # world axis of i, j, k
    array = volume.array
    if sorted(axes) == [0, 1, 2]:  # not so at 45 degrees, where no order is more natural than the stored one
        backwards = [2 - n for n in range(3) if directions[axes[n], n] < 0]
        array = np.flip(array, backwards)
        array = array.transpose([2 - axes.index(world) for world in (2, 1, 0)] + list(range(3, array.ndim)))
    digest = hashlib.sha256(str(array.shape).encode())
    for plane in array:
        digest.update(np.ascontiguousarray(plane, "<f4") + np.float32(0.0))  # -0.0 becomes 0.0
    return digest.hexdigest()


def image_hashes(dataset: Dataset, case: Case) -> dict[str, str]:
    """SHA-256 of source and target: as recorded, else from the voxels."""
    from .image_io import read_volume

    return {
        role: case.sha256.get(role) or voxel_sha256(read_volume(dataset.folder / path)[0])
        for role, path in case.images().items()
    }


def _check_cases(dataset: Dataset) -> None:
    from .dataset import SPLITS

    seen: set[str] = set()
    for case in dataset.cases:
        if case.id in seen:
            raise InputError(f"Two cases are called {case.id}; give each case another id.")
        seen.add(case.id)
        if case.split not in SPLITS:
            raise InputError(f"Case {case.id} has the split '{case.split}'; it must be one of {', '.join(SPLITS)}.")
        images = case.images()
        if not images or (dataset.paired and len(images) < 2):
            missing = "source" if "source" not in images else "target"
            raise InputError(f"Case {case.id} has no {missing}; only an unpaired dataset may leave one image out.")
        for path in (*images.values(), *filter(None, [case.mask])):
            if not (dataset.folder / path).is_file():
                raise InputError(f"Case {case.id} names {path}, which is not in {dataset.folder}.")


def _check_patients(dataset: Dataset) -> None:
    first: dict[str, Case] = {}
    for case in dataset.cases:
        other = first.setdefault(case.patient, case)
        if other.split != case.split:
            raise InputError(
                f"Cases {other.id} and {case.id} are of the same patient ({case.patient}) but in the splits "
                f"{other.split} and {case.split}; a patient may be in one only."
            )


def _check_images(dataset: Dataset) -> None:
    if len({case.split for case in dataset.cases}) < 2:
        return
    first: dict[str, tuple[Case, str]] = {}

    def claim(key: str, case: Case, path: str) -> None:
        other, other_path = first.setdefault(key, (case, path))
        if other.split != case.split:
            same = path if path == other_path else f"the same image ({other_path} and {path})"
            raise InputError(
                f"Cases {other.id} and {case.id} use {same} in the splits {other.split} and {case.split}; an image "
                "may be in one only."
            )

    for case in dataset.cases:
        for path in case.images().values():
            claim(f"path {path}", case, path)
    for case in dataset.cases:
        for role, digest in image_hashes(dataset, case).items():
            claim(digest, case, case.images()[role])
