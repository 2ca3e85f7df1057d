"""Small images with structure that no shift or flip maps onto itself, and folders of them."""

from pathlib import Path

import numpy as np
from medgan.image_io import write_volume
from medgan.volume import Geometry, Volume

SHAPE = (20, 30, 26)
GEOMETRY = Geometry((-50.0, -60.0, 10.0), (4.0, 4.0, 5.0))


def body(seed: int = 0, shape: tuple[int, int, int] = SHAPE, geometry: Geometry = GEOMETRY) -> tuple[Volume, Volume]:
    """MR and CT of one body on one grid: soft tissue with bones and cavities at random places, air around."""
    generator = np.random.default_rng(seed)
    axes = np.ogrid[tuple(slice(size) for size in shape)]
    size = np.array(shape)

    def ball(center, radius):
        return sum(((axis - c) / (radius * n)) ** 2 for axis, c, n in zip(axes, center, size, strict=True)) < 1

    mr, hu = np.zeros(shape, np.float32), np.full(shape, -1000.0, np.float32)
    inside = ball((size - 1) / 2, 0.44)
    mr[inside], hu[inside] = 500.0, 30.0
    for brightness, value in ((60.0, 900.0), (900.0, -90.0), (60.0, 900.0), (300.0, 60.0), (800.0, -100.0)):
        part = ball(size * generator.uniform(0.32, 0.68, 3), generator.uniform(0.08, 0.16)) & inside
        mr[part], hu[part] = brightness, value
    mr += np.abs(generator.normal(0, 8, shape))
    hu += generator.normal(0, 8, shape)
    return (
        Volume(np.rint(mr).astype(np.int16), geometry, "", "MR"),
        Volume(np.rint(np.maximum(hu, -1024)).astype(np.int16), geometry, "HU", "CT"),
    )


def pair_folders(folder: Path, patients: int = 3, suffix: str = ".nrrd") -> tuple[Path, Path]:
    """Folders ``mr`` and ``ct`` with a file ``p0``, ``p1``, ... per patient."""
    for name in ("mr", "ct"):
        (folder / name).mkdir(parents=True)
    for patient in range(patients):
        for name, volume in zip(("mr", "ct"), body(patient), strict=True):
            write_volume(volume, folder / name / f"p{patient}{suffix}")
    return folder / "mr", folder / "ct"
