"""The images that somebody wants as a case of a draft: read, checked, and described for ``case.json``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .dataset import SPLITS
from .dataset_check import voxel_sha256
from .draft_checks import IDENTIFIERS, check_overlap, check_patients, checked_image, dicom_identity
from .draft_settings import DraftSettings
from .errors import InputError
from .modalities import MODALITIES
from .pairs import Candidate
from .volume import Volume

Image = Volume | str | Path


@dataclass(frozen=True)
class DraftInput:
    """What somebody wants to add; see :meth:`medgan.draft.Draft.add`.

    ``series`` names the DICOM series by role, where a folder holds several.
    """

    source: Image | None
    target: Image | None = None
    mask: Image | None = None
    patient: str = ""
    name: str = ""
    identity: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    split: str = ""
    allow_different_patients: bool = False
    assume_hu: bool = False
    series: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def of_candidate(cls, candidate: Candidate, **answers: bool) -> DraftInput:
        """What :mod:`~medgan.pairs` or :mod:`~medgan.studies` found."""
        return cls(
            candidate.source,
            candidate.target,
            candidate.mask,
            candidate.patient,
            candidate.id,
            split=candidate.split,
            series={"source": candidate.source_series, "target": candidate.target_series},
            **answers,
        )

    def read(
        self, settings: DraftSettings, pseudonym: Callable[[str], str]
    ) -> tuple[dict[str, Any], dict[str, Volume]]:
        """Content of ``case.json``, and the images by role ("source", "target").

        Raises:
            InputError: the images cannot become a case of this draft, one sentence.
        """
        notes: list[str] = []
        if self.split not in ("", *SPLITS):
            raise InputError(f"There is no split '{self.split}'; it must be one of {', '.join(SPLITS)}.")
        wanted = self._wanted(settings)
        codes = dict(zip(("source", "target"), MODALITIES[settings.task], strict=True))
        identity = {role: self._identity(role, image, pseudonym) for role, image in wanted.items()}
        check_patients(identity, notes, self.allow_different_patients)
        images = {}
        for role, image in wanted.items():
            volume, name = self._opened(role, image, notes)
            images[role] = checked_image(volume, role, codes[role], notes, self.assume_hu, name)
        sha256 = {role: voxel_sha256(volume) for role, volume in images.items()}
        if len(images) == 2:
            if sha256["source"] == sha256["target"]:
                raise InputError("Source and target are the same image; choose two different volumes.")
            check_overlap(images["source"], images["target"], bool(settings.register), notes)
        patients = [own["PatientID"] for own in identity.values() if own.get("PatientID")]
        if not (self.patient or patients):
            raise InputError("Nothing says whose images these are; give the name or a pseudonym of the patient.")
        first = images.get("source", images.get("target"))
        content = {
            "added": time.time(),
            "name": self.name,
            "patient": str(self.patient or patients[0]),
            "identity": identity,
            "raw": {role: f"{role}.nrrd" for role in images},
            "mask": "",
            "sizes": {role: list(volume.grid_shape[::-1]) for role, volume in images.items()},
            "spacing_mm": [float(f"{mm:.6g}") for mm in first.geometry.spacing_mm],
            "sha256": sha256,
            "notes": notes,
            "split": self.split,
            "accepted": None,
            "rejected": "",
            "transform": None,
        }
        return content, images

    def _wanted(self, settings: DraftSettings) -> dict[str, Image]:
        """The images by role, as this draft needs them."""
        given = {role: image for role, image in (("source", self.source), ("target", self.target)) if image is not None}
        if settings.degrade:
            if len(given) != 1:
                raise InputError("The sources of this draft are made from the targets; give one volume per case.")
            return {"target": next(iter(given.values()))}
        if settings.paired and len(given) != 2:
            missing = "source" if "source" not in given else "target"
            raise InputError(f"The task {settings.task} learns from pairs, but there is no {missing}; choose one.")
        if not settings.paired and len(given) != 1:
            raise InputError("This draft is unpaired; add sources and targets one by one.")
        return given

    def _identity(self, role: str, image: Image, pseudonym: Callable[[str], str]) -> dict[str, str]:
        given = self._given(role)
        own = self.identity.get(given)
        if own is None and not isinstance(image, Volume) and Path(image).exists():
            own = dicom_identity(Path(image), self.series.get(given))
        return {tag: pseudonym(str(value or "").strip()) for tag, value in (own or {}).items() if tag in IDENTIFIERS}

    def _opened(self, role: str, image: Image, notes: list[str]) -> tuple[Volume, str]:
        """The volume, and the name of its file."""
        if isinstance(image, Volume):
            return image, ""
        from .image_io import read_volume

        series = self.series.get(self._given(role))
        volume, found = read_volume(image, series)
        notes += found
        return volume, Path(image).name if series is None else ""

    def _given(self, role: str) -> str:
        """The role in which an image was given: a source of which the sources are made becomes the target."""
        return "source" if role == "target" and self.target is None else role


def read_mask(mask: Image) -> Volume:
    """A mask as stored in a draft: uint8, 1 in the body.

    Raises:
        InputError: it cannot be read, has several components or is empty.
    """
    if not isinstance(mask, Volume):
        from .image_io import read_volume

        mask = read_volume(mask)[0]
    if mask.channels != 1:
        raise InputError(f"A mask has one component per voxel, not {mask.channels}; choose a segment or label map.")
    inside = mask.array != 0
    if not inside.any():
        raise InputError("The mask is empty; choose a segment that marks the body, or have the body found.")
    return Volume(inside.astype("uint8"), mask.geometry)
