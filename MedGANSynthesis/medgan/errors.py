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
