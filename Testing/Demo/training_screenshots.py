"""Two pictures of MedGAN Training for the README: the section that makes a dataset, and the one that shows a training.

Run by ``python Testing/Host/run.py Testing/Demo/training_screenshots.py [folder]``. Writes ``training-dataset.png`` and
``training-run.png``: the panel, driven as a user drives it, with three real scans (or phantoms where they are not) and
a short training on the CPU.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
import qt  # noqa: E402
import slicer  # noqa: E402
from MedGANSynthesisLib.nodes import setGeometryOfNode, setHounsfieldUnits  # noqa: E402
from screenshot_figure import composeBeside, grabPanel, sliceImage  # noqa: E402
from screenshot_inputs import CHECKOUT, trainingPairs, trainingScans  # noqa: E402

PATIENCE_S = 600
VIEW = (640, 640)  # pixels
LEVEL = 0.65  # of the slice that is shown
SMALL = {
    "base_width": 12, "depth": 2, "discriminator_width": 16, "patch_size": 64, "batch_size": 4, "epochs": 16,
    "steps_per_epoch": 40, "adversarial_start": 2, "learning_rate_generator": 1e-3, "averaging": 0.98,
}  # fmt: skip


def main():
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=CHECKOUT / "Resources" / "Screenshots")
    target = parser.parse_args().folder
    target.mkdir(parents=True, exist_ok=True)
    slicer.util.selectModule("MedGANTraining")
    widget = slicer.util.getModuleWidget("MedGANTraining")
    widget.enter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDGAN_RUNS"] = str(Path(folder) / "runs.json")
        try:
            for name, draw in (("training-dataset.png", drawDataset), ("training-run.png", drawRun)):
                draw(widget, Path(folder), target / name)
                print(f"{name}: {(target / name).stat().st_size / 1024:.0f} KiB", flush=True)
        finally:
            widget.exit()
            slicer.mrmlScene.Clear(0)


def drawDataset(widget, folder, path):
    """Pairs of the scene become cases with scores; the first is shown as a checkerboard of both images."""
    section = widget.panel.sections["dataset"]
    ui = section.ui
    for patient, volumes in trainingPairs().items():
        addPatient(patient, volumes)
    pick(ui.taskComboBox, "mr-to-ct")
    pick(ui.registerComboBox, "rigid")
    section.chooseFolder = lambda title: str(folder / "heads")
    ui.newFolderButton.click()
    ui.findPairsButton.click()
    ui.addPairsButton.click()
    slicer.mrmlScene.Clear(0)
    ui.prepareButton.click()
    waitFor(lambda: not section.busy)
    ui.assignButton.click()
    ui.casesTableWidget.selectRow(0)
    red = slicer.app.layoutManager().sliceWidget("Red")
    red.mrmlSliceNode().SetOrientation("Axial")
    red.mrmlSliceNode().SetDimensions(*VIEW, 1)
    pictures = []
    for mode, caption in (("checkerboard", "Checkerboard of MR and CT"), ("blend", "CT over MR")):
        pick(ui.viewModeComboBox, mode)
        pictures.append((caption, shown(red)))
    only(widget, "dataset")
    composeBeside(grabPanel(widget), "Pairs of the scene become a dataset", pictures, path, width=400)
    pick(ui.viewModeComboBox, "off")


def drawRun(widget, folder, path):
    """A short training, its curves, and what it makes of the validation case."""
    parameters, section, logic = widget.panel.parameters, widget.panel.sections["run"], widget.logic
    draft = logic.createDataset(folder / "low-dose", "denoise-ct", degrade="low-dose")
    for patient, volume in trainingScans().items():
        draft.add(None, volume, patient=patient)
    logic.prepare(draft)
    dataset = logic.finish(draft)
    parameters.task, parameters.datasetFolder = dataset.task, str(dataset.folder)
    parameters.device, parameters.parametersJson = "cpu", json.dumps(SMALL)
    parameters.runFolder = str(folder / "denoise-ct-run-1")
    section.ui.startButton.click()
    waitFor(lambda: section.run.state not in ("starting", "running"))
    section.look()
    if section.run.state != "finished":
        raise SystemExit(section.run.status.message)
    only(widget, "run")
    files = {"curves.png": "The curves of the run", "samples.png": "The same slice after every few epochs"}
    pictures = [(caption, picture(section.run.folder / name)) for name, caption in files.items()]
    composeBeside(grabPanel(widget), "A training of a minute on one core", pictures, path, width=640)


def addPatient(name, volumes):
    """Images of a patient in the scene, in one study, as DICOM data lie there."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    study = hierarchy.CreateStudyItem(patient, "Study")
    for volume in volumes:
        node = slicer.util.addVolumeFromArray(np.ascontiguousarray(volume.array), name=f"{name} {volume.modality}")
        setGeometryOfNode(node, volume.geometry)
        if volume.modality == "CT":
            setHounsfieldUnits(node)
        item = hierarchy.GetItemByDataNode(node)
        hierarchy.SetItemParent(item, study)
        hierarchy.SetItemAttribute(item, "DICOM.Modality", volume.modality)


def shown(red):
    """What the red view shows of the slice at a share of the height."""
    logic, bounds = red.sliceLogic(), [0.0] * 6
    logic.FitSliceToAll()
    logic.GetBackgroundLayer().GetVolumeNode().GetRASBounds(bounds)
    logic.SetSliceOffset(bounds[4] + LEVEL * (bounds[5] - bounds[4]))
    logic.SnapSliceOffsetToIJK()
    slicer.app.processEvents()
    return sliceImage(logic)


def picture(path):
    """A picture on disk as an RGB array."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def only(widget, name):
    """Unfold one section."""
    for other in widget.panel.sections:
        getattr(widget.ui, f"{other}CollapsibleButton").collapsed = other != name


def pick(box, data):
    """Choose an entry as a user does."""
    box.currentIndex = box.findData(data)
    box.activated.emit(box.currentIndex)


def waitFor(condition):
    """Let the application run until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Nothing came within {PATIENCE_S} s.")
        slicer.app.processEvents()
        time.sleep(0.02)
    slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)


main()
