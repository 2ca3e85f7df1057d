"""What README.md tells people to type works as it stands there."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import slicer
from medgan.volume import Geometry
from MedGANSynthesisLib.engineClient import stopEngine
from slicer_fixtures import addSegment, addVolume
from training_panel_fixtures import CAN_MEASURE

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


@pytest.fixture
def trainingNames(tmp_path, monkeypatch):
    """Three patients' scans at both doses, and folders of its own."""
    monkeypatch.setenv("MEDGAN_MODELS", str(tmp_path / "models"))
    slicer.mrmlScene.Clear(0)
    stopEngine()
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[:64, :64] - 31.5
    for patient in ("Anna", "Bert", "Carla"):
        middle = rng.uniform(-5, 5, 2)
        full = np.where(np.hypot(rows - middle[0], columns - middle[1]) < 24, 40, -1000) + rng.normal(0, 5, (3, 64, 64))
        low = full + rng.normal(0, 60, full.shape)
        grid = Geometry((0, 0, 0), (0.8, 0.8, 3.0))
        nodes = [
            addVolume(np.rint(array).clip(-1024, None).astype(np.int16), grid, f"{patient} {dose} dose")
            for dose, array in (("low", low), ("full", full))
        ]
    for node in nodes:  # the pair that is added by hand
        node.SetName(node.GetName().replace("Carla ", ""))
    yield {"slicer": slicer, "folder": tmp_path, "lowDose": nodes[0], "fullDose": nodes[1]}
    stopEngine()
    slicer.mrmlScene.Clear(0)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="a training needs PyTorch")
@pytest.mark.skipif(not CAN_MEASURE, reason="measuring needs scikit-image, scipy and matplotlib")
def test_trainingTutorial(trainingNames, capsys):
    blocks = re.findall(r"```python\n(.*?)```", section("Train your own generator"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), trainingNames)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:3]] == ["Anna", "Bert", "Carla"]
    dataset, run, model = (trainingNames[name] for name in ("dataset", "run", "model"))
    assert sorted(case.split for case in dataset.cases) == ["test", "train", "validation"]
    assert (run.state, len(run.history())) == ("finished", 2)
    table = trainingNames["result"].tableNode
    assert table.GetNumberOfRows() == 1
    assert "non-local means" in " ".join(table.GetColumnName(index) for index in range(table.GetNumberOfColumns()))
    assert (model.title, model.licence) == ("Our denoiser", "CC0-1.0")
    assert trainingNames["clean"].GetAttribute("MedGAN.Model") == model.name


def test_everyPictureIsThere():
    pictures = re.findall(r"\]\((Resources/[^)]+)\)", TEXT)
    assert len(pictures) > 5
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture
