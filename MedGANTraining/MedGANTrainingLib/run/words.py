"""How a run is put into words."""

from __future__ import annotations

from medgan.run_status import RunStatus
from medgan.training_events import is_adversarial, label_of
from slicer.i18n import tr as _


def stateTitle(state: str) -> str:
    """A state as the user reads it."""
    titles = {
        "new": _("Not started"),
        "starting": _("Starting"),
        "running": _("Running"),
        "paused": _("Paused"),
        "finished": _("Finished"),
        "early stop": _("Finished early"),
        "stopped": _("Stopped"),
        "failed": _("Failed"),
        "diverged": _("Diverged"),
        "interrupted": _("Interrupted"),
    }
    return titles.get(state, state)


def progressText(status: RunStatus) -> str:
    """State, epoch, step, and how long it will take."""
    parts = [stateTitle(status.state)]
    if status.epochs:
        epoch = min(max(status.epoch, 1), status.epochs)
        parts.append(_("epoch {epoch} of {epochs}").format(epoch=epoch, epochs=status.epochs))
    if status.steps:
        parts.append(_("step {step} of {steps}").format(step=status.step, steps=status.steps))
    if status.state == "running" and status.remaining_s is not None:
        parts.append(_("about {duration} left").format(duration=durationText(status.remaining_s)))
    return ", ".join(parts)


def numbersText(status: RunStatus) -> str:
    """Losses of both networks, learning rates, speed and device."""
    losses = sorted(status.losses.items(), key=lambda item: is_adversarial(item[0]))  # likeness first
    parts = [f"{label_of(name)} {value:.3g}" for name, value in losses]
    if status.learning_rates:
        rates = " / ".join(f"{rate:.2g}" for rate in status.learning_rates.values())
        parts.append(_("learning rate {rates}").format(rates=rates))
    if status.samples_per_s:
        parts.append(_("{speed} patches per second").format(speed=f"{status.samples_per_s:.3g}"))
    if status.device:
        parts.append(_("on {device}").format(device=status.device))
    return ", ".join(parts)


def durationText(seconds: float) -> str:
    """A time as people say it.

    >>> durationText(42), durationText(150), durationText(7300), durationText(200000)
    ('42 s', '2 min', '2 h 1 min', '2 d 7 h')
    """
    seconds = round(seconds)
    if seconds < 60:
        return _("{seconds} s").format(seconds=seconds)
    if seconds < 3600:
        return _("{minutes} min").format(minutes=seconds // 60)
    if seconds < 172800:
        return _("{hours} h {minutes} min").format(hours=seconds // 3600, minutes=seconds % 3600 // 60)
    return _("{days} d {hours} h").format(days=seconds // 86400, hours=seconds % 86400 // 3600)
