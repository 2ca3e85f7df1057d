"""Which device computes."""

from __future__ import annotations

from typing import Any

from .errors import HALF_TORCH, InputError, MedGANError, missing_package


def require_torch() -> None:
    """Import torch.

    Raises:
        MedGANError: it is not installed, or only in part (an empty folder that an uninstallation left can be imported).
    """
    try:
        import torch
    except ImportError as error:
        raise MedGANError(missing_package(error)) from error
    if not hasattr(torch, "Tensor"):
        raise MedGANError(HALF_TORCH)


def choose_device(name: str = "auto") -> Any:
    """The torch device of a name.

    Args:
        name: "auto" (the GPU if there is one), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        InputError: this machine has no such device, or the name means nothing.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"'{name}' is not a device; use auto, cpu, cuda, cuda:1 or mps.") from None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counts.get(device.type, 0):
        raise InputError(f"This machine has no device '{name}'; use auto or cpu.")
    return device
