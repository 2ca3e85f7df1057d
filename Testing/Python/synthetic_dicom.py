"""Write small DICOM series with pydicom, for tests: any grid, any defect."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from medgan.dicom import read_dicom
from medgan.errors import InputError
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid


@dataclass
class Plane:
    """One slice to be written: stored values (row, column), LPS position, header values that differ from the rest."""

    stored: np.ndarray
    position_mm: np.ndarray
    orientation: np.ndarray
    extra: dict = field(default_factory=dict)


def axialPlanes(
    count: int = 5, distance_mm: float = 2.0, rows: int = 6, columns: int = 4, seed: int = 0
) -> list[Plane]:
    """Slices along z from (10, 20, 30) mm LPS with random 12-bit values."""
    rng = np.random.default_rng(seed)
    return [
        Plane(
            rng.integers(0, 4096, (rows, columns)).astype(np.uint16),
            np.array([10.0, 20.0, 30.0 + distance_mm * k]),
            np.array([1.0, 0, 0, 0, 1, 0]),
        )
        for k in range(count)
    ]


def rotated(planes: list[Plane], rotation: np.ndarray) -> list[Plane]:
    """The same slices with the patient turned by a 3x3 rotation."""
    return [
        Plane(
            p.stored,
            rotation @ p.position_mm,
            np.concatenate([rotation @ p.orientation[:3], rotation @ p.orientation[3:]]),
            p.extra,
        )
        for p in planes
    ]


def writeSeries(folder: Path, planes: list[Plane], shuffle: bool = True, prefix: bool = True, **common) -> str:
    """Write one file per plane, in shuffled order of names; returns the SeriesInstanceUID."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = common.pop("SeriesInstanceUID", generate_uid())
    names = np.random.default_rng(1).permutation(len(planes)) if shuffle else range(len(planes))
    for name, plane in zip(names, planes, strict=True):
        dataset = _dataset(CTImageStorage, plane.stored, uid)
        dataset.ImagePositionPatient = [float(v) for v in plane.position_mm]
        dataset.ImageOrientationPatient = [float(v) for v in plane.orientation]
        dataset.PixelSpacing = [0.7, 0.5]
        dataset.SliceThickness = 3.0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        dataset.PixelData = plane.stored.tobytes()
        for keyword, value in {**common, **plane.extra}.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        path = folder / f"{uid[-8:]}_{name:03d}.dcm"
        if prefix:
            dataset.save_as(path, enforce_file_format=True)
        else:
            del dataset.file_meta
            dataset.save_as(path, implicit_vr=False, little_endian=True)
    return uid


def writeEnhanced(path: Path, planes: list[Plane], rescales: list[tuple[float, float]]) -> None:
    """Write one enhanced CT file; each frame has its own position and rescale."""
    dataset = _dataset(EnhancedCTImageStorage, planes[0].stored, generate_uid())
    dataset.NumberOfFrames = len(planes)
    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [float(v) for v in planes[0].orientation]
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.7, 0.5]
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for plane, (slope, intercept) in zip(planes, rescales, strict=True):
        group = Dataset()
        group.PlanePositionSequence = Sequence([Dataset()])
        group.PlanePositionSequence[0].ImagePositionPatient = [float(v) for v in plane.position_mm]
        group.PixelValueTransformationSequence = Sequence([Dataset()])
        item = group.PixelValueTransformationSequence[0]
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = slope, intercept, "HU"
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.PixelData = np.stack([p.stored for p in planes]).tobytes()
    dataset.save_as(path, enforce_file_format=True)


def _dataset(sop_class, stored: np.ndarray, uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.SeriesInstanceUID, dataset.Modality, dataset.ImageType = uid, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = "Secret^Name", "SECRET-ID"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    return dataset


def refusal(path: Path, **arguments) -> str:
    """The sentence with which a series is refused."""
    with pytest.raises(InputError) as caught:
        read_dicom(path, **arguments)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text
