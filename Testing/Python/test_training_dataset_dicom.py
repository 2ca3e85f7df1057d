"""Pairs from DICOM: folders of studies, and Slicer's database."""

import unittest
from unittest import mock

import numpy as np
import slicer
from dataset_section_fixtures import SectionTest
from head_phantoms import head
from MedGANTrainingLib.dataset import CaseTable
from MedGANTrainingLib.dataset.DatabasePairs import addDatabase
from MedGANTrainingLib.dataset.Identity import identityOf
from slicer_fixtures import addVolume, randomArray, setDicomModality

UIDS = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}


def writeSeries(folder, volume, patientID, uid, study="1.2.9"):
    """A volume whose axes are those of the patient, as one DICOM file per slice. Returns their paths."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    folder.mkdir(parents=True, exist_ok=True)
    intercept = -1024 if volume.modality == "CT" else 0
    stored = np.clip(np.rint(volume.array - intercept), 0, 4095).astype(np.uint16)
    origin, spacing = volume.geometry.origin_mm, volume.geometry.spacing_mm
    paths = []
    for k, pixels in enumerate(stored):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, UIDS[volume.modality]
        meta.MediaStorageSOPInstanceUID = f"{uid}.{k + 1}"
        file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        file.SOPClassUID, file.SOPInstanceUID = UIDS[volume.modality], f"{uid}.{k + 1}"
        file.PatientID, file.PatientName = patientID, "Doe^Jane"
        file.StudyInstanceUID, file.SeriesInstanceUID, file.Modality = study, uid, volume.modality
        file.SeriesDescription, file.InstanceNumber = f"{volume.modality} head", k + 1
        file.ImagePositionPatient = [-origin[0], -origin[1], origin[2] + k * spacing[2]]
        file.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
        file.PixelSpacing, file.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        file.Rows, file.Columns = pixels.shape
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
        file.RescaleIntercept, file.RescaleSlope = intercept, 1
        file.PixelData = pixels.tobytes()
        paths.append(folder / f"{volume.modality}{k:03d}.dcm")
        file.save_as(paths[-1])
    return [str(path) for path in paths]


class Database:
    """What is asked of ``ctkDICOMDatabase``: patients are numbered, studies have UIDs."""

    isOpen = True

    def __init__(self):
        self.series = {}  # UID: (patient, study, files)
        self.described = {}

    def add(self, patient, study, uid, files, description=""):
        self.series[uid], self.described[uid] = (patient, study, files), description

    def patients(self):
        return tuple(dict.fromkeys(patient for patient, _study, _files in self.series.values()))

    def studiesForPatient(self, patient):
        return tuple(dict.fromkeys(study for own, study, _files in self.series.values() if own == patient))

    def seriesForStudy(self, study):
        return tuple(uid for uid, (_patient, own, _files) in self.series.items() if own == study)

    def studyForSeries(self, uid):
        return self.series[uid][1]

    def filesForSeries(self, uid):
        return tuple(self.series[uid][2])

    def descriptionForSeries(self, uid):
        return self.described[uid] or self.fileValue(self.series[uid][2][0], "0008,103e")

    def fileValue(self, path, tag):
        import pydicom

        group, element = (int(part, 16) for part in tag.split(","))
        return str(pydicom.dcmread(path, stop_before_pixels=True)[group, element].value)

    def instanceValue(self, uid, tag):
        files = [path for _patient, _study, files in self.series.values() for path in files]
        found = [path for path in files if self.fileValue(path, "0008,0018") == uid]
        return self.fileValue(found[0], tag) if found else ""


class DicomTest(SectionTest):
    def write(self):
        """Two patients with an MR and a CT each, a third with an MR alone."""
        database = Database()
        for seed in range(3):
            for number, volume in enumerate(head(seed)[: 1 if seed == 2 else 2]):
                uid, folder = f"1.2.{seed + 1}.{number + 1}", self.folder / "dicom" / f"Jane Doe {seed}"
                files = writeSeries(folder, volume, f"ID{seed}", uid, f"1.2.{seed + 1}")
                database.add(str(seed), f"1.2.{seed + 1}", uid, files)
        return database

    def assertPseudonymous(self):
        content = b"".join(path.read_bytes() for path in (self.folder / "dataset").rglob("*.json"))
        for word in (b"Jane", b"ID0", b"ID1"):
            self.assertNotIn(word, content)

    def test_aFolderOfStudies(self):
        self.write()
        self.begin(register="")
        self.section.chooseFolder = lambda title: str(self.folder / "dicom")
        self.ui.filesSourceLineEdit.text, self.ui.filesTargetLineEdit.text = "MR", "ct"
        self.ui.addStudiesButton.click()
        self.assertIn("Added: 2. Left out: 1", self.status())
        self.assertEqual(len(set(self.column(CaseTable.PATIENT))), 2)
        self.assertPseudonymous()
        stored = self.section.draft.volume("study-001", "target", raw=True)
        np.testing.assert_allclose(stored.array, head(0)[1].array, atol=0.5)
        np.testing.assert_allclose(stored.geometry.ijk_to_ras, head(0)[1].geometry.ijk_to_ras, atol=1e-6)

    def test_theDatabase(self):
        self.begin(register="")
        self.ui.filesSourceLineEdit.text, self.ui.filesTargetLineEdit.text = "MR head", "CT"
        with mock.patch.object(slicer, "dicomDatabase", self.write(), create=True):
            self.ui.addDatabaseButton.click()
            self.assertIn("Added: 2. Left out: 1", self.status())
            self.ui.addDatabaseButton.click()
            self.assertOneLine("already")
            self.ui.filesSourceLineEdit.text = "PET"
            self.ui.addDatabaseButton.click()
            self.assertOneLine("PET")
        self.assertPseudonymous()
        self.assertEqual(len(self.section.draft.cases), 2)

    def test_oneStudyOfTheDatabaseStopsNoOther(self):
        self.begin(register="")
        self.ui.filesSourceLineEdit.text, self.ui.filesTargetLineEdit.text = "MR head", "CT"
        database = self.write()
        ct = database.filesForSeries("1.2.2.2")
        database.add("3", "1.2.4", "1.2.4.1", [], "MR head")  # found on a server, but not fetched
        database.add("3", "1.2.4", "1.2.4.2", ct)
        database.add("4", "1.2.5", "1.2.5.1", database.filesForSeries("1.2.3.1"))
        database.add("4", "1.2.5", "1.2.5.2", [""], "CT head")
        database.add("5", "1.2.6", "1.2.6.1", database.filesForSeries("1.2.3.1"))
        database.add("5", "1.2.6", "1.2.6.2", [*ct, "on another drive.dcm"])
        with mock.patch.object(slicer, "dicomDatabase", database, create=True):
            cases, failed = addDatabase(self.section.draft, "MR head", "CT")
        self.assertEqual([case.id for case in cases], ["study-001", "study-002"])
        reasons = {one["id"]: one["reason"] for one in failed}
        self.assertEqual(set(reasons), {"study-003", "study-004", "study-005"})
        self.assertIn("0 the target", reasons["study-004"])
        self.assertIn("no folder in common", reasons["study-005"])

    def test_theDatabaseKnowsWhoseVolumeItIs(self):
        node = addVolume(randomArray())
        setDicomModality(node, "MR")
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        hierarchy.SetItemUID(hierarchy.GetItemByDataNode(node), "DICOMInstanceUID", "1.2.1.1.1 1.2.1.1.2")
        with mock.patch.object(slicer, "dicomDatabase", self.write(), create=True):
            expected = {"PatientID": "ID0", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}
            self.assertEqual(identityOf(node), expected)


if __name__ == "__main__":
    unittest.main()
