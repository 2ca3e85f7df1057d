"""TorchInstallation: whether PyTorch is complete on disk, found out without importing it into Slicer's process."""

from __future__ import annotations

import csv
import importlib.metadata
import re
import sysconfig
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from slicer.i18n import tr as _

REQUIREMENT = ">=2.4"
_SOURCES = {"torch/__init__.py", "torch/version.py"}
_LIBRARY = re.compile(r"torch/.+\.(so|so\..+|dylib|dll|pyd)")
_CORE = re.compile(r"torch/_C\b[^/]*\.(so|pyd)")


class TorchState(Enum):
    """What can be said about an installation."""

    Usable = "usable"
    Missing = "missing"
    Damaged = "damaged"
    Outdated = "outdated"


@dataclass(frozen=True)
class TorchInstallation:
    """PyTorch as it lies on disk.

    Attributes:
        state: whether it can be used.
        problem: what is wrong in one clause without a period, translated; '' if nothing is.
        folder: the folder Python installs packages into.
    """

    state: TorchState
    problem: str
    folder: Path

    @classmethod
    def find(cls, folder: str | Path | None = None) -> TorchInstallation:
        """Look at the installation in a folder, by default at the one that Python would import."""
        site = Path(folder or sysconfig.get_path("purelib"))
        path = {} if folder is None else {"path": [str(folder)]}
        found = list(importlib.metadata.distributions(name="torch", **path))
        if not found:
            # What an interrupted removal leaves: Python imports it as an empty package without complaint.
            if (site / "torch").is_dir():
                message = _("PyTorch is installed only in part: a folder without its description was left in {folder}")
                return cls(TorchState.Damaged, message.format(folder=site), site)
            return cls(TorchState.Missing, _("PyTorch is not installed"), site)
        first, *others = found
        if any(other.locate_file("") == first.locate_file("") for other in others):
            return cls(TorchState.Damaged, _("Two versions of PyTorch are mixed in one folder"), site)
        version = first.metadata["Version"] if first.read_text("METADATA") else None
        defect = _defect(first) if version else _("its description is missing")
        if defect:
            message = _("PyTorch is installed only in part ({defect})")
            return cls(TorchState.Damaged, message.format(defect=defect), site)
        if not _satisfies(version):
            message = _("PyTorch {version} is too old (MedGAN needs {requirement})")
            return cls(TorchState.Outdated, message.format(version=version, requirement=REQUIREMENT), site)
        return cls(TorchState.Usable, "", site)

    def remains(self) -> list[Path]:
        """Its folders: the package and its description."""
        return [path for path in [self.folder / "torch", *self.folder.glob("torch-*.dist-info")] if path.is_dir()]


def _satisfies(version: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(REQUIREMENT).contains(version, prereleases=True)


def _defect(distribution: importlib.metadata.Distribution) -> str:
    """What is missing or cut short of the files without which nothing works; '' if nothing is.

    Read from the list itself: ``Distribution.files`` leaves out what is missing since Python 3.12.
    """
    record = distribution.read_text("RECORD")
    if not record:
        return _("the list of its files is missing")
    sizes = {row[0].replace("\\", "/"): row[2] for row in csv.reader(record.splitlines()) if len(row) == 3}
    if not any(_CORE.fullmatch(name) for name in sizes):
        return _("the list of its files is not complete")
    for name in sorted(_SOURCES | {name for name in sizes if _LIBRARY.fullmatch(name)}):
        try:
            size = Path(distribution.locate_file(name)).stat().st_size
        except OSError:
            return _("{file} is missing").format(file=name)
        if sizes.get(name, "").isdigit() and size < int(sizes[name]):
            return _("{file} is cut short").format(file=name)
    return ""
