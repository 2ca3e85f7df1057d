"""A result made ready for the scene: masked, in the type it is stored in, with the facts that go with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from medgan.errors import InputError
from medgan.masking import blend, soft_weight
from medgan.volume import Volume
from slicer.i18n import tr as _

from .nodes import nodeName, volumeFromNode, writableType


@dataclass(frozen=True)
class Mask:
    """Where a result counts: ``array`` is (k, j, i), true inside the segment; see ``medgan.masking.soft_weight``."""

    array: np.ndarray
    inside: bool
    softEdgeMm: float
    description: str


@dataclass(frozen=True)
class Prepared:
    """What the write gate takes.

    Attributes:
        sourceNode: the node the result was computed from.
        source: its image.
        image: the voxels as they will be stored, on their grid.
        facts: stored on the output as attributes ``MedGAN.<key>``.
        isDifference: the image is what was removed, and wants a look of its own.
        sameKind: the model keeps unit and meaning of its source; one that does not makes, say, a CT of an MR.
    """

    sourceNode: object
    source: Volume
    image: Volume
    facts: dict[str, str]
    isDifference: bool = False
    sameKind: bool = True

    @classmethod
    def of(
        cls,
        sourceNode,
        result: Volume,
        provenance: dict[str, str],
        mask: Mask | None = None,
        sameKind: bool = True,
    ) -> Prepared:
        """Mask a result and bring it to the type of its source where both have the same unit.

        Raises:
            InputError: the mask does not fit, or the memory is not enough.
        """
        source = volumeFromNode(sourceNode)
        facts = {**provenance, "Source": f"{nodeName(sourceNode)} ({sourceNode.GetID()})"}
        try:
            array = result.array
            if mask is not None:
                array = _masked(source, result, mask, sameKind)
                facts["Mask"] = mask.description
            if sameKind and _sameUnits(source, result):
                array = castLike(array, source.array.dtype)
            image = result.with_array(writableType(array))
            return cls(sourceNode, source, image, facts, sameKind=sameKind)
        except MemoryError as error:
            raise notEnoughMemory() from error

    @property
    def sameUnits(self) -> bool:
        """Whether source and image measure the same thing, so that display and data type carry over."""
        return self.sameKind and _sameUnits(self.source, self.image)

    def removed(self) -> Prepared:
        """What was taken away: source minus image, float32, in the unit of the source.

        Raises:
            InputError: grid or unit changed, so there is no difference; or the memory is not enough.
        """
        if self.source.array.shape != self.image.array.shape or not self.sameUnits:
            raise InputError(_("This model changes grid or unit, so 'what was removed' does not exist; switch it off."))
        try:
            difference = self.source.array.astype(np.float32)
            difference -= self.image.array
        except MemoryError as error:
            raise notEnoughMemory() from error
        facts = {**self.facts, "Content": "what was removed: source minus result"}
        return replace(self, image=self.image.with_array(difference), facts=facts, isDifference=True)


def castLike(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in another type: rounded to the nearest and kept within what the type can hold."""
    if array.dtype == dtype or dtype.kind == "f":
        return array.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    out = np.empty(array.shape, dtype)
    for k in range(array.shape[0]):
        plane = np.nan_to_num(array[k].astype(np.float64))
        out[k] = np.clip(np.rint(plane), limits.min, limits.max)
    return out


def notEnoughMemory() -> InputError:
    """The error for a MemoryError."""
    return InputError(_("There is not enough memory for the result; close other data or crop the volume first."))


def _sameUnits(source: Volume, result: Volume) -> bool:
    """Whether both measure the same thing; a source of unknown unit is taken for what the model works on."""
    unknown = not source.units and source.modality in ("", result.modality)
    return source.channels == result.channels and (unknown or source.units == result.units)


def _masked(source: Volume, result: Volume, mask: Mask, sameKind: bool) -> np.ndarray:
    if result.array.shape != source.array.shape or not (sameKind and _sameUnits(source, result)):
        raise InputError(_("This model changes grid or unit, so it cannot be masked; switch masking off."))
    return blend(source.array, result.array, soft_weight(mask.array, source.geometry, mask.softEdgeMm, mask.inside))
