"""What a user may choose when a generator is applied, checked and ready for provenance and for the wire."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import parameters
from .errors import InputError
from .parameters import parameter

if TYPE_CHECKING:
    from .manifest import Manifest

ORIENTATIONS = ("model", "axial", "all")
SPREADS = ("none", "flips", "dropout", "ensemble")


@dataclass(frozen=True)
class ApplyOptions:
    """Settings of one application of a generator; the defaults give what the model was made for.

    Args:
        strength: 0 gives the source back, 1 the full effect, values between blend both.
        target_spacing_mm: spacing of the result along i, j, k; for super-resolution only, by default the spacing of
            the source divided by the model's factor.
        orientations: planes in which a 2-D network takes its slices: as the model has them, axial, or the mean of
            axial, coronal and sagittal.
        enhancement_only: the result is nowhere below the source.
        spread: how the voxel-wise standard deviation is found, see :mod:`medgan.spread`; it never changes the image.
        spread_samples: passes of the "dropout" spread.
        ensemble: folders of the further bundles of the "ensemble" spread.
        reference: staining to bring a stained slide to: mean of L*, a*, b* of the reference's tissue, then their
            standard deviations, as :class:`medgan.stain_reference.StainReference` measures them.

    Raises:
        InputError: a value has the wrong type or lies out of its range.

    Example:
        >>> ApplyOptions(strength=0.7).to_dict()
        {'strength': 0.7}
    """

    strength: float = parameter(
        1.0, label="Strength", minimum=0.0, maximum=1.0,
        help="0 leaves the input unchanged, 1 gives the model's result, values between blend both.",
    )  # fmt: skip
    target_spacing_mm: tuple[float, float, float] | None = parameter(
        None, label="Target spacing", unit="mm",
        help="Spacing of a super-resolved result along i, j, k; by default that of the input over the model's factor.",
    )  # fmt: skip
    orientations: str = parameter(
        "model", label="Orientations", choices=ORIENTATIONS,
        help="Planes in which a 2-D model takes its slices: as it was made, axial, or the mean of axial, coronal and "
        "sagittal.",
    )  # fmt: skip
    enhancement_only: bool = parameter(
        False, label="Enhancement only", help="The result is nowhere below the input: nothing is taken away."
    )
    spread: str = parameter(
        "none", label="Spread", choices=SPREADS,
        help="Also compute the standard deviation of every voxel over flipped inputs, dropout samples or several "
        "models; the image stays the same.",
    )  # fmt: skip
    spread_samples: int = parameter(
        8, label="Dropout samples", minimum=2, maximum=32, help="Number of passes of the spread over dropout samples."
    )
    ensemble: tuple[str, ...] = parameter(
        (), label="Ensemble", help="Further models of the same task over which the spread is taken."
    )
    reference: tuple[float, ...] | None = parameter(
        None, label="Reference", help="Image whose staining the result of a stain transfer takes."
    )

    def __post_init__(self) -> None:
        for name, kind in (("target_spacing_mm", float), ("ensemble", str), ("reference", float)):
            object.__setattr__(self, name, _as_tuple(name, getattr(self, name), kind))
        if isinstance(self.strength, int) and not isinstance(self.strength, bool):
            object.__setattr__(self, "strength", float(self.strength))
        parameters.validate(self)
        spacing_mm = self.target_spacing_mm
        if spacing_mm is not None and (len(spacing_mm) != 3 or not all(0 < step < math.inf for step in spacing_mm)):
            raise InputError(f"The target spacing {spacing_mm} must be three positive numbers in mm.")
        if self.spread == "ensemble" and not self.ensemble:
            raise InputError("The spread over an ensemble needs at least one further model; name its folder.")
        if self.reference is not None and not _are_statistics(self.reference):
            raise InputError(
                "The reference of a stain transfer must be six finite numbers, the mean and the standard deviation "
                "of L*, a* and b* over its tissue; choose another reference image."
            )

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, JSON-ready; :meth:`from_dict` gives the same options back."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if _differs(self, field)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def check_for(self, manifest: Manifest) -> None:
        """Whether a generator can do what the options ask for.

        Raises:
            InputError: it cannot; the spreads over dropout and over an ensemble are checked when they are computed.
        """
        sensible = available(manifest)
        for name, sentence in _NOT_AVAILABLE.items():
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) != default and name not in sensible:
                raise InputError(f"'{manifest.title}' {sentence}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ApplyOptions:
        """The options of :meth:`to_dict`.

        Raises:
            InputError: it holds a name that is no option, or a value that is not allowed.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise InputError(f"There is no option '{name}'; the options are {', '.join(known)}.")
        return cls(**values)

    @classmethod
    def of(cls, options: ApplyOptions | None, settings: dict[str, Any]) -> ApplyOptions:
        """``options`` (None: the defaults) with single ones replaced, as the calls that take both want it."""
        return cls.from_dict({**({} if options is None else options.to_dict()), **settings})


_NOT_AVAILABLE = {
    "strength": "makes another kind of image, so its strength is always 1.",
    "target_spacing_mm": "keeps the grid of the source; leave the target spacing out.",
    "orientations": "works in the orientation it was made for; leave the orientations at 'model'.",
    "enhancement_only": "makes another kind of image, so it cannot be kept above the source; leave that out.",
    "reference": "does not make color images, so it can take no reference staining; leave the reference out.",
}


def available(manifest: Manifest) -> frozenset[str]:
    """Names of the options that make sense for a generator; whether it can drop out is only known from its recipe."""
    network, target = manifest.network, manifest.result()
    names = {"spread", "spread_samples", "ensemble"}
    if target.keeps_source and network.scale == (1, 1, 1):
        names |= {"strength", "enhancement_only"}
    if network.scale != (1, 1, 1):
        names.add("target_spacing_mm")
    if network.can_turn:
        names.add("orientations")
    if manifest.channels == 3 and target.channels in (0, 3):
        names.add("reference")
    return frozenset(names)


def _differs(options: ApplyOptions, field: dataclasses.Field) -> bool:
    return getattr(options, field.name) != field.default


def _as_tuple(name: str, value: Any, kind: type) -> tuple | None:
    """A sequence of numbers or texts as a tuple of them; None stays None."""
    if value is None and name != "ensemble":
        return None
    try:
        if isinstance(value, str):
            raise TypeError
        return tuple(kind(item) for item in value)
    except (TypeError, ValueError):
        what = "texts" if kind is str else "numbers"
        raise InputError(f"The parameter {name} must be a sequence of {what}, not {value!r}.") from None


def _are_statistics(numbers: tuple[float, ...]) -> bool:
    return len(numbers) == 6 and all(map(math.isfinite, numbers)) and all(number > 0 for number in numbers[3:])
