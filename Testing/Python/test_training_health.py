"""Warnings of a training: each for the failure it names, once, and none on trainings that go as they should."""

import functools
import math

import numpy as np
import pytest
import torch
from medgan.training_events import EpochDone, SampleDrawn, StepDone
from medgan.training_health import (
    CHANCE,
    GROWN_EPOCHS,
    LASTING_STEPS,
    SAMPLES,
    SETTLED_STEPS,
    Health,
    divergence_message,
    lowest_loss,
)
from torch.nn import functional
from training_fixtures import tiny_recipe

MODES = tuple(CHANCE)


def discriminator_loss(mode, real, fake, smoothing, generator):
    """Mean of the real and the fake term, written down anew."""
    label = 1 - smoothing * torch.rand(real.shape, generator=generator)
    if mode == "bce":
        terms = [
            functional.binary_cross_entropy_with_logits(real, label),
            functional.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)),
        ]
    elif mode == "lsgan":
        terms = [((real - label) ** 2).mean(), (fake**2).mean()]
    else:
        terms = [functional.relu(1 - real).mean(), functional.relu(1 + fake).mean()]
    return 0.5 * sum(terms)


@functools.cache
def play(mode, difference, smoothing=0.0, steps=600):
    """Losses of a real discriminator that learns to tell two kinds of numbers apart, ``difference`` deviations away."""
    generator = torch.Generator().manual_seed(0)
    judge = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LeakyReLU(0.2), torch.nn.Linear(8, 1))
    with torch.no_grad():
        for weight in judge.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-2, betas=(0.5, 0.999))
    losses = []
    for _ in range(steps):
        real, fake = torch.randn((2, 32, 4), generator=generator)
        loss = discriminator_loss(mode, judge(real + difference), judge(fake), smoothing, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return tuple(losses)


def kinds(health, losses, name="discriminator", first=1, every=1):
    """Kinds of all warnings while a loss runs, reported every few steps."""
    found = []
    for number, loss in enumerate(losses[::every]):
        step = first + number * every
        event = StepDone(step, 10_000, 1, {"l1": 0.1, name: loss}, {"generator": 2e-4}, 10.0, 60.0)
        found += [warning.kind for warning in health.observe(event)]
    return found


def recipe(**changes):
    return tiny_recipe(**{"adversarial_start": 0, "weight_adversarial": 1.0, "steps_per_epoch": 100, **changes})


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("mode", MODES)
def test_a_discriminator_that_tells_everything_apart_is_named_once(mode, smoothing):
    losses = play(mode, 8.0, smoothing)
    for every in (1, 7):  # the trainer reports as time goes by, not every step
        health = Health(recipe(adversarial_loss=mode, label_smoothing=smoothing))
        assert kinds(health, losses, every=every) == ["discriminator-saturated"]


@pytest.mark.parametrize("difference", [0.0, 0.6])
@pytest.mark.parametrize("mode", MODES)
def test_a_discriminator_with_something_to_learn_is_not(mode, difference):
    health = Health(recipe(adversarial_loss=mode))
    assert kinds(health, play(mode, difference)) == []


@pytest.mark.parametrize("mode", MODES)
def test_chance_and_the_lowest_loss_are_where_training_ends(mode):
    assert np.mean(play(mode, 0.0)[-200:]) == pytest.approx(CHANCE[mode], rel=0.15)
    for smoothing in (0.0, 0.3):
        lowest = lowest_loss(mode, smoothing)
        assert lowest - 0.01 <= np.mean(play(mode, 8.0, smoothing)[-100:]) < lowest + 0.05 * CHANCE[mode]


def test_a_few_good_steps_and_a_warm_up_are_no_reason():
    swing = [0.25, 0.001, 0.25] * LASTING_STEPS
    assert kinds(Health(recipe(adversarial_loss="lsgan")), swing) == []
    short = [0.25] * 50 + [0.001] * (LASTING_STEPS // 2) + [0.25] * LASTING_STEPS
    assert kinds(Health(recipe(adversarial_loss="lsgan")), short) == []
    alone = recipe(adversarial_loss="lsgan", adversarial_start=2, discriminator_warmup=400)
    assert kinds(Health(alone), [0.001] * 600) == []
    assert kinds(Health(alone), [0.001] * (601 + LASTING_STEPS)) == ["discriminator-saturated"]


def test_advice_names_only_what_is_not_done_already():
    def message(**changes):
        health = Health(recipe(adversarial_loss="bce", **changes))
        events = (StepDone(s, 9, 1, {"discriminator": 1e-6}, {}, 1.0, None) for s in range(1, 2 * LASTING_STEPS))
        return next(warning.message for event in events for warning in health.observe(event))

    assert all(word in message() for word in ("label_smoothing", "gradient_penalty", "lsgan", "discriminator"))
    assert "gradient_penalty" not in message(gradient_penalty="r1")


def test_a_critic_may_go_far_but_not_beyond_all_bounds():
    generator = np.random.default_rng(0)
    health = Health(recipe(adversarial_loss="wgan"))
    assert kinds(health, -30 + 10 * generator.normal(size=1500)) == []
    assert kinds(health, -np.geomspace(30, 1e6, 1000), first=1501) == ["critic-runaway"]


def epochs(health, name, values):
    found = []
    for number, value in enumerate(values, 1):
        row = {"epoch": number, name: float(value), "learning_rate": 1e-4, "validation_output_mae_hu": 9.0 * number**2}
        found += [warning.kind for warning in health.observe(EpochDone(number, row))]
    return found


def test_a_loss_that_grows_and_stays_is_named_once():
    falling = list(np.geomspace(0.1, 0.02, 10))
    assert epochs(Health(recipe()), "l1", [*falling, *[0.06] * (GROWN_EPOCHS + 3)]) == ["loss-growing-l1"]
    assert epochs(Health(recipe()), "cycle", [*falling, *[0.06] * GROWN_EPOCHS]) == ["loss-growing-cycle"]


def test_noise_a_joining_discriminator_and_adversarial_losses_are_not():
    generator = np.random.default_rng(0)
    noisy = np.geomspace(0.1, 0.02, 60) * generator.normal(1.0, 0.1, 60)
    noisy[30:] *= 1.3
    assert epochs(Health(recipe()), "l1", noisy) == []
    spike = [*[0.02] * 10, *[0.2] * (GROWN_EPOCHS - 1), *[0.02] * 5]
    assert epochs(Health(recipe()), "l1", spike) == []
    for name in ("generator_adversarial", "discriminator", "feature_matching", "gradient_penalty"):
        assert epochs(Health(recipe()), name, np.geomspace(0.1, 5.0, 20)) == []


def pictures(output, truth=None, source=None, other_kind=False, first=SETTLED_STEPS, times=SAMPLES + 3):
    """Kinds of all warnings while the same picture is drawn again and again."""
    health, found = Health(recipe()), []
    for number in range(times):
        images = {name: image for name, image in (("input", source), ("truth", truth)) if image is not None}
        event = SampleDrawn(
            number, first + 100 * number, "case", {**images, "output": output}, "HU", (-160.0, 240.0),
            (0.0, 1.0) if other_kind else None,
        )  # fmt: skip
        found += [warning.kind for warning in health.observe(event)]
    return found


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    truth = (np.hypot(*np.mgrid[-16:16, -16:16]) < 10) * 1000.0 - 1000.0
    return truth, truth + generator.normal(0, 60, truth.shape), generator


def test_a_generator_that_gives_back_its_input(pair):
    truth, source, generator = pair
    copied = source + generator.normal(0, 0.1, source.shape)
    assert pictures(copied, truth, source) == ["generator-identity"]
    assert pictures(0.9 * source + 0.1 * truth, truth, source) == []  # slow, but on its way
    assert pictures(truth, truth, source) == []
    assert pictures(source, source, source) == []  # there is nothing to change
    assert pictures(copied, truth, source, other_kind=True) == []  # an MR beside a CT: numbers mean other things
    assert pictures(copied, truth, source, first=0, times=SAMPLES) == []  # recommended presets begin there
    assert pictures(copied, truth, source, times=SAMPLES - 1) == []


def test_a_generator_that_gives_a_constant(pair):
    truth, source, generator = pair
    flat = np.full_like(truth, -300.0) + generator.normal(0, 1.0, truth.shape)
    assert pictures(flat, truth, source) == ["generator-constant"]
    assert pictures(flat, None, source) == ["generator-constant"]  # unpaired
    assert pictures(0.1 * truth, truth, source) == []
    assert pictures(flat, np.full_like(truth, -1000.0), source) == []  # a slice of air
    pink = np.broadcast_to(np.float32([230.0, 180.0, 200.0]), (32, 32, 3))
    assert pictures(pink, generator.uniform(0, 255, (32, 32, 3)), pink) == ["generator-constant"]


def test_coming_back_from_a_collapse_starts_the_count_anew(pair):
    truth, source, _generator = pair
    health = Health(recipe())
    for number in range(4 * SAMPLES):
        output = truth if number % SAMPLES == SAMPLES - 1 else source
        images = {"input": source, "output": output, "truth": truth}
        assert not health.observe(SampleDrawn(1, 1000 + number, "case", images, "HU", (-160.0, 240.0)))


def test_the_message_of_a_divergence_says_what_is_kept_and_what_to_try():
    calm = recipe(gradient_clip=1.0)
    assert divergence_message({"l1": 0.1, "discriminator": 3.0}, 120, 3, calm) is None
    text = divergence_message({"l1": 0.1, "discriminator": math.inf}, 120, 3, calm)
    assert all(word in text for word in ("step 120", "the loss discriminator", "epoch 3 is kept", "learning_rate"))
    assert "gradient_clip" not in text
    text = divergence_message({"l1": math.nan}, 5, 0, recipe())
    assert "no checkpoint yet" in text and "gradient_clip=1" in text
