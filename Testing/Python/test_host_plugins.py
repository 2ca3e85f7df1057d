"""Plugins of the subject hierarchy and of DICOM, and sample data (slicer-facts.md, section 6)."""

import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

import qt
import slicer

PLUGIN = """
    import qt
    import slicer
    import SubjectHierarchyPlugins
    from AbstractScriptedSubjectHierarchyPlugin import AbstractScriptedSubjectHierarchyPlugin

    clicked = []

    class {name}SubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
        filePath = __file__

        def __init__(self, scriptedPlugin):
            scriptedPlugin.name = "{name}"
            AbstractScriptedSubjectHierarchyPlugin.__init__(self, scriptedPlugin)
            self.action = qt.QAction("Do", scriptedPlugin)
            self.action.connect("triggered()", self.onTriggered)

        def canOwnSubjectHierarchyItem(self, itemID):
            return 0.0

        def itemContextMenuActions(self):
            return [self.action]

        def showContextMenuActionsForItem(self, itemID):
            self.action.visible = itemID > 0

        def onTriggered(self):
            clicked.append(slicer.qSlicerSubjectHierarchyPluginHandler.instance().currentItem())
"""


class SubjectHierarchyPluginTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.handler = slicer.qSlicerSubjectHierarchyPluginHandler.instance()

    def load(self, name, text):
        path = self.folder / f"{name}SubjectHierarchyPlugin.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return slicer.qSlicerSubjectHierarchyScriptedPlugin(None).setPythonSource(str(path))

    def testActionOfTheContextMenu(self):
        self.assertIs(self.load("MedganProbe", PLUGIN.format(name="MedganProbe")), True)
        plugin = self.handler.pluginByName("MedganProbe")
        self.assertEqual(plugin.name, "MedganProbe")
        self.assertIs(slicer.MedganProbeSubjectHierarchyPlugin.scriptedPlugin, plugin)
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        item = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "F")
        self.handler.setCurrentItem(item)
        self.assertEqual(self.handler.currentItem(), item)
        plugin.showContextMenuActionsForItem(item)
        (action,) = plugin.itemContextMenuActions()
        self.assertIs(action.visible, True)
        action.trigger()
        self.assertEqual(sys.modules["MedganProbeSubjectHierarchyPlugin"].clicked, [item])
        plugin.showContextMenuActionsForItem(0)
        self.assertIs(action.visible, False)

    def testSeveralSelectedItemsAreNoCurrentItem(self):
        self.handler.setCurrentItems([3, 4])
        self.assertEqual((self.handler.currentItem(), self.handler.currentItems()), (0, (3, 4)))
        self.handler.setCurrentItem(3)
        self.assertEqual(self.handler.currentItems(), (3,))


class DicomPluginTest(unittest.TestCase):
    def testExportable(self):
        exportable = slicer.qSlicerDICOMExportable()
        self.assertEqual((exportable.confidence, exportable.subjectHierarchyItemID), (0.0, 0))
        exportable.name, exportable.tooltip, exportable.pluginClass = "n", "t", "MedganProbe"
        exportable.subjectHierarchyItemID, exportable.confidence, exportable.directory = 7, 0.75, "/d"
        exportable.setTag("PatientID", "P")
        self.assertEqual(
            (exportable.name, exportable.tooltip, exportable.pluginClass, exportable.directory),
            ("n", "t", "MedganProbe", "/d"),
        )
        self.assertEqual((exportable.subjectHierarchyItemID, exportable.confidence), (7, 0.75))
        self.assertEqual((exportable.tag("PatientID"), bool(exportable.tag("nosuch"))), ("P", False))
        with self.assertRaises(AttributeError):
            exportable.nosuch = 1

    def testPlugin(self):
        from DICOMLib import DICOMLoadable, DICOMPlugin

        class Probe(DICOMPlugin):
            def examineFiles(self, files):
                loadable = DICOMLoadable()
                loadable.files = files
                return [loadable]

        plugin = Probe()
        self.assertEqual((plugin.tags["seriesInstanceUID"], plugin.examineForExport(1)), ("0020,000E", []))
        self.assertEqual([loadable.files for loadable in plugin.examineForImport([["a", "b"]])], [["a", "b"]])
        self.assertIsInstance(slicer.modules.dicomPlugins, dict)


class SampleDataTest(unittest.TestCase):
    def setUp(self):
        self.addCleanup(lambda: slicer.modules.sampleDataSources.pop("MedganProbe", None))

    def register(self, **changes):
        import SampleData

        arguments = {"uris": "https://host/a", "fileNames": "a.nrrd", "nodeNames": "A", "checksums": "SHA256:0"}
        arguments |= {"category": "MedganProbe", "sampleName": "probe"} | changes
        SampleData.SampleDataLogic.registerCustomSampleDataSource(**arguments)
        return slicer.modules.sampleDataSources["MedganProbe"]

    def testTheSameSourceIsKeptOnce(self):
        self.register()
        (source,) = self.register()
        self.assertEqual((source.uris, source.fileNames, source.nodeNames), (["https://host/a"], ["a.nrrd"], ["A"]))
        self.assertEqual((source.checksums, source.loadFileTypes), (["SHA256:0"], [None]))
        self.assertEqual(len(self.register(sampleName="other")), 2)

    def testSeveralFilesNeedAsManyNames(self):
        two = {"uris": ["https://host/a", "https://host/b"], "nodeNames": ["A", "B"], "checksums": ["x", "y"]}
        (source,) = self.register(**two, fileNames=["a", "b"])
        self.assertEqual(source.loadFiles, [None, None])
        with self.assertRaisesRegex(ValueError, "same length"):
            self.register(**two, fileNames=["a"])
        with self.assertRaises(ValueError):
            self.register(loadFileType="VolumeFile", loadFileTypes="VolumeFile")

    def testTitleOfACategory(self):
        import SampleData

        logic = SampleData.SampleDataLogic
        self.assertEqual(logic.categoryTitle("MedganNoSuch"), "MedganNoSuch")
        logic.registerCustomSampleDataCategory("MedganProbe", "Probe images")
        self.assertEqual(logic.categoryTitle("MedganProbe"), "Probe images")


class DesktopTest(unittest.TestCase):
    def testUrls(self):
        self.assertEqual(qt.QUrl("https://host/path").toString(), "https://host/path")
        self.assertEqual(qt.QUrl.fromLocalFile("/tmp/a b").toLocalFile(), "/tmp/a b")
        self.assertTrue(callable(qt.QDesktopServices.openUrl))
