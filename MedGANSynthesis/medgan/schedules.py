"""Learning rates over a training, as factors on the rates of the recipe; functions of step and history alone, so that
a resumed training continues exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

NAMES = ("constant", "linear", "cosine", "plateau", "inverse-epochs", "inverse-steps", "warm-restarts")
PLATEAU_PATIENCE = 4
PLATEAU_FACTOR = 0.5
RESTART_EPOCHS = 3


def factor(
    name: str, step: int, steps_per_epoch: int, epochs: int, start: int, rate: float, scores: Sequence[float] = ()
) -> float:
    """Factor on the learning rate at ``step``.

    Args:
        name: "constant"; "linear" (constant for ``start`` epochs, then straight to zero: pix2pix, CycleGAN); "cosine"
            (half a cosine to zero over all epochs); "plateau" (halved whenever ``scores`` did not rise for four
            epochs); "inverse-epochs" (``1 / (1 + rate * (epoch - start))`` after ``start`` epochs: pix2pix3D-CT);
            "inverse-steps" (``1 / (1 + rate * step / steps_per_epoch)``: 3D-GAN-superresolution as intended);
            "warm-restarts" (cosines of 3, 6, 12, ... epochs from 1 down to ``rate``, set once per epoch: MR to CT).
        start: epochs before a decay begins.
        rate: decay rate of the inverse schedules, lowest factor of the restarts.
        scores: validation score of each finished epoch, higher is better.
    """
    epoch = step / steps_per_epoch
    if name == "linear":
        whole = step // steps_per_epoch
        return 1.0 - max(0, whole + 1 - start) / (max(epochs - start, 0) + 1)
    if name == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))
    if name == "plateau":
        return PLATEAU_FACTOR ** _plateaus(scores)
    if name == "inverse-epochs":
        return 1.0 / (1.0 + rate * max(0, step // steps_per_epoch - start))
    if name == "inverse-steps":
        return 1.0 / (1.0 + rate * epoch)
    if name == "warm-restarts":
        whole, length, begin = step // steps_per_epoch, RESTART_EPOCHS, 0
        while whole >= begin + length:
            begin, length = begin + length, 2 * length
        return rate + (1.0 - rate) * 0.5 * (1.0 + math.cos(math.pi * (whole - begin) / length))
    return 1.0


def _plateaus(scores: Sequence[float]) -> int:
    """How many times the scores stood still for longer than the patience (as torch's ReduceLROnPlateau counts)."""
    best, waited, count = -math.inf, 0, 0
    for score in scores:
        best, waited = (score, 0) if score > best else (best, waited + 1)
        if waited > PLATEAU_PATIENCE:
            count, waited = count + 1, 0
    return count
