"""What the engine needs beyond Slicer, asked for and installed when a model is first applied, never earlier."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import slicer
from medgan.errors import MedGANError
from slicer.i18n import tr as _

from .TorchInstallation import REQUIREMENT, TorchInstallation, TorchState

REQUIREMENTS = str(Path(__file__).parents[1] / "Resources" / "requirements.txt")
_ONNX_REQUIREMENTS = "requirements-onnx.txt"  # beside the others
_torchSeen = False


def ensureEngineDependencies(requirementsPath: str = REQUIREMENTS, bundle=None, onnx: bool = False) -> None:
    """Install what is missing, with the user's consent.

    PyTorch runs in the worker process only, so it is looked up on disk and never imported here. In testing mode
    nothing is installed.

    Args:
        requirementsPath: the requirements.txt of the module.
        bundle: what is about to be applied; what only ONNX networks need is asked for with the first of them.
        onnx: an ONNX network is about to be used that is no bundle yet.

    Raises:
        MedGANError: the user declined, the installation failed, or the PyTorch extension is not there.
    """
    if slicer.app.testingEnabled():
        return
    onnx = onnx or (bundle is not None and bundle.manifest.generator == "onnx")
    ensurePackages(requirements(requirementsPath, onnx))
    ensureTorch()


def engineDependenciesInstalled(requirementsPath: str = REQUIREMENTS, bundle=None) -> bool:
    """Whether ``ensureEngineDependencies`` would find nothing to do."""
    from slicer import packaging

    if slicer.app.testingEnabled():
        return True
    needed = requirements(requirementsPath, bundle is not None and bundle.manifest.generator == "onnx")
    if not packaging.pip_check(needed):
        return False
    return (_torchSeen and torchInstalled()) or TorchInstallation.find().state == TorchState.Usable


def requirements(requirementsPath: str, onnx: bool) -> list:
    """The packages that are needed beside PyTorch, as ``packaging.requirements.Requirement``."""
    from slicer import packaging

    needed = packaging.load_requirements(requirementsPath)
    return needed + (packaging.load_requirements(Path(requirementsPath).with_name(_ONNX_REQUIREMENTS)) if onnx else [])


def ensurePackages(needed: list) -> None:
    """Install the packages that are missing; Slicer asks the user. Raises MedGANError: declined, or it failed."""
    from slicer import packaging

    try:
        packaging.pip_ensure(needed, requester="MedGAN")
    except subprocess.CalledProcessError as error:
        message = _("The Python packages that MedGAN needs could not be installed; the log says why.")
        raise MedGANError(message) from error
    except Exception as error:
        message = _("The Python packages that MedGAN needs were not installed: {reason}").format(reason=_line(error))
        raise MedGANError(message) from error


def torchInstalled() -> bool:
    """Whether PyTorch is installed in some version, complete or not, found out without importing it."""
    try:
        importlib.metadata.version("torch")
    except (importlib.metadata.PackageNotFoundError, TypeError):  # the latter: its description is empty
        return False
    return True


def ensureTorch() -> None:
    """Install PyTorch through its extension, or repair what an interrupted installation left, as the user agrees.

    Raises:
        MedGANError: the extension is not there, the user declined, or it failed; in one sentence what to do.
    """
    global _torchSeen
    if _torchSeen and torchInstalled():  # every preview comes here: the files are looked at once
        return
    installation = TorchInstallation.find()
    if installation.state == TorchState.Missing:
        _installTorch()
    elif installation.state != TorchState.Usable:
        repairTorch(installation)
    _torchSeen = True


def repairTorch(installation: TorchInstallation) -> None:
    """Install PyTorch anew after asking. Raises MedGANError: as ``ensureTorch``."""
    problem = installation.problem
    logic = _pyTorchLogic(problem)
    if "torch" in sys.modules:
        message = _("{problem}, and another extension has loaded it; restart Slicer and apply again.")
        raise MedGANError(message.format(problem=problem))
    question = _("{problem}. Remove what is there, and download and install PyTorch again? This may take minutes.")
    if installation.state == TorchState.Outdated:
        question = _("{problem}. Download and install a newer version? This may take minutes.")
    if not slicer.util.confirmOkCancelDisplay(question.format(problem=problem), _("MedGAN - Repair PyTorch")):
        message = _(
            "{problem}; apply again and agree to the repair, or press 'Uninstall PyTorch' and then 'Install PyTorch' "
            "in the module 'PyTorch Utils'."
        )
        raise MedGANError(message.format(problem=problem))
    if installation.state == TorchState.Damaged:
        _removeTorch(logic, installation)
    _install(logic, askConfirmation=False)


def _installTorch() -> None:
    _install(_pyTorchLogic(_("PyTorch is not installed")), askConfirmation=True)


def _pyTorchLogic(problem: str):
    """The logic of the PyTorch extension."""
    try:
        import PyTorchUtils
    except ImportError as error:
        message = _("{problem}; install the extension 'PyTorch' in the Extensions Manager, restart and try again.")
        raise MedGANError(message.format(problem=problem)) from error
    return PyTorchUtils.PyTorchUtilsLogic()


def _removeTorch(logic, installation: TorchInstallation) -> None:
    """Remove what pip has a list of, then what it has none of."""
    from .engineClient import stopEngine

    stopEngine()  # Windows does not delete what a process has open
    try:
        logic.uninstallTorch()
    except Exception:
        logging.info("pip could not remove the damaged PyTorch; its folders are deleted.")
    try:
        for folder in installation.remains():
            shutil.rmtree(folder)
    except OSError as error:
        message = _("{problem}, and a file of it is in use; restart Slicer and apply again.")
        raise MedGANError(message.format(problem=installation.problem)) from error


def _install(logic, askConfirmation: bool) -> None:
    reason = _("it was declined")
    try:
        logic.installTorch(askConfirmation=askConfirmation, torchVersionRequirement=REQUIREMENT)
    except Exception as error:  # the installer also imports torch when done; only the installation matters here
        reason = _line(error)
    importlib.invalidate_caches()
    installation = TorchInstallation.find()
    if installation.state == TorchState.Missing:
        raise MedGANError(_("PyTorch was not installed: {reason}").format(reason=reason))
    if installation.state != TorchState.Usable:
        message = _("{problem} still; restart Slicer and apply again.")
        raise MedGANError(message.format(problem=installation.problem))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
