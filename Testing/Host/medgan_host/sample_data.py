"""``SampleData``: where modules register the public images they offer; nothing is ever downloaded here."""

import sys
import types

import slicer


class SampleDataSource:
    """One data set: its name, and as many addresses, file names, node names and checksums as it has files."""

    def __init__(
        self,
        sampleName=None,
        sampleDescription=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFiles=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFileProperties=None,
        loadFileType=None,
    ):
        if loadFileType is not None and loadFileTypes is not None:
            raise ValueError("loadFileType and loadFileTypes cannot be specified at the same time")
        self.sampleName = sampleName
        self.sampleDescription = sampleName if sampleDescription is None else sampleDescription
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileProperties = {} if loadFileProperties is None else loadFileProperties
        fileTypes = loadFileType if loadFileTypes is None else loadFileTypes
        self.uris = [uris] if isinstance(uris, str) else uris
        self.fileNames = [fileNames] if isinstance(uris, str) else fileNames
        self.nodeNames = self._perFile(uris, nodeNames)
        self.loadFiles = self._perFile(uris, loadFiles)
        self.checksums = self._perFile(uris, checksums)
        self.loadFileTypes = fileTypes
        if isinstance(uris, str) or fileTypes is None or isinstance(fileTypes, str):
            self.loadFileTypes = [fileTypes] * len(self.uris)
        lists = (self.fileNames, self.nodeNames, self.loadFiles, self.loadFileTypes, self.checksums)
        if any(len(values) != len(self.uris) for values in lists):
            raise ValueError(f"All fields of sample data source must have the same length\n{self.uris}\n{lists}")

    @staticmethod
    def _perFile(uris, value):
        if isinstance(uris, str):
            return [value]
        return [None] * len(uris) if value is None else value

    def _key(self):
        return tuple(str(value) for _name, value in sorted(vars(self).items()))

    def __eq__(self, other):
        return isinstance(other, SampleDataSource) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())


class SampleDataLogic:
    """Keeps ``slicer.modules.sampleDataSources``: lists of sources by category."""

    def __init__(self, logMessage=None):
        self.builtInCategoryName, self.developmentCategoryName = "General", "Development"

    @staticmethod
    def registerCustomSampleDataCategory(category, title):
        """Say how a category is called on the screen."""
        if not hasattr(slicer.modules, "sampleDataSourceCategories"):
            slicer.modules.sampleDataSourceCategories = {}
        slicer.modules.sampleDataSourceCategories.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        loadFileType=None,
    ):
        """Add a source; one that is there already is not added again."""
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes,
            loadFiles=loadFiles,
            loadFileProperties=loadFileProperties,
            checksums=checksums,
            loadFileType=loadFileType,
        )
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def categoryTitle(category):
        return getattr(slicer.modules, "sampleDataSourceCategories", {}).get(category, {}).get("title", category)

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        sources = slicer.modules.sampleDataSources
        return sources if category is None else sources.get(category, [])

    @staticmethod
    def isSampleDataSourceRegistered(category, sampleDataSource):
        if not isinstance(sampleDataSource, SampleDataSource):
            raise TypeError(f"unsupported sampleDataSource type '{type(sampleDataSource)}'")
        return sampleDataSource in slicer.modules.sampleDataSources.get(category, [])

    def downloadSamples(self, sampleName):
        raise NotImplementedError(f"The MedGAN test host downloads nothing, so not the sample '{sampleName}' either.")


def downloadSample(sampleName):
    """The first node of a sample; the stand-in has none."""
    return SampleDataLogic().downloadSamples(sampleName)[0]


def downloadSamples(sampleName):
    """The nodes of a sample; the stand-in has none."""
    return SampleDataLogic().downloadSamples(sampleName)


def makeModule():
    """Make ``SampleData`` importable."""
    sys.modules["SampleData"] = module = types.ModuleType("SampleData")
    for item in (SampleDataSource, SampleDataLogic, downloadSample, downloadSamples):
        setattr(module, item.__name__, item)
