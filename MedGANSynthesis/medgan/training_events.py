"""What a training tells those who watch it: ``medgan.train(..., watchers=[watch])`` calls ``watch(event)``.

Only the first process of a distributed training does. Events are facts that nobody answers: a watcher that raises stops
the training as ``progress`` does. ``protocol.Watched`` carries them through a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ADVERSARIAL = (
    "discriminator", "generator_adversarial", "feature_matching", "real_score", "fake_score", "gradient_penalty",
)  # fmt: skip
"""Beginnings of the names of losses that belong to the game of both networks, not to the likeness of the images."""
_NO_LOSS = ("epoch", "seconds", "learning_rate", "validation_", "output_", "input_", "baseline_")

_LABELS = {
    "l1": "L1", "psnr_db": "PSNR (dB)", "ssim": "SSIM",
    "ms_ssim": "MS-SSIM", "mae": "MAE", "rmse": "RMSE", "mae_hu": "MAE (HU)", "rmse_hu": "RMSE (HU)",
}  # fmt: skip


@dataclass(frozen=True)
class TrainingStarted:
    """The first event.

    Args:
        task, preset: of the recipe.
        device: where it computes, such as ``"cuda:0"``; processes: how many such devices.
        epochs: planned; steps_per_epoch: optimizer steps of each.
        resumed_at: finished epochs that were loaded from a checkpoint, 0 for a new training.
    """

    task: str
    preset: str
    device: str
    processes: int
    epochs: int
    steps_per_epoch: int
    resumed_at: int


@dataclass(frozen=True)
class StepDone:
    """One optimizer step.

    Args:
        step: finished steps since the very first epoch, 1 after the first.
        steps: planned in all.
        epoch: the one it belongs to, from 1.
        losses: by name, unweighted; see :func:`is_adversarial`.
        learning_rates: "generator" and "discriminator".
        samples_per_s: patches per second over all processes, lately.
        remaining_s: seconds to the end as estimated so far, validations included; None while unknown.
    """

    step: int
    steps: int
    epoch: int
    losses: dict[str, float]
    learning_rates: dict[str, float]
    samples_per_s: float
    remaining_s: float | None


@dataclass(frozen=True)
class EpochDone:
    """One epoch, validated and saved: ``row`` is what it added to ``history.json``, see :func:`validation_metrics`."""

    epoch: int
    row: dict[str, Any]


@dataclass(frozen=True)
class SampleDrawn:
    """A slice of a validation case that stays the same throughout the training, as the generator now makes it.

    Args:
        epoch: finished epochs; step: finished steps.
        case: which.
        images: "input", "output" and "truth" (absent where there is no pair): float32 ``(rows, columns)`` or
            ``(rows, columns, 3)``, physical values. Through a pipe go ``ArrayRef``s into memory of the client.
        units: of output and truth.
        window: (low, high) values of output and truth that are shown black and white.
        input_window: the same for the input, None where it is of the same kind as the output.
        input_units: units of the input.
        geometries: of the images by name, each one slice thick, as ``Geometry.to_dict()``.
    """

    epoch: int
    step: int
    case: str
    images: dict[str, Any]
    units: str
    window: tuple[float, ...]
    input_window: tuple[float, ...] | None = None
    input_units: str = ""
    geometries: dict[str, dict[str, list]] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingWarning:
    """Something a person should look at; ``message`` says what was seen and what to try, ``kind`` is for programs."""

    kind: str
    message: str


@dataclass(frozen=True)
class TrainingEnded:
    """The last event.

    Args:
        reason: "finished", "early stop", "cancelled", "diverged" or "failed".
        best_epoch: the one that is shipped, None where nothing was validated.
        bundle: folder of the finished bundle, None where there is none.
    """

    reason: str
    best_epoch: int | None
    bundle: str | None


TrainingEvent = TrainingStarted | StepDone | EpochDone | SampleDrawn | TrainingWarning | TrainingEnded
Watcher = Callable[[TrainingEvent], None]


def is_adversarial(loss: str) -> bool:
    """Whether a loss rises and falls with the game of the two networks rather than with the likeness of the images.

    >>> [name for name in ("l1", "discriminator", "feature_matching", "cycle") if is_adversarial(name)]
    ['discriminator', 'feature_matching']
    """
    return loss.startswith(ADVERSARIAL)


def losses_of(row: dict[str, Any]) -> dict[str, float]:
    """The losses in a history row: what is neither metric nor learning rate nor count.

    >>> losses_of({"epoch": 1, "l1": 0.1, "learning_rate": 2e-4, "output_psnr_db": 40.0, "seconds": 3.0})
    {'l1': 0.1}
    """
    return {key: value for key, value in row.items() if isinstance(value, float) and not key.startswith(_NO_LOSS)}


def validation_metrics(row: dict[str, Any]) -> dict[str, tuple[float, float | None]]:
    """The metrics of a history row: the generator's value and, where there is one, that of the trivial baseline (the
    untouched input, or for MR to CT water).

    Example:
        >>> validation_metrics({"epoch": 1, "l1": 0.1, "output_psnr_db": 40.0, "input_psnr_db": 36.5})
        {'psnr_db': (40.0, 36.5)}
    """
    values = {key.removeprefix("validation_"): value for key, value in row.items() if isinstance(value, int | float)}
    names = [key.removeprefix("output_") for key in values if key.startswith("output_")]
    return {
        name: (values[f"output_{name}"], values.get(f"input_{name}", values.get(f"water_{name}"))) for name in names
    }


def label_of(name: str) -> str:
    """A loss or metric as people write it.

    >>> label_of("psnr_db"), label_of("feature_matching")
    ('PSNR (dB)', 'feature matching')
    """
    return _LABELS.get(name, name.replace("_", " "))
