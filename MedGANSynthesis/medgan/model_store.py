"""The bundles on this computer: what is installed, from where, how large; installing and removing them.

Used inside Slicer's process, so nothing heavy is imported: what is checked on installation is the structure, the
metadata and the hash of the weights; ``Bundle.verify`` runs the network too, in the process that computes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import bundle as bundles
from .bundle import Bundle
from .bundle_search import TRAINED, bundle_folders, search_folders, user_folders
from .download import Progress, download, normalized_sha256
from .errors import BundleError, InputError, MedGANError
from .files import file_sha256, make_folder
from .manifest import is_folder_safe
from .verification import check_files
from .zip_check import refuse_outside

MOST_BYTES = 8 * 2**30
MOST_FILES = 200
_IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "__pycache__")
_WEIGHTS = {bundles.WEIGHTS, *bundles.NETWORKS.values()}
_LARGE = {*_WEIGHTS, bundles.SELFTEST}
_FILES = {*_LARGE, "LICENSE", "NOTICE"}
_FOLDERS = {"configs": (".json", ".yaml"), "docs": (".md", ".txt", ".png", ".jpg", ".svg", ".pdf", ".csv", ".json")}
_MOST_TEXT_BYTES = 64 * 2**20
"""Of a file that is no weights: metadata are read into the memory of Slicer."""
_INCOMING = ".incoming-"
_ABANDONED_S = 24 * 3600.0


@dataclass(frozen=True, eq=False)
class Installed:
    """A bundle on this computer.

    Args:
        path: its folder.
        origin: "shipped", "user" or "trained" (on this computer).
        bytes: on disk.
        removable: whether :func:`remove` may delete it.
        bundle: what it is, None if it is damaged; then ``error`` says how, in one sentence.
        shadowed: another of the same name, found before it, is used instead.
    """

    path: Path
    origin: str
    bytes: int
    removable: bool
    bundle: Bundle | None
    error: str = ""
    shadowed: bool = False

    @property
    def name(self) -> str:
        """The bundle's name, or that of its folder."""
        return self.bundle.name if self.bundle else self.path.name


def user_folder() -> Path:
    """Where bundles are installed: the first folder of ``$MEDGAN_MODELS``, else ``~/.medgan/models``."""
    return user_folders()[0]


def trained_folder() -> Path:
    """Where bundles trained on this computer belong."""
    return user_folder() / TRAINED


def installed() -> list[Installed]:
    """All bundles in the search folders, damaged ones included, in the order in which they are looked for."""
    own = {folder.resolve() for folder in user_folders()}
    found, names, seen = [], set(), set()
    for folder in search_folders():
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        trained = folder.name == TRAINED and folder.parent.resolve() in own
        origin = "trained" if trained else "user" if folder.resolve() in own else "shipped"
        for path in bundle_folders(folder):
            entry = _installed(path, origin, names)
            found.append(entry)
            if entry.bundle is not None:
                names.add(entry.name)
    return found


def disk_use(entries: list[Installed]) -> int:
    """Bytes of bundles that can be removed."""
    return sum(entry.bytes for entry in entries if entry.removable)


def install_folder(folder: str | Path, *, replace: bool = False) -> Installed:
    """Copy a bundle's folder to the user's bundles.

    Args:
        replace: put it in the place of one of the same name; otherwise that is refused.

    Raises:
        BundleError: it is no whole bundle. InputError: there is one of its name, or it cannot be written.
    """
    folder = Path(folder)
    Bundle.load(folder)

    def copy(beside: Path) -> None:
        files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        for name in _belonging(files):
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, beside / name)

    with _incoming() as room:
        return _install(copy, room, folder, replace)


def install_zip(path: str | Path, *, replace: bool = False, sha256: str | None = None) -> Installed:
    """Unpack a bundle that was packed with or without its folder; see :func:`install_folder`.

    Args:
        sha256: what the file must have, if it is known.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if sha256 is not None and normalized_sha256(sha256) != (measured := file_sha256(path)):
        raise InputError(f"{path.name} is not the file that was meant: its SHA-256 is {measured}; get it again.")
    with _incoming() as room:
        return _install_zip(path, room, replace)


def install_url(
    url: str,
    sha256: str,
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    replace: bool = False,
    schemes: tuple[str, ...] = ("https",),
) -> Installed:
    """Download a packed bundle and install it; see :func:`medgan.download.download` and :func:`install_folder`.

    Nothing is unpacked before the SHA-256 of the download was found to be right.
    """
    normalized_sha256(sha256)
    with _incoming() as room:
        packed = room / "download.zip"
        download(url, packed, sha256, progress=progress, cancelled=cancelled, schemes=schemes)
        return _install_zip(packed, room, replace)


def remove(entry: Installed) -> None:
    """Delete an installed bundle.

    Raises:
        InputError: it was shipped with MedGAN, or the system does not let us.
    """
    if not entry.removable:
        raise InputError(f"'{entry.name}' was not installed by you, so it cannot be removed here.")
    try:
        if entry.path.is_symlink():
            entry.path.unlink()
            return
        # out of the way first: a folder that is half deleted would be a damaged bundle
        away = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=entry.path.parent))
        try:
            os.replace(entry.path, away / entry.path.name)
        finally:
            shutil.rmtree(away, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"'{entry.name}' could not be removed ({error.strerror}); close what uses it and try again."
        ) from error


def _installed(path: Path, origin: str, names: set[str]) -> Installed:
    try:
        bundle, error, size = Bundle.load(path), "", 0
    except BundleError as damage:
        bundle, error, size = None, str(damage), 0
    with contextlib.suppress(FileNotFoundError):  # somebody is removing it right now
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    removable = origin != "shipped" and os.access(path.parent, os.W_OK)
    return Installed(path, origin, size, removable, bundle, error, bundle is not None and bundle.name in names)


@contextlib.contextmanager
def _incoming() -> Iterator[Path]:
    """A hidden folder beside the bundles, on the same disk, that goes in the end; what a crash left behind goes too."""
    folder = user_folder()
    make_folder(folder)
    for leftover in folder.glob(f"{_INCOMING}*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(leftover)
    room = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=folder))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _install_zip(path: Path, room: Path, replace: bool) -> Installed:
    def unpack(beside: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, beside, path.name)
        except (MedGANError, OSError):
            raise
        except Exception as error:  # zipfile lets through whatever the methods of compression raise
            raise InputError(f"{path.name} is damaged, encrypted or no zip file; get it again.") from error

    return _install(unpack, room, path, replace)


def _install(fill: Callable[[Path], None], room: Path, source: Path, replace: bool) -> Installed:
    """Fill a folder, check it, and move it to its place."""
    beside = room / "bundle"
    try:
        beside.mkdir()
        fill(beside)
        bundle = _checked(beside, source)
        place = user_folder() / bundle.name
        older = _same_name(bundle.name, place, replace)
        if place.exists():
            os.replace(place, room / "before")
        try:
            os.replace(beside, place)
        except OSError:
            if (room / "before").exists():
                os.replace(room / "before", place)
            raise
        for entry in older:
            remove(entry)
    except OSError as error:
        raise InputError(
            f"The model could not be installed in {user_folder()} ({error.strerror or error}); "
            "free disk space or choose another folder."
        ) from error
    return next(entry for entry in installed() if entry.path == place)


def _checked(folder: Path, source: Path) -> Bundle:
    """The bundle in a folder, told by the name of where it came from if something is wrong."""
    try:
        bundle = Bundle.load(folder)
        check_files(bundle)
    except BundleError as error:
        raise BundleError(str(error).replace(str(folder), str(source))) from error
    if not is_folder_safe(bundle.name) or bundle.name.lower() == TRAINED:
        raise BundleError(f"{source} calls its model {bundle.name!r}, which is no name for a folder; get it elsewhere.")
    return bundle


def _same_name(name: str, place: Path, replace: bool) -> list[Installed]:
    """Installed bundles elsewhere in the user's folder that the new one takes the place of.

    Raises:
        InputError: there is one of the name that is not to be replaced, or something that is no bundle at its place.
    """
    taken = [entry for entry in installed() if name in (entry.name, entry.path.name)]
    if taken and not replace:
        raise InputError(f"There is already a model named '{name}' ({taken[0].origin}); say that it is to be replaced.")
    if place.exists() and place not in [entry.path for entry in taken]:
        raise InputError(f"{place} is in the way and no model; move it elsewhere.")
    return [entry for entry in taken if entry.path.parent == place.parent and entry.path != place]


def _belonging(names: Iterable[str]) -> list[str]:
    """Those of the files (relative, forward slashes) that are part of a bundle; no pickle beside proper weights."""
    parts = {name: PurePosixPath(name) for name in names}
    chosen = [
        name
        for name, path in parts.items()
        if name in _FILES or (len(path.parts) == 2 and path.suffix.lower() in _FOLDERS.get(path.parts[0], ()))
    ]
    if _WEIGHTS.isdisjoint(chosen):  # what it has instead, so that the reason why it is refused can be named
        chosen += [name for name, path in parts.items() if path.parts[0] == "models" and path.suffix in bundles.PICKLES]
    return sorted(chosen)


def _unpack(archive: zipfile.ZipFile, folder: Path, source: str) -> None:
    """Write the files of a bundle, and only those, at the sizes that they really have."""
    entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    wanted = {name: entry for name, entry in entries.items() if not set(PurePosixPath(name).parts) & set(_IGNORED)}
    refuse_outside(wanted, source)
    tops = [name.removesuffix("configs/metadata.json") for name in wanted if name.endswith("configs/metadata.json")]
    if len(tops) != 1 or tops[0].count("/") > 1 or (tops[0] and not tops[0].endswith("/")):
        raise BundleError(f"{source} holds no model, or several: it needs one folder with configs/metadata.json.")
    if len(wanted) > MOST_FILES:
        raise InputError(f"{source} holds {len(wanted)} files, more than any model; do not trust it.")
    left = min(MOST_BYTES, shutil.disk_usage(folder).free)
    for name in _belonging(name.removeprefix(tops[0]) for name in wanted if name.startswith(tops[0])):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        most = left if name in _LARGE else min(left, _MOST_TEXT_BYTES)
        with archive.open(wanted[tops[0] + name]) as packed, (folder / name).open("wb") as stream:
            while piece := packed.read(1 << 20):  # the sizes that the zip states need not be true
                left, most = left - len(piece), most - len(piece)
                if most < 0:
                    raise InputError(f"{source} is larger when unpacked than the disk or any model; free disk space.")
                stream.write(piece)
