"""Placeholder, written by the stain helper."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class ColourInput:
    """RGB as a stain-transfer network sees it: three channels, colour or grey."""

    KIND: ClassVar[str] = "colour"
    kind_of_input: str = "rgb"

    def fit(self, array: np.ndarray) -> ColourInput:
        return self

    def forward(self, block: Any, slices: Any = slice(None)) -> Any:
        from .intensity import as_float

        return as_float(block) / 127.5 - 1.0

    def inverse(self, block: Any, slices: Any = slice(None)) -> Any:
        return (block + 1.0) * 127.5

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.KIND, **asdict(self)}
