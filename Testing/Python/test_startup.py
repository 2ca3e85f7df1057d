"""What MedGAN adds to Slicer at its start, also to a Slicer that lacks a module."""

import sys
import unittest
from unittest import mock

import slicer
from MedGANSynthesisLib import startup
from MedGANSynthesisLib.preview import SyntheticMark

PARTS = ("SampleData", "SubjectHierarchyPlugins", "DICOMLib")


class StartupTest(unittest.TestCase):
    def test_everythingIsThere(self):
        self.assertIn("MedGAN", slicer.modules.sampleDataSources)
        self.assertIn("MedGANDICOMPlugin", slicer.modules.dicomPlugins)
        names = [plugin.name for plugin in slicer.qSlicerSubjectHierarchyPluginHandler.instance().registeredPlugins()]
        self.assertEqual(names.count("MedGAN"), 1)
        self.assertIsNotNone(SyntheticMark._mark)

    def test_anApplicationWithoutOneOfTheModules(self):
        for missing in PARTS:
            with self.subTest(missing), mock.patch.dict(sys.modules, {missing: None}):
                sys.modules.pop("MedGANSynthesisLib.MedGANDICOMPlugin", None)
                slicer.modules.sampleDataSources.pop("MedGAN", None)
                slicer.modules.dicomPlugins.pop("MedGANDICOMPlugin", None)
                with self.assertLogs(level="INFO") as logged:
                    startup.extendSlicer()
                self.assertIn(missing, " ".join(logged.output))
                self.assertEqual("MedGAN" in slicer.modules.sampleDataSources, missing != "SampleData")
                self.assertEqual("MedGANDICOMPlugin" in slicer.modules.dicomPlugins, missing != "DICOMLib")
        startup.extendSlicer()
        self.test_everythingIsThere()

    def test_errorsAreNotHidden(self):
        with mock.patch.object(startup, "_addMark", side_effect=TypeError("a bug")), self.assertRaises(TypeError):
            startup.extendSlicer()


if __name__ == "__main__":
    unittest.main()
