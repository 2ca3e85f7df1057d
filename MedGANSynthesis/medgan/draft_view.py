"""A draft as its folder holds it at this moment."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .draft_case import DraftCase, assembled
from .draft_settings import DraftSettings
from .draft_store import DraftStore
from .errors import InputError
from .volume import Volume


class DraftView:
    """What can be asked of a draft; nothing here changes it.

    Args:
        store: its folder.
    """

    def __init__(self, store: DraftStore):
        self._store = store
        self.folder = store.folder

    @property
    def settings(self) -> DraftSettings:
        """What it is for and how its cases are made."""
        head = self._store.head()
        try:
            return DraftSettings.from_dict(dict(head["settings"]))
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.folder / 'draft.json'} is damaged ({error}); restore it from a copy.") from error

    @property
    def task(self) -> str:
        """The task it is for."""
        return self.settings.task

    @property
    def salt(self) -> bytes:
        """Secret of this draft, for :func:`medgan.studies.from_studies`; it is in no dataset."""
        return bytes.fromhex(self._store.head()["salt"])

    def pseudonym(self, identifier: str) -> str:
        """What an identifier of the patient (PatientID, a DICOM UID) is called in this draft; ``""`` of ``""``."""
        return "patient-" + hashlib.sha256(self.salt + identifier.encode()).hexdigest()[:12] if identifier else ""

    @property
    def cases(self) -> tuple[DraftCase, ...]:
        """All cases, in the order in which they were added."""
        settings = self.settings
        found = [self._case(id, settings) for id in self._store.ids()]
        return tuple(case for _, case in sorted(filter(None, found), key=lambda pair: pair[0]))

    def case(self, id: str) -> DraftCase:
        """One case.

        Raises:
            InputError: there is none of this id.
        """
        found = self._case(id, self.settings) if id in self._store.ids() else None
        if found is None:
            raise InputError(f"The draft {self.folder} has no case {id}.")
        return found[1]

    def path(self, relative: str) -> Path:
        """Where a file of a case lies."""
        return self.folder / relative

    def volume(self, id: str, role: str, raw: bool = False) -> Volume | None:
        """The "source", "target" or "mask" of a case, as prepared or as added; None if there is none.

        Raises:
            InputError: it cannot be read.
        """
        from .image_io import read_volume

        case = self.case(id)
        prepared = {"source": case.source, "target": case.target, "mask": case.mask}
        relative = (case.raw if raw else prepared).get(role, "")
        return read_volume(self.path(relative))[0] if relative else None

    def raw_sha256(self) -> dict[str, dict[str, str]]:
        """Hashes of the voxels of the images as they were added, by case and role."""
        return {id: self._store.sha256(id) for id in self._store.ids()}

    def factor(self, id: str) -> tuple[int, ...] | None:
        """In how many parts the voxels of the prepared source are cut in the target, along (k, j, i)."""
        factor = (self._store.result(id) or {}).get("factor")
        return None if factor is None else tuple(factor)

    def _case(self, id: str, settings: DraftSettings) -> tuple[float, DraftCase] | None:
        """When a case was added, and the case; None if it was removed just now."""
        try:
            content = self._store.case(id)
            result = self._store.whole_result(id)
            return content["added"], assembled(id, content, result, settings.case_options(), settings.threshold)
        except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
            if id not in self._store.ids():
                return None
            reason = str(error)
            if not isinstance(error, InputError):
                reason = f"cases/{id}/case.json is damaged ({reason}); remove the case and add it again."
            return float("inf"), DraftCase(id, state="failed", reason=reason)
