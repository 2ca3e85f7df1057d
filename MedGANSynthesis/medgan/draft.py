"""A dataset in the making: a folder of cases that are added, looked at, corrected, and at last become a dataset.

Every change is on disk at once, so a draft outlives the program that makes it, and two programs may work on one draft:
a panel in which a person decides, and a process that prepares the cases.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import draft_finish, draft_splits
from .dataset import SPLITS
from .disk_space import DiskFull, require_space
from .draft_build import prepare
from .draft_case import DraftCase, digest_of
from .draft_checks import affine_matrix
from .draft_input import DraftInput, Image, read_mask
from .draft_settings import REGISTERED, DraftSettings
from .draft_store import DraftStore
from .draft_view import DraftView
from .errors import InputError
from .files import make_folder
from .pairs import file_name
from .splitting import FRACTIONS
from .studies import without_path

if TYPE_CHECKING:
    from .dataset import Dataset
    from .pairs import Candidate

Progress = Callable[[float, str], None]


class Draft(DraftView):
    """A dataset in the making.

    Nothing is kept in memory: what the properties tell is what the folder holds at that moment.

    Example:
        >>> draft = Draft.create("heads", "mr-to-ct", licence="CC0-1.0")  # doctest: +SKIP
        >>> draft.add(mr, ct, patient="p1")  # doctest: +SKIP
        >>> draft.build_all()  # doctest: +SKIP
        >>> draft.accept("case-001")  # doctest: +SKIP
        >>> dataset = draft.finish()  # doctest: +SKIP
    """

    @classmethod
    def create(
        cls, folder: str | Path, task: str, *, register: str | None = None, paired: bool | None = None, **settings: Any
    ) -> Draft:
        """A new draft without cases.

        Args:
            folder: is made; it must hold neither a draft nor a dataset.
            register: "rigid", "affine", "bspline", "" to believe the headers, None for what is usual for the task.
            paired: None for what is usual for the task.
            settings: other fields of :class:`~medgan.draft_settings.DraftSettings`: degrade, dose, factor (``"1x1x4"``
                is i x j x k), resolution_kind, grey_kind, find_masks, seed, description, licence, threshold.

        Raises:
            InputError: the folder is taken or cannot be written to, or a setting is unknown or does not fit the task.
        """
        folder = Path(folder)
        paired = not task.endswith("unpaired") if paired is None else paired
        if register is None:
            register = REGISTERED.get(task, "") if paired and not settings.get("degrade") else ""
        wrong = [name for name in settings if name not in DraftSettings.names()]
        if wrong:
            raise InputError(f"A draft has no setting {wrong[0]}; there are {', '.join(DraftSettings.names())}.")
        chosen = DraftSettings(task, paired=paired, register=register, **settings)
        for name in ("draft.json", "dataset.json"):
            if (folder / name).exists():
                raise InputError(f"{folder} already holds a dataset ({name}); choose another folder, or open this one.")
        make_folder(folder)
        store = DraftStore(folder)
        store.write_head({"salt": secrets.token_hex(16), "settings": chosen.to_dict()})
        return cls(store)

    @classmethod
    def load(cls, folder: str | Path) -> Draft:
        """The draft in a folder, wherever that was moved to.

        Raises:
            InputError: there is none, its settings are damaged, or it is of a newer MedGAN. Damaged cases are no
                error: they are in the list as failed, with what to do.
        """
        draft = cls(DraftStore(Path(folder)))
        draft.settings  # noqa: B018 - refuses what cannot be read
        draft._store.tidy()
        return draft

    def change(self, **settings: Any) -> None:
        """Set fields of :attr:`settings`; cases that were prepared otherwise wait to be prepared again.

        Raises:
            InputError: there is no such setting, it cannot be changed, or the value is wrong.
        """
        changed = self.settings.changed(**settings)
        self._store.change_head(lambda head: head.update(settings=changed.to_dict()))

    def add(
        self,
        source: Image | None,
        target: Image | None = None,
        *,
        patient: str = "",
        id: str | None = None,
        name: str = "",
        mask: Image | None = None,
        identity: Mapping[str, Mapping[str, str]] | None = None,
        split: str = "",
        allow_different_patients: bool = False,
        assume_hu: bool = False,
    ) -> DraftCase:
        """Check a pair and copy it into the folder; it waits to be prepared.

        Args:
            source, target: volumes, image files or DICOM folders. Where sources are made by degradation, one of them;
                in an unpaired draft either a source or a target.
            patient: name or pseudonym of the patient; may be left out where a header names one.
            id: wished name of the case, by default a number; the result tells which it has got.
            name: what people call it.
            mask: not 0 in the body, on any grid.
            identity: DICOM identifiers by role, ``{"source": {"PatientID": ..., "StudyInstanceUID": ...,
                "SeriesInstanceUID": ...}}``; read from the headers of DICOM files. Only pseudonyms are stored.
            split: "train", "validation", "test", or "" to be drawn.
            allow_different_patients: the answer to ``DifferentPatients``. assume_hu: the answer to ``UnitsUnknown``.

        Raises:
            DifferentPatients: source and target have different PatientIDs.
            UnitsUnknown: a CT does not say that its values are Hounsfield units.
            DiskFull: the disk has no room for them.
            InputError: they cannot become a case, one sentence; nothing was changed.
        """
        given = DraftInput(
            source, target, mask, patient, name, identity or {}, split, allow_different_patients, assume_hu
        )
        return self._add(given, id)

    def add_candidates(
        self, candidates: Iterable[Candidate], progress: Progress | None = None, **answers: bool
    ) -> tuple[list[DraftCase], list[dict[str, str]]]:
        """Add what :mod:`~medgan.pairs` or :mod:`~medgan.studies` found.

        Args:
            progress: called with (fraction, message); an exception it raises stops, what was added stays.
            answers: ``allow_different_patients``, ``assume_hu``.

        Returns:
            the cases, and ``{"id", "reason"}`` of each candidate that cannot be one.

        Raises:
            DiskFull: the disk is full; what was added stays.
        """
        added, failed, candidates = [], [], list(candidates)
        for number, candidate in enumerate(candidates):
            if progress is not None:
                progress(number / len(candidates), f"Adding {candidate.id} ({number + 1} of {len(candidates)})")
            try:
                added.append(self._add(DraftInput.of_candidate(candidate, **answers), candidate.id))
            except InputError as error:
                if isinstance(error, DiskFull):
                    raise
                reason = str(error)
                if candidate.source_series is not None:  # folders of DICOM studies often are named after the patient
                    reason = without_path(reason, candidate.source, candidate.id)
                failed.append({"id": candidate.id, "reason": reason})
        return added, failed

    def build(self, id: str, progress: Progress | None = None) -> DraftCase:
        """Prepare a case (register, resample, degrade, find the body), also one that is prepared already.

        Returns:
            the case; it is "failed", with the reason, if its images cannot be used.

        Raises:
            InputError: there is no such case, or the disk is full; what was there before stays.
        """
        if not self.case(id).raw:
            raise InputError(self.case(id).reason)
        self._build(id, progress or (lambda fraction, message: None))
        return self.case(id)

    def build_all(self, progress: Progress | None = None) -> tuple[DraftCase, ...]:
        """Prepare every waiting case.

        Args:
            progress: called with (fraction, message); an exception it raises stops, what was prepared stays.
        """
        waiting = [one for one in self.cases if one.state == "waiting"]
        for number, one in enumerate(waiting):
            where = f"{one.id} ({number + 1} of {len(waiting)})"

            def tell(fraction: float, message: str, number: int = number, where: str = where) -> None:
                if progress is not None:
                    progress((number + fraction) / len(waiting), f"{message}: {where}")

            with self._store.unless_removed(one.id):
                self._build(one.id, tell)
        return self.cases

    def accept(self, id: str) -> DraftCase:
        """Use a pair whatever its score."""
        return self._decide(id, accepted=True, rejected="")

    def reject(self, id: str, reason: str = "") -> DraftCase:
        """Leave a case out."""
        return self._decide(id, accepted=False, rejected=reason)

    def undecide(self, id: str) -> DraftCase:
        """Go by the score again."""
        return self._decide(id, accepted=None, rejected="")

    def adjust(self, id: str, transform: Any, *, build: bool = True, progress: Progress | None = None) -> DraftCase:
        """Lay the target onto the source by a transform that a person set, in place of the registration.

        Args:
            transform: 4x4 from points of the source to points of the target, RAS mm; None to register again.
            build: prepare the case at once; else it waits.

        Raises:
            InputError: the case has no pair, or this is no invertible affine matrix.
        """
        if transform is not None:
            transform = affine_matrix(transform).tolist()
            if not {"source", "target"} <= set(self.case(id).raw):
                raise InputError(f"Case {id} has one image only, so there is nothing to adjust.")
        self._decide(id, transform=transform)
        return self.build(id, progress) if build else self.case(id)

    def set_mask(self, id: str, mask: Image | None) -> DraftCase:
        """Take a mask (not 0 in the body, on any grid) instead of the body that is found; None: have it found again.

        The case waits to be prepared again.
        """
        file = "" if mask is None else self._store.add_mask(id, read_mask(mask))
        case = self._decide(id, mask=file)
        self._store.drop_masks(id, keep=file)
        return case

    def remove(self, id: str) -> None:
        """Take a case out of the draft and delete its files."""
        self._store.remove(id)

    def set_split(self, id: str, split: str) -> DraftCase:
        """Put all cases of a patient into "train", "validation" or "test", or have it drawn (``""``)."""
        if split not in ("", *SPLITS):
            raise InputError(f"There is no split '{split}'; it must be one of {', '.join(SPLITS)}.")
        self.case(id)
        for other in draft_splits.same_patient(self, id):
            self._decide(other, split=split)
        return self.case(id)

    def assign_splits(self, seed: int | None = None, fractions: Sequence[float] = FRACTIONS) -> None:
        """Draw the splits of all cases anew, by patient.

        Args:
            seed: None for that of the settings. fractions: shares of train, validation and test.
        """
        for id, split in draft_splits.drawn(self, seed, fractions).items():
            self._decide(id, split=split)

    def problems(self) -> list[str]:
        """What a person should know of the whole, one sentence each; first what :meth:`finish` would refuse."""
        return [*self.obstacles(), *draft_finish.remarks(self)]

    def obstacles(self) -> list[str]:
        """What :meth:`finish` would refuse, one sentence each."""
        return draft_finish.obstacles(self)

    def finish(self) -> Dataset:
        """Write ``dataset.json`` of the cases that are used; splits that are not set are drawn.

        The draft can be changed and finished again.

        Raises:
            InputError: the first of :meth:`obstacles`, or the dataset cannot be written.
        """
        dataset = draft_finish.dataset_of(self)
        dataset.save()
        for case in dataset.cases:
            if self.case(case.id).split != case.split:
                self._decide(case.id, split=case.split)
        self._store.drop_all_unused()
        return dataset

    @property
    def threshold(self) -> float:
        """Least quality of the alignment, 0 to 1, that is accepted without a person's word."""
        return self.settings.threshold

    @threshold.setter
    def threshold(self, quality: float) -> None:
        self.change(threshold=float(quality))

    def _add(self, given: DraftInput, id: str | None) -> DraftCase:
        mask = None if given.mask is None else read_mask(given.mask)
        content, images = given.read(self.settings, self.pseudonym)
        for other in self._store.ids():
            if self._store.sha256(other) == content["sha256"]:
                raise InputError(f"These images are already in the draft, as case {other}.")
        if mask is not None:
            content["mask"] = "mask.nrrd"
            images["mask"] = mask
        require_space(self.folder, sum(volume.array.nbytes for volume in images.values()))
        return self.case(self._store.add(file_name(id) if id else self._store.next_id(), content, images))

    def _build(self, id: str, progress: Progress) -> None:
        options = self.settings.case_options()
        content = self._store.case(id)
        digest = digest_of(content, options)
        result = prepare(self._store, id, content, options, digest, progress)
        self._store.write_result(
            id, result, lambda: digest_of(self._store.case(id), self.settings.case_options()) == digest
        )
        self._store.drop_unused(id)

    def _decide(self, id: str, **values: Any) -> DraftCase:
        self._store.change_case(id, lambda content: content.update(values))
        return self.case(id)
