"""Manifest: MedGAN's own section of a bundle's metadata, read without torch."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from . import intensity
from .errors import BundleError
from .network import NetworkSpec
from .network_check import check_network, check_result
from .target import Target

SCHEMA = 1
FOREIGN = ("torchscript", "onnx")
"""Kinds of generators that somebody else made: the bundle holds the whole network instead of weights."""
CUSTOM = "custom"
"""Task of a generator that does none of the tasks there is a recipe for."""


def is_folder_safe(name: Any) -> bool:
    """Whether a bundle's name can be that of its folder, on every system."""
    if not isinstance(name, str) or re.match(r"(?i:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", name):  # devices of Windows
        return False
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}(?<!\.)", name) is not None


@dataclass(frozen=True)
class Manifest:
    """Everything MedGAN knows about a trained generator.

    Args:
        name: folder-safe name. title: name for people.
        task: one of :func:`medgan.recipes.names`, or "custom". preset: preset it was trained with.
        generator: "recipe" (built by the recipe), "identity" (returns its input; for tests), or "torchscript" or
            "onnx" (a network that somebody else made, see :mod:`medgan.foreign`).
        recipe: every parameter of the recipe; empty for other generators.
        network: how the generator is fed, with its halo.
        modality: DICOM code of the source, "" for any. units: unit of the source, "" for any.
        channels: components of the source.
        intensity: scaling between units and network numbers, see :mod:`medgan.intensity`.
        target: what the result is, see :class:`medgan.target.Target`; by default the same kind of image.
        fingerprint: of the training data: ``spacing_mm`` (lowest and highest per i, j, k), ``field_of_view_mm``
            (likewise), ``percentiles`` of the source intensities (name to value), ``patients``, ``cases``.
        training: what data, its licence, how long.
        results: measured on what, with the baseline beside: rows of a table; ``learnt_from`` marks rows of patients
            of the training.
        intended_use: one sentence. limits: one sentence each.
        sha256: of the weights file, "" without weights.
        schema: version of this section.
    """

    name: str
    title: str
    task: str
    preset: str = "recommended"
    generator: str = "recipe"
    recipe: dict[str, Any] = field(default_factory=dict)
    network: NetworkSpec = field(default_factory=NetworkSpec)
    modality: str = ""
    units: str = ""
    channels: int = 1
    intensity: dict[str, Any] = field(default_factory=lambda: {"kind": "fixed", "offset": 0.0, "divisor": 1.0})
    target: dict[str, Any] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    intended_use: str = ""
    limits: list[str] = field(default_factory=list)
    sha256: str = ""
    schema: int = SCHEMA

    @property
    def is_identity(self) -> bool:
        """Whether the generator returns its input (and needs no torch)."""
        return self.generator == "identity"

    @property
    def is_foreign(self) -> bool:
        """Whether the generator is a network that somebody else made."""
        return self.generator in FOREIGN

    def source_scale(self) -> intensity.Scale:
        """Scaling between physical units of the source and network numbers."""
        return intensity.from_dict(self.intensity)

    def result(self) -> Target:
        """What the generator's output is."""
        return Target.from_dict(self.target)

    def _check_types(self) -> None:
        """Raises TypeError, ValueError or KeyError, or BundleError for a scaling that is not known."""
        kinds = {"str": str, "int": int, "dict": dict, "list": list}
        for item in dataclasses.fields(self):
            kind, value = kinds.get(str(item.type).partition("[")[0]), getattr(self, item.name)
            if kind is not None and not isinstance(value, kind):
                raise TypeError(f"{item.name} is {value!r}")
        if isinstance(self.channels, bool) or self.channels < 1:
            raise ValueError(f"channels is {self.channels!r}")
        check_network(self.network)
        check_result(self.network, self.result(), self.intensity)
        self.source_scale()
        _check_fingerprint(self.fingerprint)
        if not all(isinstance(row, dict) for row in self.results):
            raise TypeError("the results are no table")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Manifest:
        """Read the section of a metadata file.

        Raises:
            BundleError: it is of a newer schema, or lacks or mistypes a field.
        """
        try:
            if int(values["schema"]) > SCHEMA:
                raise BundleError(
                    f"The bundle {where} was made by a newer MedGAN (schema {values['schema']}, this version reads "
                    f"{SCHEMA}); update MedGAN to use it."
                )
            known = {item.name for item in dataclasses.fields(cls)}
            network = NetworkSpec(**values.get("network", {}))
            manifest = cls(**{**{key: value for key, value in values.items() if key in known}, "network": network})
            manifest._check_types()
            if manifest.generator not in ("recipe", "identity", *FOREIGN):
                raise BundleError(
                    f"The bundle {where} holds a generator of the kind '{manifest.generator}', which is not known to "
                    "this version of MedGAN; update it."
                )
            return manifest
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BundleError(
                f"The metadata of the bundle {where} is damaged ({error}); install the bundle again."
            ) from error


def _check_fingerprint(fingerprint: dict[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError if volumes cannot be compared with it."""
    for name in ("1", "5", "50", "95", "99") if "percentiles" in fingerprint else ():
        float(fingerprint["percentiles"][name])
    for name in ("spacing_mm", "field_of_view_mm"):
        if name in fingerprint:
            lowest, highest = ([float(number) for number in ends] for ends in fingerprint[name])
            if len(lowest) != 3 or len(highest) != 3:
                raise ValueError(f"the fingerprint has {name} {fingerprint[name]!r}, which must be two triples in mm")
