"""Where tests find the real images, which are no part of the project: ``$MEDGAN_DATA`` or ``../shared/data``."""

import os
import tarfile
import unittest
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


def dataFile(name: str) -> Path:
    """Path of a shared image such as ``"ct/x.nii.gz"``; skips the running test with a clear message if it is absent."""
    folder = Path(os.environ.get("MEDGAN_DATA") or _CHECKOUT.parent / "shared" / "data")
    path = folder / name
    if not path.exists():
        raise unittest.SkipTest(f"The shared image {name} is not here; set MEDGAN_DATA to the folder of shared images.")
    return path


def unpacked(name: str, folder: Path) -> Path:
    """Folder with the content of a shared ``.tar.xz`` archive, unpacked once; skips the test if it is absent."""
    archive = dataFile(name)
    target = folder / archive.name.removesuffix(".tar.xz")
    if not target.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    return target
