"""Feature losses: what is compared, that nothing but the output gets a gradient, and absent weights."""

from pathlib import Path

import pytest
import torch
from medgan.bundle import Bundle
from medgan.errors import InputError
from medgan.generators.layers import ScalarNorm
from medgan.perceptual import VGG19, FeatureLoss, VGGFeatureLoss, monai_perceptual
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

MODELS = Path(__file__).resolve().parents[2] / "MedGANSynthesis" / "Resources" / "Models"


def unit(features):
    return features / features.norm(dim=1, keepdim=True)


def encoder(dimensions=2, channels=1):
    torch.manual_seed(0)
    convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
    return nn.Sequential(
        convolution(channels, 4, 3, padding=1), nn.LeakyReLU(0.2), convolution(4, 6, 3, 2), nn.Dropout(0.5)
    )


def test_activations_are_normalised_and_compared():
    network = encoder()
    loss = FeatureLoss(network, ["1", "2"])
    output, target = torch.randn(2, 2, 1, 9, 9)
    with torch.no_grad():
        first = [unit(network[:2](image)) for image in (output, target)]
        second = [unit(network[:3](image)) for image in (output, target)]
    expected = (functional.l1_loss(*first) + functional.l1_loss(*second)) / 2
    torch.testing.assert_close(loss(output, target), expected)
    assert loss(output, output).item() == 0.0


def test_only_the_output_gets_a_gradient_and_dropout_stays_off():
    loss = FeatureLoss(encoder(), ["3"]).train()
    output, target = (image.requires_grad_(True) for image in torch.randn(2, 1, 1, 9, 9))
    value = loss(output, target)
    torch.testing.assert_close(loss(output, target), value)
    value.backward()
    assert output.grad.any()
    assert target.grad is None
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_volumes_go_slice_by_slice_through_a_network_of_images():
    loss = FeatureLoss(encoder(2, 3), ["2"])  # one channel is repeated to three
    output, target = torch.randn(2, 1, 1, 4, 9, 9)
    slices = [loss(output[:, :, k], target[:, :, k]) for k in range(4)]
    torch.testing.assert_close(loss(output, target), torch.stack(slices).mean())
    whole = FeatureLoss(encoder(3), ["2"])
    assert whole(output, target).item() > 0


def test_values_are_prepared_for_the_network():
    network = encoder()
    output, target = torch.randn(2, 1, 1, 9, 9)
    prepared = FeatureLoss(network, ["2"], prepare=lambda image: 3 * image + 1)(output, target)
    torch.testing.assert_close(prepared, FeatureLoss(network, ["2"])(3 * output + 1, 3 * target + 1))


def test_a_bundle_lends_its_encoder():
    bundle = Bundle.load(MODELS / "denoise-ct-multi")
    loss = FeatureLoss.from_bundle(bundle)
    levels = len(bundle.build_generator().content.encoder)
    assert loss.layers == tuple(f"content.encoder.{level}" for level in range(levels))
    image = torch.rand(1, 1, 32, 32)
    blurred = functional.avg_pool2d(image, 3, 1, 1)
    assert loss(image, image).item() == 0.0
    assert loss(blurred, image).item() > loss(image + 0.01 * torch.randn_like(image), image).item() > 0


def test_absent_layers():
    with pytest.raises(InputError, match="no layer 'decoder'"):
        FeatureLoss(encoder(), ["decoder"])
    with pytest.raises(InputError, match="name some of its modules"):
        FeatureLoss(ScalarNorm(), [])


@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory):
    """A state dictionary in torchvision's layout; the real one is not ours to ship."""
    torch.manual_seed(0)
    state, index, channels = {}, 0, 3
    for entry in VGG19:
        if entry == "M":
            index += 1
            continue
        deviation = (2 / (9 * channels)) ** 0.5
        state[f"features.{index}.weight"] = torch.randn(entry, channels, 3, 3) * deviation
        state[f"features.{index}.bias"] = torch.zeros(entry)
        index, channels = index + 2, entry
    state["classifier.0.weight"] = torch.zeros(1)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(state, path)
    return path


def test_vgg_has_its_published_size(vgg_weights):
    loss = VGGFeatureLoss("full", vgg_weights)
    assert sum(parameter.numel() for parameter in loss.parameters()) == 20_024_384  # the convolutions of VGG19
    with torch.no_grad():
        assert loss.features(torch.zeros(1, 1, 64, 64))[0].shape == (1, 512, 2, 2)


def test_vgg_full_is_the_mean_squared_error_after_the_last_pooling(vgg_weights):
    loss = VGGFeatureLoss("full", vgg_weights)
    output, target = torch.rand(2, 1, 1, 32, 32)
    with torch.no_grad():
        features = [loss.network(image.repeat(1, 3, 1, 1)) for image in (output, target)]
        torch.testing.assert_close(loss(output, target), functional.mse_loss(*features))


def test_vgg_taps_follow_their_convolutions(vgg_weights):
    loss = VGGFeatureLoss("taps", vgg_weights)
    image = torch.rand(1, 3, 32, 32).requires_grad_(True)
    features = loss.features(image)
    # relu1_1, 2_1, 3_1, 4_1 and 5_1: one more halving each
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]
    assert all((feature >= 0).all() for feature in features)
    volume = torch.rand(1, 1, 2, 32, 32)
    with torch.no_grad():
        slices = [loss(volume[:, :, k], -volume[:, :, k]) for k in range(2)]
        torch.testing.assert_close(loss(volume, -volume), torch.stack(slices).mean())
    loss(image, image.detach() * 0.5).backward()
    assert image.grad.any()


@pytest.mark.parametrize("kind", ["full", "taps"])
def test_absent_vgg_weights_are_a_sentence(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"VGG19 are not on this computer .*checkpoints"):
        VGGFeatureLoss(kind)
    assert not list(tmp_path.rglob("*.pth"))  # nothing was downloaded either


def test_damaged_and_foreign_weights(tmp_path):
    damaged, foreign = tmp_path / "vgg19.pth", tmp_path / "vgg19.safetensors"
    damaged.write_bytes(b"not weights")
    with pytest.raises(InputError, match="cannot be read as weights"):
        VGGFeatureLoss("full", damaged)
    save_file({"features.0.weight": torch.zeros(1)}, foreign)
    with pytest.raises(InputError, match="not those of torchvision's VGG19"):
        VGGFeatureLoss("full", foreign)
    with pytest.raises(InputError, match="no VGG loss 'half'"):
        VGGFeatureLoss("half", foreign)


def test_absent_monai_weights_are_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for network, dimensions in (("medicalnet_resnet10_23datasets", 3), ("radimagenet_resnet50", 2)):
        with pytest.raises(InputError, match=f"weights of {network} are not on this computer"):
            monai_perceptual(network, dimensions)
    with pytest.raises(InputError, match="no perceptual network 'alex'"):
        monai_perceptual("alex")
    with pytest.raises(InputError, match="for 2 dimensions"):
        monai_perceptual("medicalnet_resnet10_23datasets", 2)


HUBCONF = """
import torch

def medicalnet_resnet10_23datasets(cache_dir=None):
    network = torch.nn.Conv3d(1, 4, 3)
    network.load_state_dict(torch.load(torch.hub.get_dir() + "/monai_checkpoints/medicalnet_resnet_10_23dataset.pth"))
    return network
"""


def test_monai_weights_that_are_there_are_used(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    hub = tmp_path / "hub"
    (hub / "Project-MONAI_perceptual-models_main").mkdir(parents=True)
    (hub / "Project-MONAI_perceptual-models_main" / "hubconf.py").write_text(HUBCONF)
    (hub / "monai_checkpoints").mkdir()
    weights = hub / "monai_checkpoints" / "medicalnet_resnet_10_23dataset.pth"
    torch.save(nn.Conv3d(1, 4, 3).state_dict(), weights)
    with pytest.warns(UserWarning, match="channel-wise"):
        loss = monai_perceptual("medicalnet_resnet10_23datasets")
    output, target = torch.randn(2, 1, 1, 8, 8, 8)
    assert loss(output, target).item() > 1e-3 > loss(target, target).item()
    torch.save({"weight": Path}, weights)  # runs code when it is unpickled
    with pytest.raises(InputError, match="cannot be read as weights"):
        monai_perceptual("medicalnet_resnet10_23datasets")
