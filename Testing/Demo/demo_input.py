"""The CT the demo works on: the shared data, else Slicer's public sample, else the slice inside the pydicom wheel."""

import hashlib
import os
import urllib.request
from pathlib import Path

import slicer

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = "ct/chest_noncontrast_1mm_andrei_z064-095.nii.gz"
SAMPLE_SHA256 = "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e"  # CTChest of Slicer's Sample Data
SLICES = 16


def demo_input(folder, offline=False):
    """Volume (a slab of at most ``SLICES`` slices, HU) and a sentence that says where it comes from."""
    from medgan.image_io import read_volume

    path, origin = _shared() or (None if offline else _sample(folder)) or _pydicom()
    volume, _notes = read_volume(path, modality="CT")
    middle, half = len(volume.array) // 2, SLICES // 2
    start = max(0, middle - half)
    slab = volume.array[start : start + SLICES].copy()
    return volume.with_array(slab, geometry=volume.geometry.shifted((0, 0, start))), origin


def _shared():
    path = Path(os.environ.get("MEDGAN_DATA") or CHECKOUT.parent / "shared" / "data") / SHARED
    return (path, f"shared data, {SHARED}") if path.is_file() else None


def _sample(folder):
    """Slicer's CTChest, downloaded once and checked."""
    path = folder / "CT-chest.nrrd"
    try:
        if not path.is_file():
            beside = path.with_suffix(".part")
            with urllib.request.urlopen(
                f"{slicer.util.TESTING_DATA_URL}SHA256/{SAMPLE_SHA256}", timeout=20
            ) as response:
                beside.write_bytes(response.read())
            beside.replace(path)
    except OSError:
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != SAMPLE_SHA256:
        path.unlink()
        return None
    return path, "Slicer's sample data, CTChest (contrast enhanced)"


def _pydicom():
    from pydicom.data import get_testdata_file

    return Path(get_testdata_file("CT_small.dcm")), "the CT slice inside the pydicom wheel (offline)"
