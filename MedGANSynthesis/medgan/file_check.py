"""What ITK does not say of a file: that a NIfTI or TIFF is cut off, or that a NIfTI holds voxels that are no number.

ITK reads a NIfTI that ends too early as if its other voxels were 0, turns its NaN and infinite values into 0, takes the
voxels of ``a.nii`` when asked for an ``a.nii.gz`` beside it, and leaves out the pages of a TIFF that are not there.
0 HU is water, so what it returns looks like an image.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from .errors import InputError

_FLOATS = {16: "f4", 64: "f8", 32: "f4", 1792: "f8"}  # NIfTI datatypes; the last two are complex
_CHUNK = 1 << 22  # bytes, a multiple of every item


@contextlib.contextmanager
def alone(path: Path) -> Iterator[Path]:
    """The path to read a file by: for an ``a.nii.gz`` beside an ``a.nii`` that of a copy elsewhere."""
    if not path.name.lower().endswith(".nii.gz") or not path.with_suffix("").exists():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copyfile(path, Path(folder) / "image.nii.gz"))


def check_file(path: Path) -> None:
    """Refuse an image file that ITK would read otherwise than it is; files of other formats and kinds pass.

    Raises:
        InputError: a NIfTI or TIFF ends before its last voxel, or a NIfTI has NaN or infinite values.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            _check_nifti(path)
        elif name.endswith((".tif", ".tiff")):
            _check_tiff(path)
    except (EOFError, struct.error, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path.name} is damaged: it ends before its last voxel or cannot be unpacked; copy it again."
        ) from error


def _check_nifti(path: Path) -> None:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as stream:
        header = stream.read(352)
        layout = _nifti_layout(header)
        if layout is None:
            return
        order, datatype, start, size = layout
        if datatype in _FLOATS:
            stream.seek(start)
            _check_numbers(path, _chunks(stream, size), np.dtype(order + _FLOATS[datatype]))
        elif _unpacked_size(path, packed) != (start + size) % 2**32:  # else it is whole, which costs nothing to know
            stream.seek(start)
            for _ in _chunks(stream, size):
                pass


def _nifti_layout(header: bytes) -> tuple[str, int, int, int] | None:
    """Byte order, datatype, first byte and number of bytes of the voxels; None if it is no NIfTI of one file."""
    order = next((o for o in "<>" if struct.unpack_from(o + "i", header)[0] in (348, 540)), None)
    if order is None:
        return None
    if struct.unpack_from(order + "i", header)[0] == 348:
        magic = struct.unpack_from("4s", header, 344)[0]
        sizes = struct.unpack_from(order + "8h", header, 40)
        datatype, bits = struct.unpack_from(order + "2h", header, 70)
        start = int(struct.unpack_from(order + "f", header, 108)[0])
    else:
        magic = struct.unpack_from("4s", header, 4)[0]
        datatype, bits = struct.unpack_from(order + "2h", header, 12)
        sizes = struct.unpack_from(order + "8q", header, 16)
        start = struct.unpack_from(order + "q", header, 168)[0]
    if not magic.startswith(b"n+") or not 1 <= sizes[0] <= 7 or start < 0:
        return None
    return order, datatype, start, math.prod(max(size, 1) for size in sizes[1 : 1 + sizes[0]]) * bits // 8


def _unpacked_size(path: Path, packed: bool) -> int:
    """Bytes modulo 2^32, as a gzip file says at its end."""
    with path.open("rb") as raw:
        size = raw.seek(0, 2)
        if packed:
            raw.seek(-4, 2)
            size = struct.unpack("<I", raw.read(4))[0]
    return size % 2**32


def _chunks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """The next ``size`` bytes, in parts of whole items."""
    while size > 0:
        part = stream.read(min(size, _CHUNK))
        if len(part) < min(size, _CHUNK):
            raise EOFError
        size -= len(part)
        yield part


def _check_numbers(path: Path, parts: Iterator[bytes], kind: np.dtype) -> None:
    bad = sum(int((~np.isfinite(np.frombuffer(part, kind))).sum()) for part in parts)
    if bad:
        raise InputError(f"{path.name} has {bad} voxels that are no number (NaN or infinite); replace them first.")


def _check_tiff(path: Path) -> None:
    """Follow the chain of pages to its end."""
    with path.open("rb") as stream:
        start = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        if order is None:
            return
        big = struct.unpack_from(order + "H", start, 2)[0] == 43
        number, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
        (page,) = struct.unpack_from(order + offset, start, 8 if big else 4)
        seen = set()
        while page and page not in seen:
            seen.add(page)
            stream.seek(page)
            (entries,) = struct.unpack(order + number, stream.read(struct.calcsize(number)))
            stream.seek(entries * entry, 1)
            (page,) = struct.unpack(order + offset, stream.read(struct.calcsize(offset)))
