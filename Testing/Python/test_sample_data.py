"""What the Sample Data module is offered; nothing is downloaded."""

import re
import unittest
from pathlib import Path
from unittest import mock

import slicer
from MedGANSynthesisLib import sampleData
from MedGANSynthesisLib.effects import registry
from MedGANSynthesisLib.sampleData import CATEGORY, registerSampleData, samples

ICONS = Path(__file__).resolve().parents[2] / "MedGANSynthesis" / "Resources" / "Icons"


class SampleDataTest(unittest.TestCase):
    def setUp(self):
        registerSampleData()
        self.sources = slicer.modules.sampleDataSources[CATEGORY]

    def test_registeredOnceUnderATitle(self):
        before = [str(source.sampleName) for source in self.sources]
        registerSampleData()
        self.assertEqual([source.sampleName for source in slicer.modules.sampleDataSources[CATEGORY]], before)
        self.assertEqual(len(set(before)), len(samples()))
        self.assertEqual(slicer.modules.sampleDataSourceCategories[CATEGORY]["title"], "MedGAN")

    def test_namesAreThoseOfScriptsInEveryLanguage(self):
        """``SampleData.downloadSample(name)`` has to work whatever language Slicer speaks."""
        names = [sample.name for sample in samples()]
        with mock.patch.object(sampleData, "_", lambda text: f"<{text}>"):
            self.assertEqual([sample.name for sample in samples()], names)
        for name in names:
            self.assertRegex(name, "^[A-Za-z][A-Za-z -]+$")
        self.assertEqual([source.sampleName for source in self.sources], names)

    def test_oneForEachEffectThatHasATaskOfItsOwn(self):
        effects = {effect.key for effect in registry.effects() if effect.tasks}
        self.assertEqual({sample.effectKey for sample in samples()} & effects, effects & _BUILT_IN)

    def test_everyFileIsPinnedByItsChecksum(self):
        for source in self.sources:
            self.assertTrue(len(source.uris) == len(source.fileNames) == len(source.nodeNames) == len(source.checksums))
            for uri, checksum in zip(source.uris, source.checksums, strict=True):
                self.assertRegex(checksum, "^SHA256:[0-9a-f]{64}$")
                pinned = checksum.removeprefix("SHA256:") in uri or re.search("/[0-9a-f]{40}/", uri)
                self.assertTrue(uri.startswith("https://") and pinned, uri)

    def test_noTwoFilesShareANameInTheCache(self):
        files = {}
        for source in self.sources:
            for name, checksum in zip(source.fileNames, source.checksums, strict=True):
                self.assertEqual(files.setdefault(name, checksum), checksum)

    def test_slidesAreNotTakenForASeriesOfSlices(self):
        (slides,) = [source for source in self.sources if source.fileNames[0].endswith(".tif")]
        self.assertEqual(slides.loadFileProperties, {"singleFile": True})

    def test_picturesAreSmallAndOfTheRightSize(self):
        shown = [source.thumbnailFileName for source in self.sources if source.thumbnailFileName]
        self.assertEqual({Path(path).name for path in shown}, {path.name for path in ICONS.glob("SampleData-*.png")})
        for path in shown:
            header = Path(path).read_bytes()[:24]
            self.assertEqual(header[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual((int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")), (260, 280))
            self.assertLess(Path(path).stat().st_size, 80_000)

    def test_slicersOwnFilesAreAsSlicerHasThem(self):
        try:
            from SampleData import SampleDataLogic

            SampleDataLogic().registerBuiltInSampleDataSources()
        except AttributeError:
            self.skipTest("only a real Slicer knows its own samples")
        own = {}
        for source in slicer.modules.sampleDataSources["General"]:
            own |= dict(zip(source.fileNames, source.checksums, strict=True))
        names = {name for source in self.sources for name in source.fileNames if name.endswith(".nrrd")}
        self.assertLessEqual(names, set(own))
        for source in self.sources:
            for name, checksum in zip(source.fileNames, source.checksums, strict=True):
                self.assertEqual(own.get(name, checksum), checksum)


_BUILT_IN = {"denoise-ct", "contrast-ct", "superres-mr", "mr-to-ct", "stain"}


if __name__ == "__main__":
    unittest.main()
