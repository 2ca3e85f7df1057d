"""Watches a training for what goes wrong with adversarial networks, and says what to try.

Every condition has to last before it is named, and is named once. The thresholds lie far from what trainings that went
well have shown (``denoise-ct-chest``: discriminator at 0.7 to 1.1, L1 within 10 %), so that a warning means something.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from .training_events import EpochDone, SampleDrawn, StepDone, TrainingEvent, TrainingWarning, is_adversarial, losses_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .recipes.base import Recipe

CHANCE = {"bce": math.log(2.0), "lsgan": 0.25, "hinge": 1.0}
"""Loss of a discriminator that tells nothing apart, mean of both terms; a Wasserstein critic has none."""

SATURATED = 0.03  # part of the way from the lowest possible loss to chance; a healthy pix2pix stays above a tenth
RUNAWAY_GAP = 1000.0  # a 1-Lipschitz critic cannot exceed the L2 distance of two images, some hundred in network units
LASTING_STEPS = 300  # longer than the swings of the game
LASTING_REPORTS = 30
IDENTITY = 0.02  # of the change that is to be made: a generator that has learnt anything makes far more of it
CONSTANT = 0.02  # of the spread of the truth
SAMPLES = 3
SETTLED_STEPS = 500  # recommended presets begin at the identity, others at a constant: allow them to leave it
GROWTH = 2.0  # times the lowest epoch; dose augmentation moves an epoch's mean by a tenth, a joining GAN by a third
GROWN_EPOCHS = 3


class Health:
    """Turns the events of a training into warnings.

    Args:
        recipe: its adversarial loss, smoothing and schedule decide what is normal.

    Example:
        >>> health = Health(recipe)  # doctest: +SKIP
        >>> for warning in health.observe(event): watch(warning)  # doctest: +SKIP
    """

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._said: set[str] = set()
        self._judged: deque[tuple[int, float]] = deque()
        self._lowest: dict[str, float] = {}
        self._grown: dict[str, int] = {}
        self._unchanged = self._flat = 0

    def observe(self, event: TrainingEvent) -> list[TrainingWarning]:
        """What an event gives reason to warn of, each kind once per training."""
        if isinstance(event, StepDone):
            found = self._discriminator(event)
        elif isinstance(event, EpochDone):
            found = self._growth(event)
        elif isinstance(event, SampleDrawn):
            found = self._collapse(event)
        else:
            found = []
        fresh = [warning for warning in found if warning.kind not in self._said]
        self._said |= {warning.kind for warning in fresh}
        return fresh

    def _discriminator(self, event: StepDone) -> list[TrainingWarning]:
        recipe = self._recipe
        alone_until = recipe.adversarial_start * recipe.steps_per_epoch + recipe.discriminator_warmup
        if "discriminator" not in event.losses or event.step <= alone_until:
            return []
        judged = self._judged
        judged.append((event.step, event.losses["discriminator"]))
        while len(judged) > LASTING_REPORTS and judged[-1][0] - judged[1][0] >= LASTING_STEPS:
            judged.popleft()
        if len(judged) < LASTING_REPORTS or judged[-1][0] - judged[0][0] < LASTING_STEPS:
            return []
        level = float(np.median([loss for _step, loss in judged]))
        if recipe.adversarial_loss == "wgan":
            return [_runaway()] if 2 * abs(level) > RUNAWAY_GAP else []
        lowest, chance = lowest_loss(recipe.adversarial_loss, recipe.label_smoothing), CHANCE[recipe.adversarial_loss]
        saturated = level < lowest + SATURATED * (chance - lowest)
        return [self._saturated(level, chance)] if saturated else []

    def _saturated(self, level: float, chance: float) -> TrainingWarning:
        recipe = self._recipe
        tries = [f"a lower learning_rate_discriminator (now {recipe.learning_rate_discriminator:g})"]
        if not recipe.label_smoothing and recipe.adversarial_loss != "hinge":
            tries.append("label_smoothing=0.2")
        if recipe.gradient_penalty == "none":
            tries.append("gradient_penalty=r1")
        if recipe.adversarial_loss == "bce":
            tries.append("adversarial_loss=lsgan")
        return TrainingWarning(
            "discriminator-saturated",
            f"The discriminator recognizes every generated image (loss {level:.2g} for {LASTING_STEPS} steps, chance "
            f"is {chance:.2g}), so the generator no longer learns from it; try {_either(tries)}.",
        )

    def _growth(self, event: EpochDone) -> list[TrainingWarning]:
        warnings = []
        for name, value in losses_of(event.row).items():
            if is_adversarial(name) or not math.isfinite(value):
                continue
            lowest = self._lowest[name] = min(value, self._lowest.get(name, value))
            self._grown[name] = self._grown.get(name, 0) + 1 if value > GROWTH * lowest else 0
            if self._grown[name] == GROWN_EPOCHS:
                warnings.append(
                    TrainingWarning(
                        f"loss-growing-{name}",
                        f"The loss {name} has risen to {value:.3g}, from {lowest:.3g} at its best, and has stayed high "
                        f"for {GROWN_EPOCHS} epochs; try a lower learning_rate_generator "
                        f"(now {self._recipe.learning_rate_generator:g}), gradient_clip=1, or a lower "
                        "weight_adversarial.",
                    )
                )
        return warnings

    def _collapse(self, event: SampleDrawn) -> list[TrainingWarning]:
        images = {name: np.asarray(image, np.float64) for name, image in event.images.items()}
        self._flat = self._flat + 1 if _is_flat(images, event.window) else 0
        # A flat output of a flat input is no copy of it, and one warning is enough.
        copied = not self._flat and event.input_window is None and _is_copy(images)
        self._unchanged = self._unchanged + 1 if copied else 0
        if event.step < SETTLED_STEPS:
            return []
        if self._flat >= SAMPLES:
            return [
                TrainingWarning(
                    "generator-constant",
                    f"The generator gives the same value everywhere ({event.case}, {SAMPLES} samples in a row); start "
                    "again with a lower learning_rate_generator, a higher weight_l1, or a later adversarial_start.",
                )
            ]
        if self._unchanged >= SAMPLES:
            return [
                TrainingWarning(
                    "generator-identity",
                    f"The generator gives back its input ({event.case}, {SAMPLES} samples in a row); see whether "
                    "source and target of the dataset differ as they should, then try a higher "
                    "learning_rate_generator.",
                )
            ]
        return []


def lowest_loss(mode: str, smoothing: float) -> float:
    """The loss of a perfect discriminator, mean of both terms: what label smoothing leaves.

    Args:
        mode: "bce", "lsgan" or "hinge".
        smoothing: real labels are drawn evenly from 1 - this to 1, so the best answer is their mean.
    """
    if mode == "lsgan":
        return 0.5 * smoothing**2 / 12.0  # half the variance of the labels
    if mode == "bce" and smoothing:
        mean = 1.0 - smoothing / 2.0
        return -0.5 * (mean * math.log(mean) + (1.0 - mean) * math.log(1.0 - mean))
    return 0.0


def divergence_message(losses: Mapping[str, float], step: int, kept_epoch: int, recipe: Recipe) -> str | None:
    """What to tell the user when a loss is no number; None while all are.

    Args:
        losses: of a step, by name.
        step: where the training is.
        kept_epoch: epoch of the last checkpoint, 0 if there is none.
    """
    wrong = [name for name, value in losses.items() if not math.isfinite(value)]
    if not wrong:
        return None
    kept = f"the checkpoint of epoch {kept_epoch} is kept" if kept_epoch else "there is no checkpoint yet"
    tries = [f"learning_rate_generator={recipe.learning_rate_generator / 4:g}"]
    if not recipe.gradient_clip:
        tries.append("gradient_clip=1")
    if is_adversarial(wrong[0]):
        tries.append(f"learning_rate_discriminator={recipe.learning_rate_discriminator / 4:g}")
    return (
        f"The training diverged at step {step}: the loss {wrong[0]} is no number any more; {kept}. "
        f"The same parameters would diverge again: start anew (--no-resume) with {_either(tries)}."
    )


def _runaway() -> TrainingWarning:
    return TrainingWarning(
        "critic-runaway",
        f"The critic's scores of real and generated images lie more than {RUNAWAY_GAP:g} apart, which no Lipschitz "
        "critic can do; switch on gradient_penalty=wgan-gp, raise weight_gradient_penalty, or lower "
        "learning_rate_discriminator.",
    )


def _is_copy(images: Mapping[str, np.ndarray]) -> bool:
    shapes = {images[name].shape for name in ("input", "output", "truth") if name in images}
    if len(shapes) != 1 or "truth" not in images:
        return False
    wanted, made = (_rms(images[name] - images["input"]) for name in ("truth", "output"))
    return wanted > 0 and made < IDENTITY * wanted


def _is_flat(images: Mapping[str, np.ndarray], window: tuple[float, ...]) -> bool:
    spread = _spread(images["truth"]) if "truth" in images else 0.25 * (window[1] - window[0])
    return spread > 0 and _spread(images["output"]) < CONSTANT * spread


def _spread(image: np.ndarray) -> float:
    """Over the pixels of each component: an even pink has none."""
    return float(image.std(axis=(0, 1)).mean())


def _rms(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean(image**2)))


def _either(tries: list[str]) -> str:
    return tries[0] if len(tries) == 1 else f"{', '.join(tries[:-1])} or {tries[-1]}"
