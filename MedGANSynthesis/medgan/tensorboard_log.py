"""Log of a training for TensorBoard, where its ``tensorboard`` package is installed (``tensorboard --logdir OUT``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .training_events import (
    EpochDone,
    SampleDrawn,
    StepDone,
    TrainingEvent,
    TrainingStarted,
    TrainingWarning,
    losses_of,
    validation_metrics,
)
from .training_figures import ROWS, shown


class TensorBoardLog:
    """Watcher that writes ``folder`` for TensorBoard; scalars over steps, validation over epochs, samples as images.

    Args:
        folder: made if need be. A resumed training goes on in it: what was logged beyond the checkpoint is hidden.

    Raises:
        InputError: the package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: Path):
        require_tensorboard()
        self._folder = Path(folder)
        self._writer: Any = None

    def __call__(self, event: TrainingEvent) -> None:
        if isinstance(event, TrainingStarted):
            self._open(event.resumed_at * event.steps_per_epoch)
        elif self._writer is None:
            return
        elif isinstance(event, StepDone):
            self._scalars("loss", event.losses, event.step)
            self._scalars("learning rate", event.learning_rates, event.step)
            self._scalars("speed", {"samples per second": event.samples_per_s}, event.step)
            self._step = event.step
        elif isinstance(event, EpochDone):
            self._epoch(event)
        elif isinstance(event, SampleDrawn):
            self._writer.add_image(f"samples/{event.case}", _beside_each_other(event), event.step, dataformats="HWC")
        elif isinstance(event, TrainingWarning):
            self._writer.add_text(f"warnings/{event.kind}", event.message, self._step)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._step = step
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1, flush_secs=30)

    def _epoch(self, event: EpochDone) -> None:
        self._scalars("loss of the epoch", losses_of(event.row), event.epoch)
        for name, (value, baseline) in validation_metrics(event.row).items():
            values = {"generated": value, **({} if baseline is None else {"baseline": baseline})}
            self._scalars(f"validation {name}", values, event.epoch)
        self._writer.flush()

    def _scalars(self, group: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)


def require_tensorboard() -> None:
    """Raise InputError, with what to do, where TensorBoard's package is missing."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise InputError(
            "A TensorBoard log needs the Python package tensorboard: run 'pip install tensorboard', or leave "
            "--tensorboard out; curves.png and samples.png are drawn in any case."
        ) from error


def _beside_each_other(event: SampleDrawn) -> np.ndarray:
    """Input, output and truth from left to right, uint8 ``(rows, columns, 3)``."""
    pictures = []
    for name in ROWS:
        if name in event.images:
            window = (event.input_window or event.window) if name == "input" else event.window
            picture = shown(event.images[name], window)
            pictures.append(picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=2))
    rows = max(len(picture) for picture in pictures)
    padded = [np.pad(picture, ((0, rows - len(picture)), (0, 0), (0, 0))) for picture in pictures]
    return np.concatenate(padded, axis=1)
