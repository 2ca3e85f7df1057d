"""Exporting a synthetic volume through the plugin, and loading it again as Slicer does."""

import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from medgan.bundle import Bundle
from MedGANSynthesisLib.engineClient import stopEngine
from MedGANSynthesisLib.MedGANDICOMPlugin import MedGANDICOMPlugin, registerDicomPlugin
from MedGANSynthesisLib.nodes import geometryOfNode
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from slicer_fixtures import addVolume, obliqueGeometry, randomArray, setDicomModality, voxels


def hierarchy():
    return slicer.mrmlScene.GetSubjectHierarchyNode()


def exportables(node):
    return MedGANDICOMPlugin().examineForExport(hierarchy().GetItemByDataNode(node))


def loadSeries(folder):
    """The volume node of a folder of DICOM files: through the DICOM database where there is one, else by the reader
    that Slicer's DICOM plugin for scalar volumes reads with."""
    files = sorted(str(path) for path in folder.rglob("*.dcm"))
    if hasattr(slicer, "dicomDatabase"):
        from DICOMLib import DICOMUtils

        with DICOMUtils.TemporaryDICOMDatabase() as database:
            DICOMUtils.importDicom(str(folder), database)
            (uid,) = [
                series
                for patient in database.patients()
                for study in database.studiesForPatient(patient)
                for series in database.seriesForStudy(study)
            ]
            (nodeID,) = DICOMUtils.loadSeriesByUID([uid])
            return slicer.mrmlScene.GetNodeByID(nodeID)
    import vtk

    names = vtk.vtkStringArray()
    for name in files:
        names.InsertNextValue(name)
    return slicer.modules.volumes.logic().AddArchetypeVolume(files[0], "loaded", 0, names)


class DicomExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp())
        cls.bundle = Bundle.create_identity(cls.folder / "identity", task="denoise-ct", modality="CT", units="HU")

    @classmethod
    def tearDownClass(cls):
        stopEngine()
        shutil.rmtree(cls.folder)

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.out = Path(tempfile.mkdtemp(dir=self.folder))
        array = np.random.default_rng(2).integers(-1024, 3072, (9, 12, 15)).astype(np.int16)
        self.source = addVolume(array, obliqueGeometry(seed=4))
        setDicomModality(self.source, "CT")
        self.result = SynthesisLogic().apply("denoise-ct", self.source, model=self.bundle)

    def export(self, node, **tags):
        (exportable,) = exportables(node)
        exportable.directory = str(self.out)
        for name, value in tags.items():
            exportable.setTag(name, value)
        return MedGANDICOMPlugin().export([exportable])

    def test_onlySyntheticImagesAreOffered(self):
        self.assertEqual(exportables(self.source), [])
        (exportable,) = exportables(self.result)
        self.assertGreater(exportable.confidence, 0.5)  # that of Slicer's own exporter, which says ORIGINAL
        self.assertEqual((exportable.tag("Modality"), exportable.tag("SeriesDescription")), ("CT", "CT denoised"))
        self.assertEqual(exportable.pluginClass, "MedGANDICOMPlugin")
        registerDicomPlugin()
        self.assertIs(slicer.modules.dicomPlugins[exportable.pluginClass], MedGANDICOMPlugin)

    def test_roundTripKeepsGridAndValues(self):
        self.assertEqual(self.export(self.result), "")
        loaded = loadSeries(self.out)
        geometry, original = geometryOfNode(loaded), geometryOfNode(self.result)
        array = voxels(loaded)
        if np.dot(geometry.directions[:, 2], original.directions[:, 2]) < 0:  # DICOM knows one direction only
            array = array[::-1]
            geometry = geometry.shifted((0, 0, len(array) - 1))
        np.testing.assert_array_equal(array, voxels(self.result))
        np.testing.assert_allclose(geometry.origin_mm, original.origin_mm, atol=1e-3)
        np.testing.assert_allclose(geometry.spacing_mm, original.spacing_mm, atol=1e-4)

    def test_editedTagsArrive(self):
        import pydicom

        tags = {"PatientName": "Doe^Jane", "PatientID": "77", "StudyInstanceUID": "1.2.3", "SeriesNumber": "12"}
        self.assertEqual(self.export(self.result, **tags), "")
        made = pydicom.dcmread(next(self.out.rglob("*.dcm")))
        found = (str(made.PatientName), made.PatientID, made.StudyInstanceUID, str(made.SeriesNumber))
        self.assertEqual(found, tuple(tags.values()))
        self.assertEqual((made.SyntheticData, made.Modality), ("YES", "CT"))
        self.assertIn(self.result.GetAttribute("MedGAN.Model"), made.DerivationDescription)
        self.assertEqual((float(made.WindowWidth), float(made.WindowCenter)), (350.0, 40.0))  # as displayed

    def test_frameOfReferenceIsThatOfTheSource(self):
        import pydicom

        hierarchy().SetItemAttribute(hierarchy().GetItemByDataNode(self.source), "DICOM.FrameOfReferenceUID", "1.2.9")
        self.assertEqual(self.export(self.result), "")
        self.assertEqual(pydicom.dcmread(next(self.out.rglob("*.dcm"))).FrameOfReferenceUID, "1.2.9")

    def test_aTransformIsNotLostQuietly(self):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        self.result.SetAndObserveTransformNodeID(transform.GetID())
        message = self.export(self.result)
        self.assertIn("harden", message)
        self.assertEqual(list(self.out.iterdir()), [])
        self.result.HardenTransform()
        self.assertEqual(self.export(self.result), "")

    def test_whatWasRemovedIsNoImageOfAPatient(self):
        node = addVolume(randomArray())
        result = SynthesisLogic().apply("denoise-ct", node, model=self.bundle, secondOutput=True)
        removed = result.GetNodeReference("MedGAN.Removed")
        self.assertEqual(len(exportables(result)), 1)
        self.assertEqual(exportables(removed), [])
