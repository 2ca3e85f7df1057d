"""The parameters the built-in effects share: words and help here, defaults and ranges from the engine's options."""

from __future__ import annotations

import dataclasses
from typing import Any

from medgan.options import ApplyOptions
from medgan.parameters import parameter
from slicer.i18n import tr as _

_OPTIONS = {field.name: field for field in dataclasses.fields(ApplyOptions)}


def strength() -> Any:
    """How much of the result is taken."""
    help = _("How much of the result is taken: 0 leaves the source as it is, 1 is all the model computed.")
    return _option("strength", _("Strength"), help)


def enhancementOnly(default: bool = False) -> Any:
    """Nowhere below the source."""
    help = _("The result is nowhere darker than the source, for contrast medium can only brighten.")
    return _option("enhancement_only", _("Enhancement only"), help, default=default)


def targetSpacingMm() -> Any:
    """Spacing of a super-resolved result."""
    help = _(
        "Voxel spacing of the result along the three axes of the volume. Switched off, it is what the model makes: "
        "the spacing of the source divided by the factor of the model."
    )
    return _option("target_spacing_mm", _("Target spacing"), help)


def orientations() -> Any:
    """Planes of a 2-D network."""
    help = _(
        "Planes in which a slice-wise model goes through the volume. The average of all three has fewer steps between "
        "slices and takes three times as long."
    )
    return _option("orientations", _("Orientations"), help)


def referenceNode() -> Any:
    """Image whose staining is taken over."""
    help = _("A color image whose staining the result shall have; none takes the staining the model was trained for.")
    return parameter(None, label=_("Reference image"), help=help)


def secondOutput() -> Any:
    """A second volume with what was removed."""
    help = _(
        "Also create a volume of what was removed: source minus result. Only noise should be there; structures you "
        "see in it were lost."
    )
    return parameter(False, label=_("Show what was removed"), help=help)


def spread() -> Any:
    """A second volume with the spread."""
    help = _(
        "Also create a colored map of how far repeated results lie apart in each voxel (standard deviation); where it "
        "is high, trust the result less. The computation takes as many times longer as there are results. An ensemble "
        "takes all other installed models for the same task whose results lie on the same grid."
    )
    return _option("spread", _("Spread"), help)


def spreadSamples() -> Any:
    """How many dropout samples."""
    help = _("How often the result is computed with other neurons left out; more is smoother and takes longer.")
    return _option("spread_samples", _("Dropout samples"), help)


def choiceTitle(name: str, value: str) -> str:
    """The words for one value of a shared parameter; other values stand for themselves."""
    words = {
        ("orientations", "model"): _("As the model was trained"),
        ("orientations", "axial"): _("Axial slices"),
        ("orientations", "all"): _("Average of axial, coronal and sagittal"),
        ("spread", "none"): _("Off"),
        ("spread", "flips"): _("From mirrored copies"),
        ("spread", "dropout"): _("From dropout samples"),
        ("spread", "ensemble"): _("From an ensemble of models"),
    }
    return words.get((name, value), value)


def _option(name: str, label: str, help: str, **changes: Any) -> Any:
    """A field with the default, range, unit and choices of one of the engine's options."""
    field = _OPTIONS[name]
    facts = {key: field.metadata[key] for key in ("unit", "minimum", "maximum", "choices")}
    return parameter(**{"default": field.default, **facts, "label": label, "help": help, **changes})
