"""What MedGAN adds to Slicer once all modules are there; each part is light, for the user waits."""

from __future__ import annotations

import logging


def extendSlicer() -> None:
    """Offer sample data, the context menu and the DICOM export, and mark synthetic images.

    A custom application may be built without one of the modules that these belong to; it goes without that part.
    """
    for add in (_addSampleData, _addContextMenu, _addDicomExport, _addMark):
        try:
            add()
        except ImportError as error:
            logging.info(f"MedGAN goes without a part of it, for this application has no {error.name}.")


def _addSampleData() -> None:
    """Volumes to try the effects on in the Sample Data module."""
    from .sampleData import registerSampleData

    registerSampleData()


def _addContextMenu() -> None:
    """ "Synthesize..." in the context menu of volumes."""
    from .subjectHierarchy import registerSubjectHierarchyPlugin

    registerSubjectHierarchyPlugin()


def _addDicomExport() -> None:
    """The export of synthetic volumes as derived DICOM series."""
    from .MedGANDICOMPlugin import registerDicomPlugin

    registerDicomPlugin()


def _addMark() -> None:
    """SYNTHETIC in the slice views."""
    from .preview.SyntheticMark import showSyntheticMark

    showSyntheticMark()
