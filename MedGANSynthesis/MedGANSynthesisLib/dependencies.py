"""What the engine needs beyond Slicer, asked for and installed when a model is first applied, never earlier."""

from __future__ import annotations

import importlib.metadata

import slicer
from medgan.errors import MedGANError
from slicer.i18n import tr as _


def ensureEngineDependencies(requirementsPath: str) -> None:
    """Install what is missing, with the user's consent.

    PyTorch runs in the worker process only, so it is looked up by its metadata and never imported here. In testing
    mode nothing is installed.

    Raises:
        MedGANError: the user declined, the installation failed, or the PyTorch extension is not there.
    """
    if slicer.app.testingEnabled():
        return
    try:
        from slicer import packaging

        packaging.pip_ensure(packaging.load_requirements(requirementsPath), requester="MedGAN")
    except Exception as error:
        message = _("The Python packages that MedGAN needs were not installed: {reason}").format(reason=error)
        raise MedGANError(message) from error
    if not torchInstalled():
        _installTorch()


def torchInstalled() -> bool:
    """Whether PyTorch is installed, found out without importing it."""
    try:
        importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        message = _(
            "PyTorch is missing: install the extension 'PyTorch' in the Extensions Manager, restart and try again."
        )
        raise MedGANError(message) from error
    reason = _("it was declined")
    try:
        PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.4")
    except Exception as error:
        reason = str(error)
    importlib.invalidate_caches()
    if not torchInstalled():  # the installer also imports torch when done; only the installation matters here
        raise MedGANError(_("PyTorch was not installed: {reason}").format(reason=reason))
