"""Datasets of images on disk: a folder with ``dataset.json`` and the images it names.

``dataset.json`` (schema 2; described field by field in ``dataset.schema.json``)::

    {"schema": 2, "task": "mr-to-ct", "modality": "MR", "units": "", "target_modality": "CT", "target_units": "HU",
     "description": "...", "licence": "...", "paired": true,
     "cases": [{"id": "p1", "patient": "p1", "source": "images/p1-source.nrrd", "target": "images/p1-target.nrrd",
                "split": "train", "mask": "images/p1-mask.nrrd", "registration": {"method": "rigid", "quality": 0.6},
                "spacing_mm": [1, 1, 2], "fingerprint": {"source": {"50": 812.0}}, "sha256": {"source": "..."}}],
     "failed": [{"id": "p2", "reason": "..."}]}

Splits are ``train``, ``validation`` and ``test``. Source and target of a case lie on the same grid, or the target's is
the source's with every voxel cut into a whole number of parts along each axis (super-resolution).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from .dataset_check import check, image_hashes
from .errors import InputError
from .files import replacing
from .volume import Volume

SCHEMA = 2
SPLITS = ("train", "validation", "test")
_NOT_IN_HEAD = ("folder", "cases", "failed")


@dataclass(frozen=True)
class Case:
    """One pair of images, or a single one of an unpaired dataset; paths are relative to the dataset folder.

    Args:
        id: name of the case, unique in the dataset.
        patient: name or pseudonym of the patient; all cases of a patient are in one split.
        source, target: the images; one of them is ``""`` in an unpaired dataset.
        split: "train", "validation" or "test".
        mask: the body on the grid of the source, ``""`` if there is none.
        registration: how the target was laid onto the source and how well (method, quality, mutual_information,
            body_dice); empty where the source was computed from the target.
        spacing_mm: of the source, along i, j, k.
        fingerprint: intensity percentiles within the body, ``{"source": {"0.5": value, ...}, "target": ...}``.
        sha256: of the voxel values, ``{"source": ..., "target": ...}``, see :func:`~.dataset_check.voxel_sha256`.
    """

    id: str
    patient: str
    source: str
    target: str
    split: str
    mask: str = ""
    registration: Mapping[str, Any] = field(default_factory=dict, hash=False)
    spacing_mm: tuple[float, ...] = ()
    fingerprint: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    sha256: Mapping[str, str] = field(default_factory=dict, hash=False)

    def images(self) -> dict[str, str]:
        """The paths by role, without those that are not there."""
        return {role: path for role, path in (("source", self.source), ("target", self.target)) if path}


@dataclass(frozen=True)
class Dataset:
    """Images with what is known about them.

    Args:
        folder: where ``dataset.json`` and the images lie.
        task: task the images are meant for.
        modality: DICOM modality code of the sources.
        units: unit of the sources' values, "HU" for CT.
        description: what the images are, in a sentence for the model card.
        licence: licence of the images.
        cases: the pairs.
        target_modality: of the targets, by default that of the sources.
        target_units: of the targets, by default (None) those of the sources.
        paired: whether each source has its target; unpaired datasets are for CycleGAN.
        failed: ``{"id": ..., "reason": ...}`` of each case that was set aside when the dataset was built.
    """

    folder: Path
    task: str
    modality: str
    units: str
    description: str
    licence: str
    cases: tuple[Case, ...]
    target_modality: str = ""
    target_units: str | None = None
    paired: bool = True
    failed: tuple[Mapping[str, str], ...] = field(default=(), hash=False)

    def __post_init__(self) -> None:
        if self.target_units is None:
            object.__setattr__(self, "target_units", self.units)
        if not self.target_modality:
            object.__setattr__(self, "target_modality", self.modality)

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read and check ``dataset.json``, of this or an earlier schema.

        Raises:
            InputError: it is missing, damaged or of a newer schema, names files that are not there, or has a patient
                or an image (by content, whatever its file is called) in two splits.
        """
        folder = Path(folder)
        file = folder / "dataset.json"
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            schema = int(content.pop("schema"))
            if schema > SCHEMA:
                raise InputError(
                    f"{folder} was made by a newer MedGAN (dataset schema {schema}); update MedGAN to use it."
                )
            cases = tuple(_parsed(Case, case) for case in content.pop("cases"))
            failed = tuple(dict(one) for one in content.pop("failed", ()))
            dataset = cls(folder=folder, cases=cases, failed=failed, **_typed(cls, content))
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{folder} is no dataset: it holds no dataset.json.") from None
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror}); check its permissions.") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file} is damaged ({error}); build the dataset again.") from error
        check(dataset)
        return dataset

    def save(self) -> None:
        """Write ``dataset.json``, all or nothing; images (they are already there) without a hash get one.

        Raises:
            InputError: what :meth:`load` would refuse.
        """
        check(self)
        cases = [replace(case, sha256=image_hashes(self, case)) for case in self.cases]
        content: dict[str, Any] = {"schema": SCHEMA}
        content |= {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _NOT_IN_HEAD}
        content |= {"cases": [_without_defaults(case) for case in cases], "failed": [dict(one) for one in self.failed]}
        with replacing(self.folder / "dataset.json") as beside:
            beside.write_text(_readable(content) + "\n", encoding="utf-8")

    def split(self, name: str) -> list[Case]:
        """The cases of one split."""
        return [case for case in self.cases if case.split == name]

    def volumes(self, case: Case) -> tuple[Volume | None, Volume | None]:
        """Source and target of a case; None for the one that an unpaired case does not have.

        Raises:
            InputError: they cannot be read, hold voxels that are no number, or the grid of the target is neither that
                of the source nor a refinement of it.
        """
        source, target = (self._read(path, role) for role, path in (("source", case.source), ("target", case.target)))
        if source is not None and target is not None:
            try:
                grid_factor(source, target)
            except InputError as error:
                raise InputError(f"Case {case.id}: {error}") from None
        return source, target

    def mask(self, case: Case) -> np.ndarray | None:
        """The body, bool ``(k, j, i)`` on the grid of the source (of the only image of an unpaired case), or None.

        Raises:
            InputError: the file cannot be read.
        """
        from .image_io import read_volume

        return read_volume(self.folder / case.mask)[0].array != 0 if case.mask else None

    def factor(self, case: Case) -> tuple[int, int, int]:
        """In how many parts a source voxel is cut in the target along (k, j, i); reads both images.

        With the volumes at hand, call :func:`grid_factor` instead.
        """
        source, target = self.volumes(case)
        return (1, 1, 1) if source is None or target is None else grid_factor(source, target)

    def _read(self, path: str, role: str) -> Volume | None:
        from .image_io import read_volume

        if not path:
            return None
        modality = self.modality if role == "source" else self.target_modality
        volume = read_volume(self.folder / path, modality=modality)[0]
        if volume.non_finite:
            raise InputError(f"{path} has voxels that are no number (NaN or infinite); replace them first.")
        return volume


def grid_factor(source: Volume, target: Volume) -> tuple[int, int, int]:
    """In how many parts the voxels of ``source`` are cut in ``target``, along (k, j, i); (1, 1, 1) on one grid.

    Raises:
        InputError: the grid of ``target`` is no such refinement.
    """
    sizes = list(zip(source.grid_shape, target.grid_shape, strict=True))
    if all(fine % rough == 0 for rough, fine in sizes):
        k, j, i = (fine // rough for rough, fine in sizes)
        if target.geometry.is_close(source.geometry.shifted((0, 0, 0), (i, j, k))):
            return k, j, i
        what = "their origin, spacing or axes"
    else:
        what = f"{source.array.shape} and {target.array.shape} voxels"
    raise InputError(f"source and target lie on different grids ({what}); resample one onto the other.")


def _parsed(kind: type, content: dict[str, Any]) -> Any:
    values = _typed(kind, content)
    if "spacing_mm" in values:
        values["spacing_mm"] = tuple(float(value) for value in values["spacing_mm"])
    return kind(**values)


def _typed(kind: type, content: dict[str, Any]) -> dict[str, Any]:
    """The fields, after checking those that are texts, objects or yes/no; the dataclass itself names unknown ones."""
    wanted = {"str": str, "str | None": str, "bool": bool}
    for one in fields(kind):
        value = content.get(one.name, MISSING)
        expected = dict if one.type.startswith("Mapping") else wanted.get(one.type, object)
        if value is not MISSING and not isinstance(value, expected):
            raise TypeError(f"{one.name} is {value!r}")
    return dict(content)


def _without_defaults(case: Case) -> dict[str, Any]:
    """The fields that say something; the five every case has always."""
    values = asdict(case)
    return {
        one.name: values[one.name]
        for one in fields(case)
        if values[one.name] or (one.default is MISSING and one.default_factory is MISSING)
    }


def _readable(value: Any, depth: int = 0) -> str:
    """JSON with one line per field of the dataset and of each case, and no more."""
    if depth == 3 or not isinstance(value, dict | list | tuple) or not value:
        return json.dumps(value, ensure_ascii=False)
    outer, inner = "  " * depth, "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_readable(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    return "[\n" + ",\n".join(f"{inner}{_readable(item, depth + 1)}" for item in value) + f"\n{outer}]"
