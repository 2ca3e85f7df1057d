"""Public images to try the effects on, offered by Slicer's Sample Data module; nothing is fetched before a click."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

CATEGORY = "MedGAN"
_ICONS = Path(__file__).parents[1] / "Resources" / "Icons"
_GITHUB = "https://raw.githubusercontent.com"
_TOTALSEGMENTATOR = f"{_GITHUB}/wasserth/TotalSegmentator/0e65a448d557382b1e925276212b3bec7f5aff83"
_STAINING = f"{_GITHUB}/mitkovetta/staining-normalization/32adbf0a46812144e33df8a9a3c1c70082e50840"


@dataclass(frozen=True)
class SampleFile:
    """One file of a sample; ``uri`` '' means Slicer's own store, which knows files by their SHA-256."""

    fileName: str
    nodeName: str
    sha256: str
    uri: str = ""


@dataclass(frozen=True)
class Sample:
    """What is offered for an effect.

    Attributes:
        effectKey: the effect it is for. files: what is loaded.
        name: what scripts ask for, so it is the same in all languages; Slicer shows it below the picture.
        thumbnail: picture in ``Resources/Icons``; '' takes the one that Slicer has for a node of this name.
        loadFileProperties: for Slicer's file reader.
    """

    effectKey: str
    name: str
    files: tuple[SampleFile, ...]
    thumbnail: str = ""
    loadFileProperties: dict[str, Any] = field(default_factory=dict)


def samples() -> list[Sample]:
    """One sample per effect, as far as there is a public image.

    MRHead, CTChest and CT-MR Brain are Slicer's own samples, which are in its cache if they were used before. The CT
    without contrast medium is from TotalSegmentator (Apache-2.0), the slides are by M. Veta (BSD).
    """
    return [
        Sample("denoise-ct", "Denoise CT", (_CT_CHEST,)),
        Sample("contrast-ct", "Contrast CT", (_CT_ABDOMEN,), "SampleData-ContrastCT.png"),
        Sample("superres-mr", "Super-resolution MR", (_MR_HEAD,)),
        Sample("mr-to-ct", "MR to CT", (_MR_BRAIN, _CT_BRAIN)),
        Sample(
            "stain",
            "Stain transfer",
            (_SLIDE, _REFERENCE),
            "SampleData-StainTransfer.png",
            {"singleFile": True},
        ),
    ]


def registerSampleData() -> None:
    """Offer the samples in the Sample Data module; a second call changes nothing."""
    from SampleData import SampleDataLogic

    SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, _("MedGAN"))
    for sample in samples():
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.name,
            uris=[_uri(file) for file in sample.files],
            fileNames=[file.fileName for file in sample.files],
            nodeNames=[file.nodeName for file in sample.files],
            checksums=[f"SHA256:{file.sha256}" for file in sample.files],
            thumbnailFileName=str(_ICONS / sample.thumbnail) if sample.thumbnail else None,
            loadFileProperties=sample.loadFileProperties,
        )


def _uri(file: SampleFile) -> str:
    from slicer.util import TESTING_DATA_URL

    return file.uri or f"{TESTING_DATA_URL}SHA256/{file.sha256}"


# File and node names as in Slicer, so that both share one file in the cache and one picture.
_CT_CHEST = SampleFile("CT-chest.nrrd", "CTChest", "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e")
_MR_HEAD = SampleFile("MR-head.nrrd", "MRHead", "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93")
_MR_BRAIN = SampleFile(
    "MR-brain-T1.nrrd", "MRBrainT1", "2da3f655ed20356ee8cdf32aa0f8f9420385de4b6e407d28e67f9974d7ce1593"
)
_CT_BRAIN = SampleFile("CT-brain.nrrd", "CTBrain", "6a5b6caccb76576a863beb095e3bfb910c50ca78f4c9bf043aa42f976cfa53d1")
_CT_ABDOMEN = SampleFile(
    "CT-abdomen-noncontrast.nii.gz",
    "CTAbdomen",
    "dbd3ae6d614d1d7ef3a46925c30c70038ed52da6b37fdd6afdc7b9b71387e3e1",
    f"{_TOTALSEGMENTATOR}/tests/reference_files/example_ct.nii.gz",
)
_SLIDE = SampleFile(
    "slide-HE.tif",
    "SlideHE",
    "a46b2f94a537660887a5e67d7f1aaa4dec87e68742801641c6922846c522abcb",
    f"{_STAINING}/example1.tif",
)
_REFERENCE = SampleFile(
    "slide-HE-reference.tif",
    "SlideHEReference",
    "0c3036a82ea6be473c95ef92ae23f4829da362fa679045acd0c25e2f8cbafbd2",
    f"{_STAINING}/example2.tif",
)
