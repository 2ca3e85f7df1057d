"""A result made ready for the scene: masked, in the type it is stored in, with the facts that go with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from medgan.errors import InputError
from medgan.tile_plan import Box
from medgan.volume import Volume
from slicer.i18n import tr as _

from .masks import Mask
from .nodes import nodeName, volumeFromNode, writableType

RESULT, REMOVED, SPREAD = "result", "removed", "spread"


@dataclass(frozen=True)
class Prepared:
    """What the write gate takes.

    Attributes:
        sourceNode: the node the result was computed from.
        source: its image.
        image: the voxels as they will be stored, on their grid.
        facts: stored on the output as attributes ``MedGAN.<key>``.
        kind: "result", or "removed" or "spread", which want a look of their own.
        sameKind: the model keeps unit and meaning of its source; one that does not makes, say, a CT of an MR.
    """

    sourceNode: object
    source: Volume
    image: Volume
    facts: dict[str, str]
    kind: str = RESULT
    sameKind: bool = True

    @classmethod
    def of(
        cls,
        sourceNode,
        result: Volume,
        provenance: dict[str, str],
        mask: Mask | None = None,
        sameKind: bool = True,
        region: Box | None = None,
    ) -> Prepared:
        """Mask a result and bring it to the type of its source where both have the same unit.

        Args:
            region: the result (and the mask) is only of this box of the source.

        Raises:
            InputError: the mask does not fit, or the memory is not enough.
        """
        source = volumeFromNode(sourceNode)
        if region is not None:
            source = source.with_array(source.array[region.slices])
        facts = {**provenance, "Source": f"{nodeName(sourceNode)} ({sourceNode.GetID()})"}
        prepared = cls(sourceNode, source, result, facts, sameKind=sameKind)
        try:
            array = result.array
            if mask is not None:
                prepared.checkMask()
                array = mask.blended(source.array, array)
                facts["Mask"] = mask.description
            if prepared.sameUnits:
                array = castLike(array, source.array.dtype)
            return replace(prepared, image=result.with_array(writableType(array)))
        except MemoryError as error:
            raise notEnoughMemory() from error

    @property
    def sameUnits(self) -> bool:
        """Whether source and image measure the same thing, so that display and data type carry over."""
        return self.sameKind and measureTheSame(self.source, self.image)

    @property
    def comparable(self) -> bool:
        """Whether source and image can be compared voxel by voxel."""
        return self.source.array.shape == self.image.array.shape and self.sameUnits

    def checkMask(self) -> None:
        """Raises InputError: grid or unit changed, so source and result cannot be put together."""
        if not self.comparable:
            raise InputError(_("This model changes grid or unit, so it cannot be masked; switch masking off."))

    def checkRemoved(self) -> None:
        """Raises InputError: grid or unit changed, so there is no difference."""
        if not self.comparable:
            raise InputError(_("This model changes grid or unit, so 'what was removed' does not exist; switch it off."))

    def removed(self) -> Prepared:
        """What was taken away: source minus image, float32, in the unit of the source.

        Raises:
            InputError: grid or unit changed, so there is no difference; or the memory is not enough.
        """
        self.checkRemoved()
        try:
            difference = self.source.array.astype(np.float32)
            difference -= self.image.array
        except MemoryError as error:
            raise notEnoughMemory() from error
        facts = {**self.facts, "Content": "what was removed: source minus result"}
        return replace(self, image=self.image.with_array(difference), facts=facts, kind=REMOVED)

    def spread(self, spread: Volume, mask: Mask | None = None) -> Prepared:
        """How far repeated results lie apart, float32 (k, j, i), in the unit of the image.

        Args:
            spread: voxel-wise standard deviation.
            mask: the one the image was masked with: what is left of the source has no spread.

        Raises:
            InputError: the memory is not enough.
        """
        try:
            array = spread.array if mask is None else spread.array * mask.weight
        except MemoryError as error:
            raise notEnoughMemory() from error
        facts = {**self.facts, "Content": "spread: voxel-wise standard deviation of the result"}
        return replace(self, image=spread.with_array(array), facts=facts, kind=SPREAD)


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


def measureTheSame(source: Volume, result: Volume) -> bool:
    """Whether both have one unit; a source of unknown unit is taken for what the model works on."""
    unknown = not source.units and source.modality in ("", result.modality)
    return source.channels == result.channels and (unknown or source.units == result.units)
