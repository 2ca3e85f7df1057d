"""Header of a derived DICOM series: whose it is, where it comes from, and that no scanner acquired it.

Sources: DICOM PS3.3, C.7.6.1 (General Image: derivation) and C.12.1 (Synthetic Data, Contributing Equipment); PS3.16,
CID 7005, 7202 and 7203.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from . import provenance as origin
from .errors import InputError

STORAGE = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""SOP class of whatever is neither CT nor MR (color slides among them)."""

_OF_THE_PATIENT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
)  # fmt: skip
_OF_THE_STUDY = (
    "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
_OF_THE_SPACE = (
    "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "BodyPartExamined", "Laterality",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
_OF_AN_MR = (
    "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime",
    "EchoTrainLength", "InversionTime", "MagneticFieldStrength",
)  # fmt: skip
_LARGEST_INTEGER = 2**31 - 1  # of the value representation IS
_LONGEST_TEXT = 1024  # of the value representation ST


def series_header(
    modality: str,
    provenance: Mapping[str, str],
    sources: Sequence[Any],
    tags: Mapping[str, str],
    description: str,
) -> Any:
    """What all images of a derived series have in common, as a pydicom data set without pixels.

    Args:
        modality: DICOM code of the result, "" if unknown.
        provenance: see :func:`medgan.provenance.describe`.
        sources: headers of the source images; patient, study and frame of reference are theirs.
        tags: values by keyword that come before those of the sources; empty ones are ignored.
        description: of the series.

    Raises:
        InputError: a tag is to have a value that DICOM cannot hold.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*_OF_THE_PATIENT, *_OF_THE_STUDY, *_OF_THE_SPACE):
        _copy(header, keyword, sources, tags)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
                    "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"):  # fmt: skip
        if keyword not in header:
            setattr(header, keyword, "")  # may be empty, not absent
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if not header.get(keyword):
            setattr(header, keyword, generate_uid(prefix=None))
    now = datetime.datetime.now()
    header.SOPClassUID = STORAGE.get(modality, SECONDARY_CAPTURE)
    header.Modality = modality or "OT"
    header.SeriesInstanceUID = generate_uid(prefix=None)
    _set(header, "SeriesNumber", tags.get("SeriesNumber") or _next_number(sources))
    header.SeriesDescription = " ".join(description.replace("\\", "/").split())[:64]
    header.SeriesDate = header.ContentDate = header.InstanceCreationDate = now.strftime("%Y%m%d")
    header.SeriesTime = header.ContentTime = header.InstanceCreationTime = now.strftime("%H%M%S")
    header.Manufacturer = header.ManufacturerModelName = "MedGAN"
    header.SoftwareVersions = f"MedGAN {provenance.get('MedGANVersion', '')}".strip()
    header.ImageType = ["DERIVED", "SECONDARY", {"CT": "AXIAL", "MR": "OTHER"}.get(modality, "OTHER")]
    header.SyntheticData = "YES"
    header.BurnedInAnnotation = "NO"
    header.LossyImageCompression = header.get("LossyImageCompression") or "00"
    _add_modality(header, modality, sources)
    _add_derivation(header, provenance, modality, sources)
    return header


def derivation_text(provenance: Mapping[str, str]) -> str:
    """The provenance as one text of at most 1024 characters."""
    pairs = [f"{key}: {value}" for key, value in provenance.items() if key != "Note" and value]
    return "; ".join([provenance.get("Note", origin.SYNTHETIC), *pairs])[:_LONGEST_TEXT]


def code(value: str, scheme: str, meaning: str) -> Any:
    """An item of a code sequence."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference(source: Any) -> Any:
    """An item of the Source Image Sequence that names a source image."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [code("121322", "DCM", "Source image for image processing operation")]
    return item


def _copy(header: Any, keyword: str, sources: Sequence[Any], tags: Mapping[str, str]) -> None:
    if tags.get(keyword):
        _set(header, keyword, tags[keyword])
    elif sources and keyword in sources[0]:
        with contextlib.suppress(ValueError, OverflowError):  # "1,80" is no number, though scanners write it
            setattr(header, keyword, _decoded(sources[0].get(keyword)))


def _decoded(value: Any) -> Any:
    """A value as it is; the items of a sequence read in the character set of their source, not in that of the header.

    Raises:
        ValueError: an item holds a number that is none.
    """
    from pydicom.sequence import Sequence as Items

    if not isinstance(value, Items):
        return value
    items = copy.deepcopy(value)
    for item in items:
        for _element in item.iterall():  # read when it is looked at
            pass
    return items


def _set(header: Any, keyword: str, value: str) -> None:
    """A value that the user gave; a date as people write it (1990-01-31) is taken too.

    Raises:
        InputError: it is no number or date where one belongs, or too long.
    """
    from pydicom.config import RAISE
    from pydicom.datadict import dictionary_VR
    from pydicom.valuerep import validate_value

    representation = dictionary_VR(keyword)
    if representation == "DA":
        value = value.replace("-", "")
    try:
        validate_value(representation, value, RAISE)
        setattr(header, keyword, value)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{value!r} is no {keyword} that DICOM can hold; correct it.") from error


def _next_number(sources: Sequence[Any]) -> str:
    """A series number after that of the source, which workstations then list below it."""
    try:
        number = int(sources[0].SeriesNumber) + 1000
    except (IndexError, AttributeError, TypeError, ValueError):
        number = 1000
    return str(number if number <= _LARGEST_INTEGER else 1000)


def _add_modality(header: Any, modality: str, sources: Sequence[Any]) -> None:
    """What the image modules of CT, MR and secondary capture ask for besides."""
    if modality in STORAGE and "PatientPosition" not in header:
        header.PatientPosition = ""  # may be empty, not absent
    if modality == "CT":
        header.KVP = header.AcquisitionNumber = None
    elif modality == "MR":
        for keyword in _OF_AN_MR:
            _copy(header, keyword, sources, {})
        header.ScanningSequence = header.get("ScanningSequence") or "RM"
        header.SequenceVariant = header.get("SequenceVariant") or "NONE"
        for keyword in ("ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime"):
            if keyword not in header:
                setattr(header, keyword, None)
    else:
        header.ConversionType = "WSD"


def _add_derivation(header: Any, provenance: Mapping[str, str], modality: str, sources: Sequence[Any]) -> None:
    from pydicom.dataset import Dataset

    header.DerivationDescription = derivation_text(provenance)
    codes = [code("SYNTHESIS", "99MEDGAN", "Image-to-image synthesis by a neural network")]
    if provenance.get("Task") == "superres-mr":
        codes.append(code("113085", "DCM", "Spatial resampling"))
    header.DerivationCodeSequence = codes
    same_kind = bool(sources) and str(sources[0].get("Modality", "")) == modality
    purpose = ("109102", "DCM", "Processing Equipment") if same_kind else ("109100", "DCM", "Synthesizing Equipment")
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [code(*purpose)]
    equipment.Manufacturer = equipment.ManufacturerModelName = "MedGAN"
    equipment.SoftwareVersions = [header.SoftwareVersions, _model(provenance)]
    equipment.ContributionDateTime = datetime.datetime.now().strftime("%Y%m%d%H%M%S")
    equipment.ContributionDescription = header.DerivationDescription
    _copy(header, "ContributingEquipmentSequence", sources, {})
    header.ContributingEquipmentSequence = [*(header.get("ContributingEquipmentSequence") or ()), equipment]


def _model(provenance: Mapping[str, str]) -> str:
    parts = (provenance.get("Model", ""), provenance.get("ModelVersion", ""), provenance.get("ModelSHA256", "")[:16])
    return " ".join(filter(None, parts))[:64] or "unknown model"
