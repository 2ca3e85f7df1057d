"""What a training prints: one live line, a line per epoch with metrics beside the baseline, and its warnings."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from .training_events import (
    EpochDone,
    StepDone,
    TrainingEvent,
    TrainingStarted,
    TrainingWarning,
    is_adversarial,
    label_of,
    losses_of,
    validation_metrics,
)

PLAIN_INTERVAL_S = 60.0
_METRICS = 2


class TrainingConsole:
    """Watcher that prints to a terminal, or line by line to a file (the log of a cluster job).

    Args:
        quiet: print nothing at all.
        stream: where to, standard error by default.

    Use it as a context manager, so that the live line is finished whatever happens.
    """

    def __init__(self, quiet: bool = False, stream: TextIO | None = None):
        self._quiet, self._stream = quiet, stream or sys.stderr
        self._started: TrainingStarted | None = None
        self._bar = None
        self._plain_at = -PLAIN_INTERVAL_S

    def __call__(self, event: TrainingEvent) -> None:
        if self._quiet:
            return
        if isinstance(event, TrainingStarted):
            self._begin(event)
        elif isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, EpochDone):
            self.write(f"medgan: {epoch_line(event)}")
        elif isinstance(event, TrainingWarning):
            self.write(f"medgan: warning: {event.message}")

    def __enter__(self) -> TrainingConsole:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def write(self, line: str) -> None:
        """A line above the live one."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def _begin(self, event: TrainingStarted) -> None:
        self._started = event
        where = event.device if event.processes == 1 else f"{event.processes} x {event.device}"
        length = f"{event.epochs} epochs of {event.steps_per_epoch} steps"
        resumed = f", resumed after epoch {event.resumed_at}" if event.resumed_at else ""
        self.write(f"medgan: training {event.task} ({event.preset}) on {where}: {length}{resumed}")
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=event.epochs * event.steps_per_epoch,
                initial=event.resumed_at * event.steps_per_epoch,
                file=self._stream,
                bar_format="{desc} |{bar:12}| {postfix}",
                dynamic_ncols=True,
                leave=False,
            )

    def _step(self, event: StepDone) -> None:
        where, numbers = step_line(event, self._started)
        if self._bar is not None:
            self._bar.set_description_str(where, refresh=False)
            self._bar.set_postfix_str(numbers, refresh=False)
            self._bar.update(event.step - self._bar.n)
            self._bar.refresh()
        elif time.monotonic() - self._plain_at >= PLAIN_INTERVAL_S:
            self._plain_at = time.monotonic()
            self.write(f"medgan: {where}, {numbers}")


def step_line(event: StepDone, started: TrainingStarted | None) -> tuple[str, str]:
    """Where the training is, and its numbers: losses, learning rate, speed and the time that is left.

    Example:
        >>> step_line(StepDone(142, 6800, 2, {"l1": 0.0148}, {"generator": 5e-4}, 20.7, 3725.0), None)
        ('epoch 2, step 142/6800', 'L1 0.0148, lr 5.0e-04, 20.7 samples/s, 1 h 02 min left')
    """
    epochs = f"/{started.epochs}" if started else ""
    steps = f"step {event.step}/{event.steps}"
    if started:
        steps = f"step {(event.step - 1) % started.steps_per_epoch + 1}/{started.steps_per_epoch}"
    shown = [name for name in event.losses if not is_adversarial(name)]
    shown += [name for name in ("generator_adversarial", "discriminator") if name in event.losses]
    numbers = [f"{_short(name)} {event.losses[name]:.3g}" for name in shown]
    numbers += [f"lr {rate:.1e}" for rate in list(event.learning_rates.values())[:1]]
    numbers.append(f"{event.samples_per_s:.3g} samples/s")
    if event.remaining_s is not None:
        numbers.append(f"{duration(event.remaining_s)} left")
    return f"epoch {event.epoch}{epochs}, {steps}", ", ".join(numbers)


def epoch_line(event: EpochDone) -> str:
    """The line of a finished epoch: losses, then the first metrics beside those of the baseline.

    Example:
        >>> row = {"epoch": 3, "l1": 0.0157, "output_psnr_db": 47.06, "input_psnr_db": 43.2}
        >>> epoch_line(EpochDone(3, row))
        'epoch 3: L1 0.0157; PSNR (dB) 47.06 (baseline 43.2)'
    """
    losses = {name: value for name, value in losses_of(event.row).items() if not _is_detail(name)}
    parts = [", ".join(f"{_short(name)} {value:.3g}" for name, value in losses.items())]
    for name, (value, baseline) in list(validation_metrics(event.row).items())[:_METRICS]:
        parts.append(f"{label_of(name)} {value:.4g}" + (f" (baseline {baseline:.4g})" if baseline is not None else ""))
    return f"epoch {event.epoch}: {'; '.join(part for part in parts if part)}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42.4), duration(150), duration(3725), duration(200000)
    ('42 s', '2 min 30 s', '1 h 02 min', '2 days 7 h')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    if seconds < 172800:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    return f"{seconds // 86400} days {seconds % 86400 // 3600} h"


def _is_detail(loss: str) -> bool:
    return is_adversarial(loss) and loss not in ("generator_adversarial", "discriminator")


def _short(loss: str) -> str:
    return {"generator_adversarial": "G", "discriminator": "D"}.get(loss) or label_of(loss)
