"""ScenePairs: which volumes of a scene belong together, by subject hierarchy or by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import slicer
from medgan.errors import InputError
from MedGANSynthesisLib.nodes import IMAGE_CLASSES, modalityAndUnits, nodeName
from slicer.i18n import tr as _

from .CaseNodes import isOfCase
from .Identity import ancestor, identityOf, patientNameOf
from .NamePattern import patternsOf

RULES = ("study", "patient", "name")
_MOST_GUESSES = 20  # of one study: more is a wrong rule


@dataclass(frozen=True)
class ScenePair:
    """Volume nodes that may become a case.

    Attributes:
        source, target: the nodes; one of them is None where the case is made of one volume.
        patient: what the patient is to be called in the dataset; '' where the DICOM patient ID says who it is, which
            the dataset turns into a pseudonym, and where nothing does.
        patientName: what the scene calls the patient, for the screen only.
        identity: DICOM identifiers of "source" and "target", see ``identityOf``.
        problems: sentences on why the pair may be none; the user decides.
    """

    source: Any
    target: Any = None
    patient: str = ""
    patientName: str = ""
    identity: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def pairsInScene(
    rule: str = "study",
    sourcePattern: str = "",
    targetPattern: str = "",
    *,
    modalities: tuple[str, str] = ("", ""),
    single: bool = False,
    scene=None,
    onePatient: bool = False,
) -> list[ScenePair]:
    """The pairs of a scene.

    Args:
        rule: "study" or "patient": both volumes stand under the same item of the subject hierarchy (for "study" any
            folder will do); "name": the parts in braces of their names are the same.
        sourcePattern, targetPattern: names of sources and targets, see ``NamePattern``. Where they are empty the
            modality tells which is which.
        modalities: DICOM modality codes of source and target.
        single: each volume is a case of its own; it is a target if its name or else its modality says so.
        scene: default the one the user sees.
        onePatient: volumes that stand under no item belong together, as in a scene that was saved per patient.

    Returns:
        the pairs in the order of the scene; doubtful ones name their ``problems``.

    Raises:
        InputError: the rule or a pattern is not understood, or there is no pair.
    """
    if rule not in RULES:
        raise InputError(_("There is no rule {rule}; use {known}.").format(rule=rule, known=", ".join(RULES)))
    patterns = patternsOf(sourcePattern, targetPattern, needed=rule == "name" and not single)
    nodes = imagesOf(scene or slicer.mrmlScene)
    if not nodes:
        raise InputError(_("The scene holds no volumes; load the images first."))
    if single:
        pairs = _alone(nodes, patterns, modalities)
    elif rule == "name":
        pairs = _byName(nodes, patterns)
    else:
        pairs = _byHierarchy(_groups(nodes, rule, onePatient), patterns, modalities)
    if not pairs:
        raise InputError(_noPairs(rule, single))
    return pairs


def imagesOf(scene) -> list:
    """The gray-value and color images of a scene that hold voxels, without those that show a case."""
    return [
        node
        for node in volumesOfScene(scene)
        if node.GetClassName() in IMAGE_CLASSES
        and node.GetImageData() is not None
        and node.GetImageData().GetNumberOfPoints() > 0
        and not isOfCase(node)
    ]


def volumesOfScene(scene) -> list:
    """All volume nodes of a scene; ``slicer.util.getNodesByClass`` looks into the open scene whatever it is told."""
    collection = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    collection.UnRegister(None)
    return [collection.GetItemAsObject(index) for index in range(collection.GetNumberOfItems())]


def pairOf(sourceNode, targetNode=None, patient: str = "", problems: Iterable[str] = ()) -> ScenePair:
    """The pair of two nodes (or one), with what the scene knows of them; two DICOM patients are a problem."""
    nodes = {role: node for role, node in (("source", sourceNode), ("target", targetNode)) if node is not None}
    identity = {role: found for role, found in ((role, identityOf(node)) for role, node in nodes.items()) if found}
    shown = next(filter(None, map(patientNameOf, nodes.values())), "")
    patientIDs = {one["PatientID"] for one in identity.values() if "PatientID" in one}
    found = list(problems)
    if len(patientIDs) > 1:
        found.append(_("Source and target are images of different patients, by their DICOM patient IDs."))
    if not patient and not patientIDs:
        patient = shown  # a folder stands for a patient where nothing else does
    return ScenePair(sourceNode, targetNode, patient, patient or shown, identity, tuple(found))


def _alone(nodes: list, patterns, modalities: tuple[str, str]) -> list[ScenePair]:
    """Each node as a case of its own; without patterns the modality tells sources from targets, if it can."""
    pairs = []
    for node in nodes:
        fits = [pattern is not None and pattern.match(nodeName(node)) is not None for pattern in patterns]
        isTarget = fits[1] and not fits[0]
        if not any(patterns):
            fits[0] = True
            isTarget = len(set(modalities)) == 2 and modalityAndUnits(node)[0] == modalities[1]
        if any(fits):
            pairs.append(pairOf(None, node) if isTarget else pairOf(node))
    return pairs


def _byName(nodes: list, patterns) -> list[ScenePair]:
    shared = patterns[0].names & patterns[1].names
    found: tuple[dict, dict] = ({}, {})
    for node in nodes:
        for side, pattern in zip(found, patterns, strict=True):
            parts = pattern.match(nodeName(node))
            if parts is not None:
                side.setdefault(tuple(parts[name].lower() for name in sorted(shared)), []).append((node, parts))
    pairs = []
    for key, sources in found[0].items():
        targets = found[1].get(key, ())
        problems = [] if len(sources) == len(targets) == 1 else [_("Several volumes fit the pattern.")]
        for source, parts in sources:
            patient = parts.get("patient") or "-".join(parts[name] for name in sorted(shared))
            pairs += [pairOf(source, target, patient, problems) for target, _parts in targets if target is not source]
    return pairs


def _byHierarchy(groups: list[list], patterns, modalities: tuple[str, str]) -> list[ScenePair]:
    pairs = []
    for group in groups:
        sources, targets, doubt = _roles(group, patterns, modalities)
        possible = [(source, target) for source in sources for target in targets if source is not target]
        problems = [doubt] if doubt else []
        if len(possible) > 1:
            problems.append(
                _("{count} volumes of this group may be partners; tick the right ones.").format(count=len(group))
            )
        pairs += [pairOf(source, target, problems=problems) for source, target in possible[:_MOST_GUESSES]]
    return pairs


def _groups(nodes: list, rule: str, onePatient: bool) -> list[list]:
    """The nodes that stand under one study, patient or, where there is no such item, folder; else all the others."""
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    level = constants.GetDICOMLevelStudy() if rule == "study" else constants.GetDICOMLevelPatient()
    groups: dict[int, list] = {}
    for node in nodes:
        hierarchy = node.GetScene().GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(node)
        parent = hierarchy.GetItemParent(item) if item else hierarchy.GetInvalidItemID()
        over = ancestor(hierarchy, item, level) if item else 0
        if not over and rule == "study" and parent not in (hierarchy.GetInvalidItemID(), hierarchy.GetSceneItemID()):
            over = parent
        if over or onePatient:
            groups.setdefault(over, []).append(node)
    return list(groups.values())


def _roles(group: list, patterns, modalities: tuple[str, str]) -> tuple[list, list, str]:
    """Which of a group may be sources and which targets, and what is doubtful about it ('' for nothing)."""
    if any(patterns):
        first, second = (_fitting(group, *role) for role in zip(patterns, modalities, strict=True))
        sources = first if patterns[0] else [node for node in first if node not in second]
        targets = second if patterns[1] else [node for node in second if node not in first]
        return sources, targets, ""
    if len(set(modalities)) == 2:
        known = {node.GetID(): modalityAndUnits(node)[0] for node in group}
        sources = [node for node in group if known[node.GetID()] == modalities[0]]
        targets = [node for node in group if known[node.GetID()] == modalities[1]]
        unknown = [node for node in group if not known[node.GetID()]]
        if sources and targets:
            return sources, targets, ""
        if len(unknown) == 1 and (sources or targets):
            doubt = _("The modality of '{name}' is not known; check that it is the right image.")
            doubt = doubt.format(name=nodeName(unknown[0]))
            return sources or unknown, targets or unknown, doubt if len(group) > 2 else ""
        if sources or targets or len(unknown) < 2:
            return [], [], ""
    if len(group) == 2:
        doubt = _("Which of the two is the source is a guess by their order; patterns for their names would tell.")
        return group[:1], group[1:], doubt
    return group, group, ""


def _fitting(group: list, pattern, modality: str) -> list:
    """By name where there is a pattern, else all whose modality is right or not known."""
    if pattern is not None:
        return [node for node in group if pattern.match(nodeName(node)) is not None]
    return [node for node in group if not modality or modalityAndUnits(node)[0] in ("", modality)]


def _noPairs(rule: str, single: bool) -> str:
    if single:
        return _("No volume of the scene fits the pattern; change the pattern.")
    if rule == "name":
        return _("No two volumes of the scene fit the patterns; change the patterns or add the pairs by hand.")
    if rule == "patient":
        return _("No patient of the subject hierarchy has a source and a target; use another rule, or add by hand.")
    return _("No study or folder of the subject hierarchy holds a source and a target; use another rule.")
