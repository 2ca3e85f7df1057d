"""What every recipe has: presets, parameters, and the two networks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import parameters
from ..errors import InputError
from ..network import NetworkSpec


@dataclass(frozen=True)
class Recipe:
    """A task with all its parameters; subclasses add fields, presets and networks.

    ``PRESETS`` maps a preset's name to the parameters in which it differs from the field defaults.
    """

    TASK: ClassVar[str] = ""
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}

    preset: str = "recommended"

    @classmethod
    def from_preset(cls, preset: str, **overrides: Any) -> Recipe:
        """The recipe of a preset with single parameters replaced and everything checked."""
        if preset not in cls.PRESETS:
            raise InputError(f"There is no preset '{preset}' for {cls.TASK}; the presets are {', '.join(cls.PRESETS)}.")
        known = {field.name for field in dataclasses.fields(cls)} - {"preset"}
        unknown = sorted(set(overrides) - known)
        if unknown:
            raise InputError(f"{cls.TASK} has no parameter '{unknown[0]}'; it has {', '.join(sorted(known))}.")
        recipe = cls(preset=preset, **{**cls.PRESETS[preset], **overrides})
        parameters.validate(recipe)
        return recipe

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe a bundle or checkpoint describes (inverse of :meth:`to_dict`)."""
        values = dict(values)
        return cls.from_preset(values.pop("preset"), **values)

    def to_dict(self) -> dict[str, Any]:
        """Every parameter, JSON-ready."""
        return dataclasses.asdict(self)

    def build_generator(self) -> Any:
        """A freshly initialised generator (torch module)."""
        raise NotImplementedError

    def build_discriminator(self) -> Any:
        """A freshly initialised discriminator (torch module)."""
        raise NotImplementedError

    def network_spec(self) -> NetworkSpec:
        """How the generator is fed, its halo left open."""
        raise NotImplementedError

    def measured_spec(self, generator: Any) -> NetworkSpec:
        """:meth:`network_spec` with the halo found on the network itself."""
        from ..network import as_volume_network
        from ..receptive_field import probe

        spec = self.network_spec()
        found = probe(as_volume_network(generator, spec), spec.in_channels, spec.multiple, spec.scale)
        return dataclasses.replace(spec, halo=found.halo)
