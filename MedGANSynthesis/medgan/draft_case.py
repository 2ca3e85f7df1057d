"""One case of a draft as a table shows it: what was added, what was decided, and what came of preparing it.

Two files per case, each with one writer. ``cases/<id>/case.json`` holds what a person added and decided,
``cases/<id>/result.json`` what preparing the case gave, with a digest of everything it was made from: a result of
anything else does not count, and the case waits to be prepared again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .alignment import LEAST_DICE
from .case_builder import CaseOptions
from .dataset import SPLITS

STATES = ("waiting", "ready", "rejected", "failed")


@dataclass(frozen=True)
class DraftCase:
    """A case of a :class:`~medgan.draft.Draft`; all paths are relative to the draft's folder, ``""`` if not there.

    Args:
        id: name of the case, unique in the draft and fit for a file name.
        patient: name or pseudonym of the patient, as it was given.
        name: what people call the case.
        state: "waiting" to be prepared, "ready", "rejected" by a person, or "failed".
        reason: why it was rejected or failed, one sentence.
        problems: what a person should know of it, one sentence each.
        used: whether it goes into the dataset: ready, and accepted by a person or by its score.
        source, target, mask: the prepared images, as they will be learnt from.
        raw: the images as they were added, by role ("source", "target", "mask"), without those that are not there.
        registration: method ("as given", "resampled", "rigid", "affine", "bspline", "adjusted"), and where it was
            measured quality (0 to 1), mutual_information (nats) and body_dice (0 to 1).
        transform: 4x4 from points of the source to points of the target, RAS mm; the identity if the headers are
            believed, of an elastic registration its affine part, None if there is no pair or it is not prepared.
        accepted: True or False if a person decided, None to go by the score.
        split: "train", "validation", "test", or "" to be drawn.
        spacing_mm: of the prepared source (of a waiting case of the first image) along i, j, k.
        sizes: voxels of the images as they were added along i, j, k, ``{"source": (256, 256, 40), ...}``.
        fingerprint: intensity percentiles within the body, as of :class:`~medgan.dataset.Case`.
        sha256: of the voxels of the prepared images by role.
        identity: pseudonyms of the DICOM identifiers by role (``{"source": {"PatientID": ..., "StudyInstanceUID": ...,
            "SeriesInstanceUID": ...}}``); :meth:`medgan.draft.Draft.pseudonym` makes them from the real ones.
        histograms: ``{"source": {"low": ..., "high": ..., "counts": [64 numbers]}, ...}`` within the body.
        thumbnail: picture of source, target on the source's grid, and both as a checkerboard.
    """

    id: str
    patient: str = ""
    name: str = ""
    state: str = "waiting"
    reason: str = ""
    problems: tuple[str, ...] = ()
    used: bool = False
    source: str = ""
    target: str = ""
    mask: str = ""
    raw: Mapping[str, str] = field(default_factory=dict)
    registration: Mapping[str, Any] = field(default_factory=dict)
    transform: list[list[float]] | None = None
    accepted: bool | None = None
    split: str = ""
    spacing_mm: tuple[float, ...] = ()
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    fingerprint: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    identity: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    histograms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    thumbnail: str = ""

    @property
    def quality(self) -> float | None:
        """How well the images lie on each other, 0 to 1; None where it cannot be or is not yet measured."""
        return self.registration.get("quality")


def digest_of(content: Mapping[str, Any], options: CaseOptions) -> str:
    """Changes with everything that the prepared images of a case depend on."""
    if not options.degrade:
        options = replace(options, seed=0)  # which then matters for the splits only
    facts = [content["sha256"], content.get("mask", ""), content.get("transform"), repr(options)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def assembled(
    id: str, content: Mapping[str, Any], result: Mapping[str, Any] | None, options: CaseOptions, threshold: float
) -> DraftCase:
    """A case from its two files.

    Args:
        content: of ``case.json``. result: of ``result.json``, None if there is none or its images are not there.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a file was changed by hand into something that is no case.
    """
    if content["split"] not in ("", *SPLITS) or content["accepted"] not in (None, True, False):
        raise ValueError(f"split {content['split']!r}, accepted {content['accepted']!r}")
    prepared = result is not None and result.get("digest") == digest_of(content, options)
    result = result if prepared else {}
    state, reason = (result["state"], result["reason"]) if prepared else ("waiting", "")
    if content["accepted"] is False:
        state, reason = "rejected", str(content["rejected"]) or "Rejected by hand."
    facts = dict(result.get("registration") or {})
    good, doubt = _judged(facts, result.get("doubt", ""), threshold)
    problems = [*content["notes"], *result.get("notes", ())]
    if state == "ready" and not good and content["accepted"] is None:
        problems.insert(0, f"{doubt}; look at them, then adjust, accept or reject the case.")
    images = dict(result.get("images") or {})
    raw = {role: f"cases/{id}/{file}" for role, file in content["raw"].items()}
    if content.get("mask"):
        raw["mask"] = f"cases/{id}/{content['mask']}"
    return DraftCase(
        id=id,
        patient=str(content["patient"]),
        name=str(content["name"]),
        state=state,
        reason=reason,
        problems=tuple(str(one) for one in problems),
        used=state == "ready" and bool(content["accepted"] or good),
        source=images.get("source", ""),
        target=images.get("target", ""),
        mask=images.get("mask", ""),
        raw=raw,
        registration=facts,
        transform=result.get("transform") or content.get("transform"),
        accepted=content["accepted"],
        split=content["split"],
        spacing_mm=tuple(float(mm) for mm in result.get("spacing_mm") or content["spacing_mm"]),
        sizes={role: tuple(int(n) for n in size) for role, size in content["sizes"].items()},
        fingerprint=dict(result.get("fingerprint") or {}),
        sha256=dict(result.get("sha256") or {}),
        identity={role: dict(own) for role, own in content["identity"].items()},
        histograms=dict(result.get("histograms") or {}),
        thumbnail=result.get("thumbnail", ""),
    )


def _judged(facts: Mapping[str, Any], doubt: str, threshold: float) -> tuple[bool, str]:
    """Whether a pair may be used without a person's word, and what speaks against it."""
    quality = facts.get("quality")
    if quality is not None and quality < threshold:
        text = f"The images do not seem to lie on each other (quality {quality:.2f}, {threshold:.2f} is asked for)"
        return False, text
    overlapping = quality is not None and facts.get("body_dice", 0.0) >= LEAST_DICE
    return overlapping or not doubt, f"The images do not seem to lie on each other: {doubt}"
