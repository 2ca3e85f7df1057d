"""What making datasets, training and measuring need beyond Slicer, asked for and installed when it is needed."""

from __future__ import annotations

from pathlib import Path

import slicer
from MedGANSynthesisLib.dependencies import ensurePackages, ensureTorch, requirements

_RESOURCES = Path(__file__).parents[1] / "Resources"


def ensureImagePackages() -> None:
    """What datasets are made with; needs no PyTorch.

    Raises:
        MedGANError: the user declined, or the installation failed.
    """
    if not slicer.app.testingEnabled():
        ensurePackages(requirements(str(_RESOURCES / "requirements-images.txt"), onnx=False))


def ensureTrainingDependencies(bundle=None) -> None:
    """All that trains and measures.

    Args:
        bundle: what is about to be measured; what only ONNX networks need is asked for with the first of them.

    Raises:
        MedGANError: the user declined, the installation failed, or the PyTorch extension is not there.
    """
    if slicer.app.testingEnabled():
        return
    ensureTorch()  # first: some of the packages would bring a PyTorch of their own, which need not suit the computer
    ensureImagePackages()
    ensurePackages(requirements(str(_RESOURCES / "requirements-training.txt"), onnx=False))
    if bundle is not None and bundle.manifest.generator == "onnx":
        from MedGANSynthesisLib.dependencies import ensureEngineDependencies

        ensureEngineDependencies(bundle=bundle)
