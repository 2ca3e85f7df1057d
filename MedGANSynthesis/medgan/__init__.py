"""MedGAN: image-to-image generators for medical volumes, trained and applied without any host application.

Importing this package is free of heavy imports: torch, SimpleITK and the like are loaded by the first call
that needs them.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "ApplyOptions": "options",
    "Bundle": "bundle",
    "Geometry": "volume",
    "MedGANError": "errors",
    "Result": "synthesizer",
    "Synthesizer": "synthesizer",
    "Volume": "volume",
    "evaluate": "evaluation",
    "find_bundles": "bundle_search",
    "read_volume": "image_io",
    "train": "trainer",
    "write_volume": "image_io",
}

__all__ = ["__version__", "recipes", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name == "recipes":
        return importlib.import_module(".recipes", __name__)
    if name in _EXPORTS:
        return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module 'medgan' has no attribute '{name}'")
