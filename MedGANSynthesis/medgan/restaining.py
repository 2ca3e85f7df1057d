"""The same tissue as another laboratory might have stained it: random stain vectors, concentrations and illumination.

Source: stain augmentation in the space of haematoxylin, eosin and a residual (Tellez et al., Med Image Anal 2019;58,
doi 10.1016/j.media.2019.101544); here the stain vectors themselves are drawn too, since laboratories differ in hue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .colour import STAIN_VECTORS, UNMIXING, from_optical_density, optical_density
from .intensity import like

HUE = 0.09  # standard deviation of a component of a stain vector
CONCENTRATION = 0.25  # of the logarithm of each stain's concentration, and of all together
PALER = -0.2  # mean of the latter: the darker a slide, the more of it can be learnt
TINT = 0.03  # of the optical density of glass


@dataclass(frozen=True)
class Restaining:
    """A linear change of optical density: ``density' = matrix @ density + tint``.

    Args:
        matrix: shape ``(3, 3)``. tint: shape ``(3,)``, what the glass absorbs.
    """

    matrix: np.ndarray
    tint: np.ndarray

    @classmethod
    def draw(cls, generator: np.random.Generator, strength: float = 1.0) -> Restaining:
        """A random one; ``strength`` 0 changes nothing, 1 spans what laboratories differ by."""
        vectors = np.maximum(STAIN_VECTORS + strength * HUE * generator.standard_normal((3, 3)), 0.01)
        vectors *= (np.linalg.norm(STAIN_VECTORS, axis=1) / np.linalg.norm(vectors, axis=1))[:, np.newaxis]
        together = PALER + CONCENTRATION * generator.standard_normal()
        apart = CONCENTRATION * generator.standard_normal(3)
        concentrations = np.exp(strength * (together + apart))
        tint = strength * TINT * np.abs(generator.standard_normal(3))
        # rows are stains: density = concentrations @ vectors
        matrix = (UNMIXING * concentrations) @ vectors
        return cls(matrix.T.astype(np.float32), tint.astype(np.float32))

    def __call__(self, rgb: Any) -> Any:
        """RGB of another staining, float32 0 to 255, of a float block ``(3, ...)``, numpy or torch."""
        density = optical_density(rgb)
        flat = like(self.matrix, density) @ density.reshape(3, -1) + like(self.tint[:, np.newaxis], density)
        return from_optical_density(flat).clip(max=255.0).reshape(rgb.shape)


def tilted(tissue: np.ndarray, generator: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Tissue ``(3, n)`` as a slide with more, or with less, of what is dark would have it (drawn with replacement)."""
    density = optical_density(tissue).mean(axis=0)
    standard = (density - density.mean()) / max(float(density.std()), 1e-6)
    weights = np.exp(strength * generator.normal(0.0, 0.4) * standard.clip(-2.5, 2.5))
    chosen = generator.choice(tissue.shape[1], tissue.shape[1], p=weights / weights.sum())
    return tissue[:, chosen]
