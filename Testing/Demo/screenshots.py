"""One picture per effect for the README: the panel, driven as a user drives it, and the axial slice before and after.

Run by ``python Testing/Host/run.py Testing/Demo/screenshots.py [folder] [--only KEY]``. Writes
``panel-<effect key>.png``.
"""

import argparse
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
import slicer  # noqa: E402
from MedGANSynthesisLib.nodes import setGeometryOfNode, setHounsfieldUnits  # noqa: E402
from MedGANSynthesisLib.SynthesisParameterNode import PreviewMode  # noqa: E402
from screenshot_figure import compose, cornerTexts, grabPanel, sliceImage  # noqa: E402
from screenshot_inputs import CASES, CHECKOUT, sourceVolume  # noqa: E402

PIXELS = 1024  # of the slice view, so that its enlarged middle is sharp
PATIENCE_S = 600
QUIET_S = 1.0  # a preview is complete when nothing has changed for so long


def main():
    """Draw every case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=CHECKOUT / "Resources" / "Screenshots")
    parser.add_argument("--only", help="key of the one effect to draw")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    for case in CASES:
        if options.only in (None, case.key):
            path = options.folder / f"panel-{case.key}.png"
            draw(case, path)
            print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB", flush=True)
    slicer.mrmlScene.Clear(0)
    slicer.util.getModuleLogic("MedGANSynthesis").stopEngine()


def draw(case, path):
    """Choose source, effect and model, preview the axial slice, and write the picture."""
    slicer.mrmlScene.Clear(0)
    slicer.util.selectModule("MedGANSynthesis")
    widget = slicer.util.getModuleWidget("MedGANSynthesis")
    ui = widget.ui
    node = addNode(sourceVolume(case), case)
    red = showSlice(node, case.level)
    ui.sourceVolumeSelector.setCurrentNode(node)
    slicer.util.findChild(ui.effectsFrame, f"{case.key}EffectButton").click()
    slicer.app.processEvents()
    models = [bundle.name for bundle in widget.panel.effect.models()]
    ui.modelComboBox.currentIndex = models.index(case.model)
    ui.previewModeComboBox.currentIndex = list(PreviewMode).index(PreviewMode.VisibleSlices)
    waitForPreview(red, ui)
    ui.previewToggleButton.click()  # before
    slicer.app.processEvents()
    before = (case.name, sliceImage(red.sliceLogic()), cornerTexts(red.sliceView()))
    ui.previewToggleButton.click()  # after
    slicer.app.processEvents()
    after = (f"Preview: {widget.panel.effect.title}", sliceImage(red.sliceLogic()), cornerTexts(red.sliceView()))
    title = f"{widget.panel.effect.title}: {ui.modelComboBox.currentText}"
    compose(grabPanel(widget), title, [before, after], case.focus, path)
    ui.previewModeComboBox.currentIndex = list(PreviewMode).index(PreviewMode.Off)


def addNode(volume, case):
    """The image as a volume node, shown in the window of the case."""
    className = "vtkMRMLVectorVolumeNode" if volume.channels > 1 else "vtkMRMLScalarVolumeNode"
    node = slicer.util.addVolumeFromArray(np.ascontiguousarray(volume.array), name=case.name, nodeClassName=className)
    setGeometryOfNode(node, volume.geometry)
    if volume.units == "HU":
        setHounsfieldUnits(node)
    if case.window is not None:
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevelMinMax(*case.window)
    return node


def showSlice(node, level):
    """Fill the red view with one axial slice of the volume; returns its widget."""
    red = slicer.app.layoutManager().sliceWidget("Red")
    red.mrmlSliceNode().SetOrientation("Axial")
    red.mrmlSliceNode().SetDimensions(PIXELS, PIXELS, 1)
    slicer.util.setSliceViewerLayers(background=node, foreground=None, label=None)
    logic, bounds = red.sliceLogic(), [0.0] * 6
    logic.FitSliceToBackground()
    node.GetRASBounds(bounds)
    logic.SetSliceOffset(bounds[4] + level * (bounds[5] - bounds[4]))
    logic.SnapSliceOffsetToIJK()
    return red


def waitForPreview(red, ui):
    """Let the application run until the preview of the slice is on the screen and nothing changes any more."""
    composite, deadline = red.mrmlSliceCompositeNode(), time.monotonic() + PATIENCE_S
    seen, since = None, time.monotonic()
    while time.monotonic() < deadline:
        slicer.app.processEvents()
        time.sleep(0.02)
        foreground = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")
        state = (foreground, foreground.GetImageData().GetMTime() if foreground is not None else 0)
        if state != seen:
            seen, since = state, time.monotonic()
        elif foreground is not None and time.monotonic() - since > QUIET_S:
            return
    raise SystemExit(f"No preview came within {PATIENCE_S} s: {ui.previewStatusLabel.text}")


main()
