"""Datasets of image pairs on disk: a folder with ``dataset.json`` and the images it names.

``dataset.json``::

    {"schema": 1, "task": "denoise-ct", "modality": "CT", "units": "HU", "description": "...", "licence": "...",
     "cases": [{"id": "chest-0", "patient": "andrei", "source": "images/chest-0.nrrd", "target": "images/chest.nrrd",
                "split": "train"}]}

Splits are ``train``, ``validation`` and ``test``. Source and target of a case lie on the same grid.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import InputError
from .files import write_json
from .volume import Volume

SCHEMA = 1
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Case:
    """One pair of images; paths are relative to the dataset folder."""

    id: str
    patient: str
    source: str
    target: str
    split: str


@dataclass(frozen=True)
class Dataset:
    """Pairs of images with what is known about them.

    Args:
        folder: where ``dataset.json`` and the images lie.
        task: task the pairs are made for.
        modality: DICOM modality code of source and target.
        units: unit of the values, "HU" for CT.
        description: what the images are, in a sentence for the model card.
        licence: licence of the images.
        cases: the pairs.
    """

    folder: Path
    task: str
    modality: str
    units: str
    description: str
    licence: str
    cases: tuple[Case, ...]

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read and check ``dataset.json``.

        Raises:
            InputError: it is missing, of a newer schema, names files that are not there,
                or uses an image in two splits.
        """
        folder = Path(folder)
        try:
            content = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
            schema = int(content.pop("schema"))
            if schema > SCHEMA:
                raise InputError(
                    f"{folder} was made by a newer MedGAN (dataset schema {schema}); update MedGAN to use it."
                )
            cases = tuple(Case(**case) for case in content.pop("cases"))
            dataset = cls(folder=folder, cases=cases, **content)
        except FileNotFoundError:
            raise InputError(f"{folder} is no dataset: it holds no dataset.json.") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{folder / 'dataset.json'} is damaged ({error}); build the dataset again.") from error
        dataset._check()
        return dataset

    def save(self) -> None:
        """Write ``dataset.json`` (the images are already there)."""
        content = asdict(self)
        del content["folder"]
        write_json(self.folder / "dataset.json", {"schema": SCHEMA, **content})

    def split(self, name: str) -> list[Case]:
        """The cases of one split."""
        return [case for case in self.cases if case.split == name]

    def volumes(self, case: Case) -> tuple[Volume, Volume]:
        """Source and target of a case.

        Raises:
            InputError: they cannot be read or do not lie on the same grid.
        """
        from .image_io import read_volume

        source, target = (
            read_volume(self.folder / path, modality=self.modality)[0] for path in (case.source, case.target)
        )
        if source.array.shape != target.array.shape or not source.geometry.is_close(target.geometry):
            same_size = source.array.shape == target.array.shape
            what = (
                "their origin, spacing or axes"
                if same_size
                else f"{source.array.shape} and {target.array.shape} voxels"
            )
            raise InputError(
                f"Case {case.id}: source and target lie on different grids ({what}); resample one onto the other."
            )
        for path, volume in ((case.source, source), (case.target, target)):
            if volume.non_finite:
                raise InputError(f"{path} has voxels that are no number (NaN or infinite); replace them first.")
        return source, target

    def mask(self, case: Case) -> None:
        """The body of a case on the grid of its source; None where the dataset holds none."""
        return None

    def _check(self) -> None:
        owner: dict[str, str] = {}
        for case in self.cases:
            if case.split not in SPLITS:
                raise InputError(f"Case {case.id} has the split '{case.split}'; it must be one of {', '.join(SPLITS)}.")
            for path in (case.source, case.target):
                if not (self.folder / path).is_file():
                    raise InputError(f"Case {case.id} names {path}, which is not in {self.folder}.")
                if owner.setdefault(path, case.split) != case.split:
                    raise InputError(
                        f"{path} is in the splits {owner[path]} and {case.split}; an image may be in one only."
                    )
