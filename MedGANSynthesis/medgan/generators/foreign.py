"""A network from a TorchScript or ONNX file as a torch module."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import MedGANError
from ..foreign import reason
from ..memory import is_out_of_memory


class ForeignNetwork(nn.Module):
    """Opens its file anew for each device that an image comes on.

    What a file holds cannot always be moved (constants of a frozen TorchScript, the session of ONNX), so this module
    has no weights of its own and stays where it is.

    Args:
        open_on: makes the function that computes, ``(batch, channels, ...) -> (batch, channels', ...)``, for a device.
        hidden: measures what it takes outside torch, in bytes per voxel of its input.
    """

    def __init__(
        self, open_on: Callable[[torch.device], Callable[[Tensor], Tensor]], hidden: Callable[[], float] = float
    ):
        super().__init__()
        self._open_on, self._hidden = open_on, hidden
        self._device: torch.device | None = None

    @functools.cached_property
    def hidden_bytes_per_voxel(self) -> float:
        """Memory that torch does not see, for :func:`medgan.memory.measure`."""
        return self._hidden()

    def forward(self, image: Tensor) -> Tensor:
        if image.device != self._device:
            self._run, self._device = self._open_on(image.device), image.device
        try:
            return self._run(image)
        except Exception as error:
            if isinstance(error, MedGANError) or is_out_of_memory(error):
                raise
            shape = "x".join(map(str, image.shape))
            raise MedGANError(
                f"The imported network does not take an image of {shape} (batch, channels, sizes); state its "
                f"channels, 'multiple' or 'tile' as they are ({reason(error)})."
            ) from error
