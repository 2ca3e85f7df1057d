"""What README.md tells people to type works as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest
import slicer
from medgan.volume import Geometry
from MedGANSynthesisLib.engineClient import stopEngine
from slicer_fixtures import addSegment, addVolume

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").is_file() else ""


def section(title):
    """The text under a heading."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture
def names():
    """The nodes that the console tutorial speaks of."""
    slicer.mrmlScene.Clear(0)
    rng = np.random.default_rng(1)
    grid = Geometry((-20, -20, -8), (1.0, 1.0, 2.0))
    ct = addVolume(rng.normal(40, 30, (4, 40, 40)).astype(np.int16), grid, "Thorax")
    coarse = Geometry(spacing_mm=(2, 2, 2))
    mr = addVolume(rng.gamma(4, 60, (12, 20, 20)).astype(np.int16), coarse, "T1", hounsfield=False)
    slides = rng.integers(40, 240, (2, 1, 64, 64, 3)).astype(np.uint8)
    slide, other = (addVolume(array, Geometry(), "Slide", hounsfield=False) for array in slides)
    mask = np.zeros((4, 40, 40), bool)
    mask[:, 5:30, 5:30] = True
    segmentation, _segmentID = addSegment(ct, mask, "Liver")
    yield {"slicer": slicer, "ct": ct, "mr": mr, "seg": segmentation, "slide": slide, "otherSlide": other}
    stopEngine()
    slicer.mrmlScene.Clear(0)


def test_consoleTutorial(names, capsys):
    blocks = re.findall(r"```python\n(.*?)```", section("Python console"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["clean"].GetName() == "Thorax denoised"
    assert names["outputNode"].GetName().startswith("Thorax denoised")
    assert names["ct"].GetAttribute("MedGAN.Model") is None  # undone
    made = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")}
    assert {"T1 super-resolved", "Slide stain-normalized", "Thorax spread"} <= made
    fine = slicer.util.getNode("T1 super-resolved")
    assert fine.GetSpacing() == (1.0, 1.0, 1.0)
    assert {"superres-mr-1x1x4", "superres-mr-2x2x2"} <= set(capsys.readouterr().out.split())


def test_everyPictureIsThere():
    pictures = re.findall(r"\]\((Resources/[^)]+)\)", TEXT)
    assert len(pictures) > 5
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture
