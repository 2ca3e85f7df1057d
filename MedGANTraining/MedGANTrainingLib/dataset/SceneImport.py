"""SceneImport: pairs from saved scenes, without touching the scene that is open."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import slicer
import vtk
from medgan.draft import Draft
from medgan.draft_case import DraftCase
from medgan.errors import InputError, MedGANError
from medgan.modalities import MODALITIES
from MedGANSynthesisLib.nodes import nodeName
from slicer.i18n import tr as _

from .AddPair import addScenePair
from .ScenePairs import ScenePair, imagesOf, pairsInScene, volumesOfScene

SUFFIXES = (".mrb", ".mrml")

Add = Callable[[ScenePair, str], DraftCase]


def addScenes(
    draft: Draft,
    paths: Iterable[str | Path],
    rule: str = "study",
    sourcePattern: str = "",
    targetPattern: str = "",
    add: Add | None = None,
    onProgress: Callable[[float, str], None] | None = None,
) -> tuple[list[DraftCase], list[dict[str, str]]]:
    """Add the pairs of saved scenes. Doubtful pairs are left out, and so is what is no pair; one bad scene stops none.

    Args:
        paths: .mrb and .mrml files.
        rule, sourcePattern, targetPattern: see ``pairsInScene``.
        add: makes a case of a pair and the name of its scene, default ``addScenePair``.
        onProgress: called with (fraction, message) before each scene.

    Returns:
        the new cases, and ``{"id", "reason"}`` of what was left out, by the name of the scene.
    """
    add = add or (lambda pair, name: addScenePair(draft, pair, name=name))
    tell = onProgress or (lambda fraction, message: None)
    single = bool(draft.settings.degrade) or not draft.settings.paired
    found = {"modalities": MODALITIES.get(draft.task, ("", "")), "single": single, "onePatient": True}
    paths, cases, failed = [Path(path) for path in paths], [], []

    def find(scene) -> list[ScenePair]:
        return pairsInScene(rule, sourcePattern, targetPattern, scene=scene, **found)

    for number, path in enumerate(paths):
        tell(number / len(paths), _("Reading {scene}").format(scene=path.name))
        try:
            _addScene(path, find, add, cases, failed)
        except MedGANError as error:
            failed.append({"id": path.stem, "reason": str(error)})
    return cases, failed


def _addScene(path: Path, find: Callable[[Any], list[ScenePair]], add: Add, cases: list, failed: list) -> None:
    """A function of its own, so that no variable keeps the volumes of a scene while the next one is read."""
    with openedScene(path) as scene:
        _addAll(find(scene), path.stem, add, cases, failed)


@contextlib.contextmanager
def openedScene(path: Path) -> Iterator[Any]:
    """A saved scene as a ``vtkMRMLScene`` of its own, which is gone afterwards. The open scene does not notice.

    Raises:
        InputError: there is no such file, it is no scene, or images of it cannot be read.
    """
    if path.suffix.lower() not in SUFFIXES:
        message = _("{scene} is no saved scene; choose .mrb or .mrml files.")
        raise InputError(message.format(scene=path.name))
    if not path.is_file():
        raise InputError(_("There is no file {path}.").format(path=path))
    scene, messages = slicer.vtkMRMLScene(), slicer.vtkMRMLMessageCollection()
    slicer.mrmlScene.CopyRegisteredNodesToScene(scene)
    scene.SetDataIOManager(slicer.mrmlScene.GetDataIOManager())
    scene.SetCacheManager(slicer.mrmlScene.GetCacheManager())
    scene.SetURIHandlerCollection(slicer.mrmlScene.GetURIHandlerCollection())
    try:
        _read(scene, path, messages)
        yield scene
    finally:
        scene.Clear(1)


def _read(scene, path: Path, messages) -> None:
    """Models or tables that are lost do not matter, images do."""
    if path.suffix.lower() == ".mrb":
        scene.ReadFromMRB(str(path), False, messages)
    else:
        scene.SetURL(str(path))
        scene.Import(messages)
    if imagesOf(scene):
        lost = next((nodeName(node) for node in volumesOfScene(scene) if _isLost(node)), "")
        if lost:
            message = _("The image of '{name}' in {scene} cannot be read; open the scene and save it again.")
            raise InputError(message.format(name=lost, scene=path.name))
    elif messages.GetNumberOfMessagesOfType(vtk.vtkCommand.ErrorEvent):
        reason = messages.GetAllMessagesAsString().splitlines()[0].lstrip("- ").removeprefix("Error: ")
        message = _("{scene} cannot be read ({reason}); open it in Slicer and save it again.")
        raise InputError(message.format(scene=path.name, reason=reason.strip()))


def _isLost(node) -> bool:
    return node.GetStorageNode() is not None and node.GetImageData() is None


def _addAll(pairs: list[ScenePair], name: str, add: Add, cases: list, failed: list) -> None:
    for pair in pairs:
        if pair.problems:
            failed.append({"id": name, "reason": pair.problems[0]})
            continue
        if not pair.patient and not any("PatientID" in one for one in pair.identity.values()):
            pair = dataclasses.replace(pair, patient=name)  # one scene is of one patient, as far as anybody knows
        try:
            cases.append(add(pair, name))
        except MedGANError as error:
            failed.append({"id": name, "reason": str(error)})
