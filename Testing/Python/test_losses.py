"""Losses against their definitions, written out by hand, and against MONAI and scikit-image."""

import math

import numpy as np
import pytest
import torch
from medgan import losses
from medgan.discriminators import PatchGAN
from medgan.errors import InputError
from medgan.losses import balancing_weights, channel_weighted_l1, initialise, least_squares
from medgan.losses_similarity import ms_ssim_l1_loss, ms_ssim_loss, scale_count, ssim_loss
from torch import nn
from torch.nn import functional

LOGITS = torch.tensor([[0.0, 1.0], [0.5, 2.0]])


def softplus(values):
    return sum(math.log1p(math.exp(value)) for value in values) / 4


def test_least_squares():
    assert least_squares(LOGITS, real=True).item() == pytest.approx((1 + 0 + 0.25 + 1) / 4)
    assert least_squares(LOGITS, real=False).item() == pytest.approx((0 + 1 + 0.25 + 4) / 4)


@pytest.mark.parametrize(
    ("mode", "real", "for_generator", "expected"),
    [
        ("bce", True, False, softplus([0, -1, -0.5, -2])),
        ("bce", False, False, softplus([0, 1, 0.5, 2])),
        ("bce", True, True, softplus([0, -1, -0.5, -2])),
        ("lsgan", True, False, 2.25 / 4),
        ("lsgan", False, False, 5.25 / 4),
        ("lsgan", True, True, 2.25 / 4),
        ("hinge", True, False, (1 + 0 + 0.5 + 0) / 4),
        ("hinge", False, False, (1 + 2 + 1.5 + 3) / 4),
        ("hinge", True, True, -3.5 / 4),
        ("wgan", True, False, -3.5 / 4),
        ("wgan", False, False, 3.5 / 4),
        ("wgan", True, True, -3.5 / 4),
    ],
)
def test_adversarial_losses(mode, real, for_generator, expected):
    assert losses.adversarial(mode, LOGITS, real, for_generator).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mode", ["bce", "lsgan"])
def test_labels_are_smoothed_anew_at_every_call_and_on_the_real_side_only(mode):
    torch.manual_seed(0)
    logits = torch.zeros(512, 512)
    draws = [losses.noisy_labels(logits, 0.7, 1.2) for _ in range(2)]
    assert not torch.equal(*draws)
    assert 0.7 <= draws[0].min() < 0.71 < 1.19 < draws[0].max() <= 1.2
    assert losses.adversarial("lsgan", logits, False, smoothing=0.1).item() == 0
    # the mean square of 1 - 0.1 U is 1 - 0.1 + 0.01 / 3
    assert losses.adversarial("lsgan", logits, True, smoothing=0.1).item() == pytest.approx(0.9033, abs=1e-3)
    by_tensor = losses.adversarial(mode, LOGITS, True, target=torch.full_like(LOGITS, 0.9))
    assert by_tensor.item() == pytest.approx(losses.adversarial(mode, LOGITS, True, target=0.9).item())
    assert by_tensor.item() != pytest.approx(losses.adversarial(mode, LOGITS, True).item())


def test_what_has_no_labels_cannot_be_smoothed():
    for mode in ("hinge", "wgan"):
        with pytest.raises(InputError, match=f"'{mode}' has no labels to smooth"):
            losses.adversarial(mode, LOGITS, True, smoothing=0.1)
    with pytest.raises(InputError, match="no adversarial loss 'gan'"):
        losses.adversarial("gan", LOGITS, True)


class Linear(nn.Module):
    """A discriminator whose gradient is known: the weights, at every image."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, candidate, condition=None):
        return (candidate * self.weights).flatten(1).sum(dim=1, keepdim=True) + (0 if condition is None else condition)


def test_gradient_penalties_by_their_formulas():
    weights = torch.full((1, 1, 3, 4), 0.5, dtype=torch.double)
    discriminator = Linear(weights)
    real, fake = torch.randn(2, 5, 1, 3, 4, dtype=torch.double)
    norm = 0.5 * math.sqrt(12)
    penalty = losses.gradient_penalty(discriminator, real, fake)
    assert penalty.item() == pytest.approx((norm - 1) ** 2)
    penalty.backward()
    # the derivative of (|w| - 1)^2
    expected = 2 * (norm - 1) * weights / norm
    torch.testing.assert_close(discriminator.weights.grad, expected)
    assert losses.r1_penalty(discriminator, real).item() == pytest.approx(0.5 * norm**2)
    assert not real.requires_grad
    # at a condition of 0 and images of 0, the sigmoid has a slope of 1/4
    zeros = torch.zeros_like(real)
    penalty = losses.gradient_penalty(discriminator, zeros, zeros, torch.zeros(5, 1), sigmoid=True)
    assert penalty.item() == pytest.approx((norm / 4 - 1) ** 2)


def test_gradient_penalty_looks_between_real_and_fake():
    seen = []

    class Watching(Linear):
        def forward(self, candidate, condition=None):
            seen.append(candidate.detach())
            return super().forward(candidate, condition)

    torch.manual_seed(0)
    losses.gradient_penalty(Watching(torch.ones(1, 1, 2, 2)), torch.ones(50, 1, 2, 2), torch.zeros(50, 1, 2, 2))
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert shares.min() < 0.1 and shares.max() > 0.9


def test_gradient_penalties_reach_a_real_discriminator():
    discriminator = PatchGAN(1, 1, 4, 2, "instance")
    real, fake, condition = torch.randn(3, 2, 1, 32, 32)
    for penalty in (
        losses.gradient_penalty(discriminator, real, fake, condition),
        losses.r1_penalty(discriminator, real, condition),
    ):
        discriminator.zero_grad()
        penalty.backward()
        assert all(layer.weight.grad.any() for layer in discriminator.modules() if isinstance(layer, nn.Conv2d))


def test_feature_matching_is_scaled_as_in_pix2pixhd():
    # sum over n_layers + 1 activations of 4 / (n_layers + 1) * L1
    real = [torch.zeros(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 4, 2, 2)]
    fake = [torch.ones(1, 2, 4, 4, requires_grad=True), torch.full((1, 4, 2, 2), -3.0)]
    loss = losses.feature_matching(real, fake)
    assert loss.item() == pytest.approx(4 / 2 * (1 + 3))
    loss.backward()
    assert real[0].grad is None and fake[0].grad.any()


def test_masked_errors():
    target = torch.zeros(2, 2, 3, 3)
    output = torch.full_like(target, 5.0)
    mask = torch.zeros(2, 1, 3, 3, dtype=torch.bool)
    mask[0, 0, 0] = True
    output[0, 0, 0], output[0, 1, 0] = 1.0, -2.0
    assert losses.masked_l1(output, target, mask).item() == pytest.approx(1.5)
    assert losses.masked_mse(output, target, mask).item() == pytest.approx(2.5)
    assert losses.masked_l1(output, target, torch.zeros_like(mask)).item() == 0.0
    assert losses.masked_l1(output, target).item() == pytest.approx(functional.l1_loss(output, target).item())
    assert losses.masked_mse(output, target).item() == pytest.approx(functional.mse_loss(output, target).item())


@pytest.mark.parametrize("shape", [(1, 1, 4, 5), (2, 3, 4, 5, 6), (1, 1, 1, 5, 6)])
def test_gradient_difference_by_numpy(shape):
    output, target = torch.randn(2, *shape)
    means, sums = 0.0, 0.0
    for axis in range(2, len(shape)):
        if shape[axis] > 1:
            steps = [np.abs(np.diff(image.numpy(), axis=axis)) for image in (output, target)]
            means += ((steps[0] - steps[1]) ** 2).mean()
            sums += ((steps[0] - steps[1]) ** 2).sum()
    assert losses.gradient_difference(output, target).item() == pytest.approx(means, rel=1e-5)
    assert losses.gradient_difference(output, target, "sum").item() == pytest.approx(sums, rel=1e-5)
    assert losses.gradient_difference(target + 3, target).item() == pytest.approx(0.0, abs=1e-9)


def test_channels_and_samples_are_weighted():
    target = torch.zeros(2, 2, 3, 3)
    output = target.clone()
    output[0, 0], output[0, 1], output[1, 0] = 1.0, -2.0, 4.0
    assert channel_weighted_l1(output, target, (1.0, 1.0)).item() == pytest.approx((1.5 + 2.0) / 2)
    assert channel_weighted_l1(output, target, (1.0, 0.0)).item() == pytest.approx((1.0 + 4.0) / 2)
    samples = torch.tensor([2.0, 0.5])
    assert channel_weighted_l1(output, target, (1.0, 1.0), samples).item() == pytest.approx((3.0 + 1.0) / 2)


def test_quiet_samples_count_as_much_as_loud_ones():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 1, 64, 64, generator=generator) * torch.tensor([1.0, 2.0])[:, None, None, None]
    weights = balancing_weights(noise)
    levels = noise.abs().mean(dim=(1, 2, 3))
    torch.testing.assert_close(weights[0] * levels[0], weights[1] * levels[1])
    assert torch.isfinite(balancing_weights(torch.zeros(2, 1, 4, 4))).all()


def test_initialisation():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(64, 64, 3), nn.BatchNorm2d(4096))
    initialise(layers, 0.02)
    assert layers[0].weight.std().item() == pytest.approx(0.02, abs=0.001)
    assert layers[0].bias.abs().max().item() == 0.0
    assert layers[1].weight.std().item() == pytest.approx(0.02, abs=0.001)
    assert layers[1].weight.mean().item() == pytest.approx(1.0, abs=0.002)
    initialise(layers, 0.02, norm_deviation=0.002)
    assert layers[1].weight.std().item() == pytest.approx(0.002, abs=0.0002)
    initialise(layers, None)
    assert layers[0].weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, abs=0.002)
    assert torch.equal(layers[1].weight, torch.ones(4096))


def smooth(shape, seed=0):
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    pool = functional.avg_pool2d if len(shape) == 4 else functional.avg_pool3d
    return pool(noise, 3, stride=1, padding=1) * 2


@pytest.mark.parametrize("shape", [(2, 1, 40, 52), (1, 1, 12, 20, 22)])
def test_ssim_is_that_of_scikit_image(shape):
    from skimage.metrics import structural_similarity

    output, target = smooth(shape), smooth(shape) + 0.3 * smooth(shape, 1)
    expected = [
        structural_similarity(
            a[0].double().numpy(), b[0].double().numpy(), data_range=4.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(output, target, strict=True)
    ]  # fmt: skip
    assert ssim_loss(output, target, 4.0).item() == pytest.approx(1 - np.mean(expected), abs=2e-5)
    assert ssim_loss(output, output, 4.0).item() == pytest.approx(0.0, abs=1e-6)


def test_ssim_of_thin_slabs():
    volume = smooth((1, 1, 4, 24, 24))
    assert 0 < ssim_loss(volume, volume + 0.1 * smooth(volume.shape, 1), 4.0).item() < 1


def test_ms_ssim_is_that_of_monai():
    from monai.metrics.regression import compute_ms_ssim

    output, target = smooth((2, 1, 176, 180)), smooth((2, 1, 176, 180)) + 0.5 * smooth((2, 1, 176, 180), 1)
    expected = compute_ms_ssim(output, target, 2, data_range=4.0).mean().item()
    assert ms_ssim_loss(output, target, 4.0).item() == pytest.approx(1 - expected, abs=1e-6)
    mixed = 0.85 * (1 - expected) + 0.15 * (output - target).abs().mean().item()
    assert ms_ssim_l1_loss(output, target, 4.0).item() == pytest.approx(mixed, abs=1e-6)


@pytest.mark.parametrize(("size", "scales"), [(11, 1), (21, 1), (22, 2), (44, 3), (88, 4), (176, 5), (512, 5)])
def test_small_patches_get_the_scales_that_fit(size, scales):
    assert scale_count((size, 600)) == scales
    if size < 100:
        image = smooth((1, 1, size, size))
        assert ms_ssim_loss(image, image, 2.0).item() == pytest.approx(0.0, abs=1e-5)
        assert 0 < ms_ssim_loss(image, image + 0.2 * smooth(image.shape, 1), 2.0).item() < 1


def test_slabs_slice_by_slice():
    output, target = smooth((2, 1, 3, 40, 40)), smooth((2, 1, 3, 40, 40), 1)
    slices = [ms_ssim_loss(output[:, :, k], target[:, :, k], 2.0).item() for k in range(3)]
    assert ms_ssim_loss(output, target, 2.0, slicewise=True).item() == pytest.approx(np.mean(slices), rel=1e-5)
    with pytest.raises(InputError, match="at least 11 voxels along every axis, not 3x40x40"):
        ms_ssim_loss(output, target, 2.0)


def test_the_gradient_of_opposite_images_is_finite():
    target = smooth((1, 1, 48, 48))
    output = (-target).requires_grad_(True)  # negative contrast similarity at every scale
    ms_ssim_loss(output, target, 2.0).backward()
    assert output.grad.isfinite().all()
