"""Target: what a generator's result is, and how network numbers become physical values of it and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import intensity
from .errors import BundleError
from .intensity import Fitted, Scale, as_float, namespace


@dataclass(frozen=True)
class Target:
    """Meaning and decoding of a generator's output; the same rules make the training target.

    Args:
        modality: DICOM code of the result, "" as the source.
        units: of the result, "" as the source.
        channels: components of the result, 0 as the source.
        scale: between units and network numbers; None is that of the source, fitted to the source.
        residual: the network gives the change in ``scale``'s divisor rather than the image: result = source + change.
        only_add: the result is nowhere below the source (contrast medium can only brighten).
        background_above: a voxel whose source components are all at least this stays as it is (glass of a slide).
        outside: value of the result outside the body, None to compute it everywhere.
        value_range: the result is clipped to it.
    """

    modality: str = ""
    units: str = ""
    channels: int = 0
    scale: Scale | None = None
    residual: bool = False
    only_add: bool = False
    background_above: float | None = None
    outside: float | None = None
    value_range: tuple[float, float] | None = None

    @property
    def keeps_source(self) -> bool:
        """Whether the result has the units and the meaning of the source, so that both can be blended."""
        return not (self.modality or self.units or self.channels)

    def encode(self, target: Any, source: Any, fitted: Fitted, slices: slice | np.ndarray = slice(None)) -> Any:
        """The network numbers that are to be learnt.

        Args:
            target, source: physical blocks ``(components, k, j, i)``; the source only matters for a residual.
            fitted: scale of the source, fitted to its volume.
            slices: which slices of the volume the blocks cover.
        """
        scale = fitted if self.scale is None else self.scale.fit(np.empty(0))
        change = as_float(target) - as_float(source) if self.residual else target
        return scale.forward(change, slices)

    def decode(self, output: Any, source: Any, fitted: Fitted, slices: slice | np.ndarray = slice(None)) -> Any:
        """Physical values of a float32 network output ``(channels, k, j, i)``; may overwrite ``output``.

        Args:
            source: physical block, needed for a residual, ``only_add`` and ``background_above``.
        """
        scale = fitted if self.scale is None else self.scale.fit(np.empty(0))
        result = scale.inverse(output, slices)
        xp = namespace(result)
        if self.residual:
            result = result + as_float(source)
        if self.only_add:
            result = xp.maximum(result, as_float(source))
        if self.value_range is not None:
            result = result.clip(*self.value_range)
        return self.with_background(result, source)

    def with_background(self, result: Any, source: Any) -> Any:
        """A physical block ``(channels, k, j, i)`` with what is background in the source as it is there."""
        if self.background_above is None:
            return result
        background = (source >= self.background_above).all(0)
        return namespace(result).where(background, as_float(source), result)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready description, read back by :meth:`from_dict`."""
        values = {**asdict(self), "scale": None if self.scale is None else self.scale.to_dict()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Target:
        """The target a bundle describes.

        Raises:
            BundleError: it has a field that this version does not know.
        """
        values = dict(values)
        try:
            if values.get("scale") is not None:
                values["scale"] = intensity.from_dict(values["scale"])
            if values.get("value_range") is not None:
                low, high = values["value_range"]
                values["value_range"] = (float(low), float(high))
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"What the model gives ({values}) is not known to this version of MedGAN ({error}); update it."
            ) from error
