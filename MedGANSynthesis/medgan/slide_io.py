"""Read whole-slide files (Aperio, Hamamatsu, Leica, ... by OpenSlide) as a Volume: one slice of RGB, spacing in mm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError, MedGANError
from .volume import Geometry, Volume

SUFFIXES = (".svs", ".ndpi", ".scn", ".mrxs", ".bif", ".vms", ".svslide")
MOST_PIXELS = 2**28  # 800 MB of RGB
NO_OPENSLIDE = "Whole slides are read with OpenSlide: run 'pip install openslide-python openslide-bin' and try again."
_STRIPE_ROWS = 1024
_WHITE = 255


@dataclass(frozen=True)
class SlideLevel:
    """One magnification of a slide.

    Args:
        columns, rows: size in pixels. downsample: pixels of the finest level per pixel of this one.
        pixel_mm: size of a pixel along i and j, None if the file does not say.
    """

    columns: int
    rows: int
    downsample: float
    pixel_mm: tuple[float, float] | None


def is_slide(path: str | Path) -> bool:
    """Whether a file is to be read with :func:`read_slide`: by its extension; a TIFF if from a scanner or a pyramid."""
    path = Path(path)
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        from openslide import OpenSlide
    except ImportError:
        return False
    kind = OpenSlide.detect_format(str(path))
    if kind != "generic-tiff":
        return kind is not None
    with _opened(path) as slide:
        return slide.level_count > 1  # other tiled TIFFs may hold what OpenSlide would cut to 8 bits


def levels(path: str | Path) -> list[SlideLevel]:
    """The magnifications a slide file holds, the finest first.

    Raises:
        InputError: the file cannot be read as a slide.
    """
    with _opened(path) as slide:
        return _levels(slide)


def read_slide(path: str | Path) -> tuple[Volume, list[str]]:
    """A whole slide at the finest magnification that has at most 268 million pixels (:data:`MOST_PIXELS`).

    Returns:
        the slide ``(1, j, i, 3)`` uint8, modality SM, and one sentence each on what the user should know.

    Raises:
        InputError: the file cannot be read as a slide, or even its coarsest magnification is too large.
    """
    available = levels(path)
    level = next((n for n, at in enumerate(available) if at.columns * at.rows <= MOST_PIXELS), None)
    if level is None:
        raise InputError(
            f"{Path(path).name} has {available[-1].columns} x {available[-1].rows} pixels even at its coarsest "
            "magnification, too many to be read at once; read a region of it with medgan.slide_io.read_region."
        )
    notes = []
    if level:
        notes.append(
            f"The slide was read at magnification level {level} of {len(available)} ({available[level].columns} x "
            f"{available[level].rows} pixels, 1/{available[level].downsample:.3g} of the finest), as the finer ones "
            "are too large to be read at once."
        )
    if available[level].pixel_mm is None:
        notes.append("The slide does not state the size of its pixels; 1 mm is taken.")
    return read_region(path, level), notes


def read_region(
    path: str | Path, level: int = 0, start: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None
) -> Volume:
    """A region of a slide at one of its magnifications.

    Args:
        path: slide file, also a tiled TIFF.
        level: magnification, 0 is the finest, see :func:`levels`.
        start: first (column, row) of the region, in pixels of that level.
        size: (columns, rows) in pixels of that level, by default all from ``start`` on.

    Returns:
        ``(1, j, i, 3)`` uint8, modality SM, where it lies on the slide in mm (i to the right, j downwards). What was
        not scanned is white.

    Raises:
        InputError: the file cannot be read as a slide, it has no such level or region, or the region is too large.
    """
    with _opened(path) as slide:
        available = _levels(slide)
        if not 0 <= level < len(available):
            raise InputError(f"{Path(path).name} has no level {level}; it has 0 to {len(available) - 1}.")
        at = available[level]
        columns, rows = size or (at.columns - start[0], at.rows - start[1])
        inside = start[0] >= 0 and start[1] >= 0 and start[0] + columns <= at.columns and start[1] + rows <= at.rows
        if not inside or columns < 1 or rows < 1:
            raise InputError(
                f"The region of {columns} x {rows} pixels at {start[0]}, {start[1]} does not lie within level {level} "
                f"of {Path(path).name}, which has {at.columns} x {at.rows}."
            )
        if columns * rows > MOST_PIXELS:
            raise InputError(
                f"A region of {columns} x {rows} pixels is too large to be read at once; read at most "
                f"{MOST_PIXELS} pixels, or choose a coarser level."
            )
        array = _pixels(slide, Path(path).name, level, at, start, (columns, rows))
    pixel_mm = at.pixel_mm or (1.0, 1.0)
    # the origin is the centre of the finest level's first pixel; a coarser pixel has its centre farther in
    column, row = ((first + 0.5 - 0.5 / at.downsample) * width for first, width in zip(start, pixel_mm, strict=True))
    # i and j run to the right and downwards of the picture: left and posterior, as SimpleITK takes pictures too
    geometry = Geometry((-column, -row, 0.0), (*pixel_mm, 1.0), np.diag([-1.0, -1.0, 1.0]))
    return Volume(array, geometry, "", "SM")


def _pixels(
    slide: Any, name: str, level: int, at: SlideLevel, start: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """RGB on white, read in stripes: OpenSlide gives four bytes per pixel."""
    from openslide import OpenSlideError

    columns, rows = size
    array = np.empty((1, rows, columns, 3), np.uint8)
    for row in range(0, rows, _STRIPE_ROWS):
        count = min(_STRIPE_ROWS, rows - row)
        corner = (round(start[0] * at.downsample), round((start[1] + row) * at.downsample))  # of the finest level
        try:
            stripe = np.asarray(slide.read_region(corner, level, (columns, count)))
        except OpenSlideError as error:
            raise InputError(f"{name} cannot be read to its end ({error}); copy the slide file again.") from error
        color, alpha = stripe[..., :3], stripe[..., 3:]
        array[0, row : row + count] = color if alpha.all() else np.where(alpha > 0, color, _WHITE)
    return array


def _levels(slide: Any) -> list[SlideLevel]:
    sizes_um = [slide.properties.get(f"openslide.mpp-{axis}") for axis in "xy"]
    try:
        finest_mm = tuple(float(size) * 1e-3 for size in sizes_um)
    except (TypeError, ValueError):
        finest_mm = None
    if finest_mm and not all(0 < size < 1 for size in finest_mm):
        finest_mm = None
    return [
        SlideLevel(columns, rows, factor, finest_mm and tuple(size * factor for size in finest_mm))
        for (columns, rows), factor in zip(slide.level_dimensions, slide.level_downsamples, strict=True)
    ]


def _opened(path: str | Path) -> Any:
    try:
        from openslide import OpenSlide, OpenSlideError
    except ImportError as error:
        raise MedGANError(NO_OPENSLIDE) from error
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        return OpenSlide(str(path))
    except OpenSlideError as error:
        raise InputError(f"{path.name} cannot be read as a slide: it is damaged or of an unknown format.") from error
