"""What a draft is for and how its cases are made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from .alignment import GOOD_QUALITY
from .case_builder import CaseOptions
from .dataset_builder import case_options
from .degrade_mr import FACTORS, parse_factor
from .errors import InputError
from .modalities import MODALITIES

REGISTERED = {"mr-to-ct": "rigid", "contrast-ct": "rigid"}
"""Tasks whose pairs come from two scans, which seldom lie on each other."""
_DEGRADED_MODALITY = {"low-dose": ("CT",), "low-resolution": ("MR",), "grey": ("SM",), "none": ("MR", "SM")}
_TWO_SCANS = ("mr-to-ct", "mr-to-ct-unpaired", "contrast-ct")


@dataclass(frozen=True)
class DraftSettings:
    """What a draft is for and how its cases are made; see :class:`~medgan.case_builder.CaseOptions` for the latter.

    Args:
        task: a task; it decides the modalities.
        paired: whether each source has its target.
        degrade, dose, factor, resolution_kind, grey_kind, register, find_masks: as of ``CaseOptions``.
        seed: of the split and of simulated noise.
        description, licence: of the images, for the model card.
        threshold: least quality of the alignment (0 to 1) that is accepted without a person's word.

    Raises:
        InputError: a value is unknown, or does not go with the task.
    """

    task: str
    paired: bool = True
    degrade: str = ""
    dose: float = 0.25
    factor: tuple[int, int, int] = (2, 2, 2)
    resolution_kind: str = "kspace"
    grey_kind: str = "luma"
    register: str = ""
    find_masks: bool = True
    seed: int = 0
    description: str = ""
    licence: str = ""
    threshold: float = GOOD_QUALITY

    def __post_init__(self) -> None:
        if self.task not in MODALITIES:
            raise InputError(f"There is no task '{self.task}'; the tasks are {', '.join(MODALITIES)}.")
        factor = parse_factor(self.factor) if isinstance(self.factor, str) else tuple(self.factor)
        object.__setattr__(self, "factor", factor)
        options = self.case_options()
        if len(factor) != 3 or any(step not in FACTORS for step in factor):
            raise InputError(f"The factor must be three whole numbers from 1 to 8, not {factor}.")
        if self.degrade and (
            self.task in _TWO_SCANS or options.target_modality not in _DEGRADED_MODALITY[self.degrade]
        ):
            raise InputError(f"The sources of {self.task} cannot be made by the degradation {self.degrade}.")
        if self.degrade and (self.register or not self.paired):
            raise InputError("A degradation makes the source itself, so there is nothing to register or to unpair.")
        if not self.paired and not self.task.endswith("unpaired"):
            raise InputError(f"The task {self.task} learns from pairs; only mr-to-ct-unpaired can do without.")
        if not 0 < self.dose < 1:
            raise InputError(f"The dose fraction must lie between 0 and 1 (0.25 is a quarter dose), not {self.dose}.")
        if not 0 <= self.threshold <= 1:
            raise InputError(f"The least quality must lie between 0 and 1, not {self.threshold}.")

    def case_options(self) -> CaseOptions:
        """How the cases are made."""
        names = ("degrade", "dose", "factor", "resolution_kind", "grey_kind", "register", "find_masks", "seed")
        return case_options(self.task, **{name: getattr(self, name) for name in names})

    def changed(self, **values: Any) -> DraftSettings:
        """With other values.

        Raises:
            InputError: as the class; or there is no such setting, or it cannot be changed (task, paired).
        """
        wrong = [name for name in values if name in ("task", "paired") or name not in self.names()]
        if wrong:
            raise InputError(f"A draft has no {wrong[0]} that could be changed; begin another draft.")
        return replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return json.loads(json.dumps(asdict(self), default=np.generic.item))

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> DraftSettings:
        """The settings of :meth:`to_dict`.

        Raises:
            InputError, TypeError, ValueError: a value is missing, unknown or of the wrong kind.
        """
        for one in fields(cls):
            value, kinds = content.get(one.name), {"bool": bool, "str": str, "int": int, "float": (int, float)}
            if one.name in content and not isinstance(value, kinds.get(one.type, list)):
                raise TypeError(f"{one.name} is {value!r}")
        return cls(**content)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all settings."""
        return tuple(one.name for one in fields(cls))
