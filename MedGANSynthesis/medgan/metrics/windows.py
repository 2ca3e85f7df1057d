"""Metrics inside the CT window in which an anatomy is read: what lies outside of it nobody sees.

Source: the LDCT benchmark (Eulig et al., Med Phys 2024): both images are clipped to the window, then compared with the
window as the range.
"""

from __future__ import annotations

import numpy as np

from .basic import psnr_db, ssim

WINDOWS_HU = {"chest": (1500.0, -600.0), "abdomen": (400.0, 50.0), "brain": (80.0, 40.0)}
"""(width, level) of each window in HU."""


def window_range_hu(name: str) -> tuple[float, float]:
    """Lowest and highest value that a window of :data:`WINDOWS_HU` shows.

    >>> window_range_hu("abdomen")
    (-150.0, 250.0)
    """
    width, level = WINDOWS_HU[name]
    return level - width / 2, level + width / 2


def windowed(reference: np.ndarray, image: np.ndarray) -> dict[str, float]:
    """``psnr_db_<window>`` and ``ssim_<window>`` of whole slices ``(k, j, i)`` in HU; the window is the range."""
    values = {}
    for name in WINDOWS_HU:
        value_range = window_range_hu(name)
        values[f"psnr_db_{name}"] = psnr_db(reference, image, value_range)
        values[f"ssim_{name}"] = ssim(reference, image, value_range)
    return values
