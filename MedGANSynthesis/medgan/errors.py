"""Errors whose message is written for the person at the screen: one sentence, what is wrong and what to do."""


class MedGANError(Exception):
    """Base of every error MedGAN raises on purpose; ``str(error)`` may be shown to a user as it is."""


class InputError(MedGANError):
    """The volume, folder, parameter or dataset handed in cannot be used."""


class BundleError(MedGANError):
    """A generator on disk is missing, damaged, unsafe or of a kind this version does not know."""


class WorkerError(MedGANError):
    """The process that computes could not start, died or answered with something unexpected."""


class Cancelled(MedGANError):
    """The job was stopped on request; nothing was written."""

    def __init__(self, message: str = "Cancelled. Nothing was changed."):
        super().__init__(message)


NO_TORCH = "PyTorch is not installed: install Slicer's PyTorch extension or run 'pip install torch'; try again."
HALF_TORCH = (
    "PyTorch is installed only in part: install it again with Slicer's PyTorch extension, or run "
    "'pip install --force-reinstall torch'."
)


def missing_package(error: ImportError) -> str:
    """What to tell the user of a package that is not there or cannot be loaded."""
    package = (error.name or "").partition(".")[0]
    if package == "torch":
        return NO_TORCH if error.name == "torch" else HALF_TORCH
    if isinstance(error, ModuleNotFoundError) and package:
        return f"The Python package {package!r} is missing: run 'pip install {package}' and try again."
    reason = next(iter(str(error).strip().splitlines()), "no reason given")
    return f"A Python package cannot be loaded ({reason}); install it again."


def sentence(error: BaseException) -> str:
    """What to tell the user of any error."""
    if isinstance(error, MedGANError):
        return str(error)
    if isinstance(error, ImportError):
        return missing_package(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this image; crop it, or close other programs."
    first_line = (str(error).strip().splitlines() or ["no message"])[0]
    return f"unexpected {type(error).__name__}: {first_line} (run medgan --debug ... for details)"
