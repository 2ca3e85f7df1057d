"""The colors a generator gives the tissue of a slide, measured on some tiles of it."""

from __future__ import annotations

from itertools import product

import numpy as np

from .colour import TISSUE_BELOW
from .fitted_source import FittedSource
from .generation import Generation, Progress, stored_in
from .network import IdentityNetwork, TorchNetwork
from .stain_reference import StainReference
from .target import Target
from .tiling import Box
from .volume import Volume

TILE = 256
MOST_TILES = 16
_STEP = 16  # pixels between those that are looked at to find tissue


def generated_colours(
    network: IdentityNetwork | TorchNetwork, source: FittedSource, target: Target, progress: Progress | None = None
) -> StainReference:
    """Statistics of the generated tissue of a whole slide, the same whatever region of it is then wanted.

    Args:
        progress: called with fraction 0 between tiles; may raise to stop.

    Raises:
        InputError: the result shows hardly any tissue.
    """
    waiting = None if progress is None else lambda fraction, message: progress(0.0, "measuring the colors")
    pixels = []
    for tile in tissue_tiles(source.source.array):
        part = np.empty((*tile.scaled(network.spec.scale).shape, 3), np.float32)
        Generation(network, source, target, tile).run(stored_in(part), waiting)
        pixels.append(part.reshape(-1, 3))
    return StainReference.of(Volume(np.concatenate(pixels)[np.newaxis, np.newaxis]))


def tissue_tiles(array: np.ndarray) -> list[Box]:
    """At most ``MOST_TILES`` tiles of a slide ``(k, j, i, 3)``, evenly spread over those with much tissue."""
    tissue = (array[:, ::_STEP, ::_STEP] < TISSUE_BELOW).any(axis=-1)
    slices, rows, columns = array.shape[:3]
    tiles, shares = [], []
    for k, j, i in product(range(slices), range(0, rows, TILE), range(0, columns, TILE)):
        tiles.append(Box((k, j, i), (k + 1, min(j + TILE, rows), min(i + TILE, columns))))
        looked_at = tissue[k, j // _STEP : (j + TILE) // _STEP, i // _STEP : (i + TILE) // _STEP]
        shares.append(looked_at.mean())
    good = [tile for tile, share in zip(tiles, shares, strict=True) if share >= 0.5 * max(shares)]
    chosen = np.linspace(0, len(good) - 1, min(len(good), MOST_TILES)).round().astype(int)
    return [good[index] for index in chosen]
