"""Feature losses: images compared by what a frozen network makes of them.

Weights are only ever read from this disk: what is absent is an error that says where it belongs, never a download and
never a loss of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import InputError, MedGANError, missing_package

if TYPE_CHECKING:
    from .bundle import Bundle

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
# channels of the convolutions of VGG19, "M" a halving (Simonyan & Zisserman 2015)
VGG19 = (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *(512,) * 4, "M", *(512,) * 4, "M")
VGG19_FILE = "vgg19-dcbb9e9d.pth"  # as torchvision names it
# relu1_1 ... relu5_1 and their weights in pix2pixHD
VGG_TAPS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}
MEDICALNET = "medicalnet_resnet10_23datasets"
# networks of MONAI's PerceptualLoss and where its torch.hub code puts their weights
MONAI_HUB = "Project-MONAI_perceptual-models_main"
MONAI_FILES = {
    MEDICALNET: "monai_checkpoints/medicalnet_resnet_10_23dataset.pth",
    "medicalnet_resnet50_23datasets": "monai_checkpoints/medicalnet_resnet50_23datasets.pth",
    "radimagenet_resnet50": "monai_checkpoints/RadImageNet-ResNet50_notop.pth",
}


class FeatureLoss(nn.Module):
    """Mean L1 between the activations of a frozen network on two images, each normalised over its channels.

    Normalised activations (unit length at every voxel, as in LPIPS) make layers of any size comparable; with the
    encoder of a segmentation network this is the loss of the best MR-to-CT systems of SynthRAD2025.

    Args:
        network: any module that takes the images; it is frozen and stays in evaluation mode.
        layers: names of submodules (as ``named_modules`` gives them) whose outputs are compared.
        prepare: turns network units of the training into what this network takes; None changes nothing.

    Shape:
        output and target ``(batch, channels, *sizes)``, as the network takes them. A network of two dimensions takes a
        volume slice by slice, and one channel is repeated to as many as its first convolution wants.

    Raises:
        InputError: the network has no such layer.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str], prepare: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.prepare = prepare
        self.layers = tuple(layers)
        modules = dict(network.named_modules())
        absent = [name for name in self.layers if name not in modules]
        if absent or not self.layers:
            raise InputError(
                f"The feature network has no layer '{absent[0] if absent else ''}'; name some of its modules."
            )
        first = next((layer for layer in network.modules() if isinstance(layer, nn.modules.conv._ConvNd)), None)
        self.first = (first.in_channels, first.weight.ndim) if first is not None else None
        self._activations: dict[str, Tensor] = {}
        for name in self.layers:
            modules[name].register_forward_hook(self._keep(name))

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, layers: Sequence[str] | None = None, prepare: Callable[[Tensor], Tensor] | None = None
    ) -> FeatureLoss:
        """The loss by the generator of a bundle; by default by all levels of its (first) encoder.

        Raises:
            BundleError: the bundle cannot be loaded. InputError: its generator has no encoder and no layers are named.
        """
        generator = bundle.build_generator()
        if layers is None:
            encoders = (name for name, part in generator.named_modules() if name.split(".")[-1] == "encoder")
            encoder = next(encoders, None)
            if encoder is None:
                raise InputError(f"The generator of '{bundle.title}' has no encoder; name the layers to compare.")
            layers = [f"{encoder}.{name}" for name, _ in generator.get_submodule(encoder).named_children()]
        return cls(generator, layers, prepare)

    def train(self, mode: bool = True) -> FeatureLoss:
        """Stays in evaluation mode: dropout and batch statistics would change what is compared."""
        return super().train(False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        made = self.features(output)
        with torch.no_grad():
            true = self.features(target)
        distances = [functional.l1_loss(_unit(made[name]), _unit(true[name])) for name in self.layers]
        return torch.stack(distances).mean()

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Activations of each layer."""
        if self.prepare is not None:
            image = self.prepare(image)
        if self.first is not None:
            channels, dimensions = self.first
            if image.ndim == dimensions + 1:
                image = image.transpose(1, 2).flatten(0, 1)
            if image.shape[1] == 1 < channels:
                image = image.expand(-1, channels, *image.shape[2:])
        self._activations = {}
        self.network(image)
        activations, self._activations = self._activations, {}
        return activations

    def _keep(self, name: str) -> Callable[[nn.Module, tuple, Tensor], None]:
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            self._activations[name] = output

        return hook


class VGGFeatureLoss(nn.Module):
    """Distance of VGG19 activations, in the two ways of the source systems.

    Args:
        kind: "full": mean squared error after the last pooling, images as they are (MR to CT as published).
            "taps": L1 at relu1_1 to relu5_1 with the weights of pix2pixHD, images normalised as for ImageNet.
        weights: file of torchvision's VGG19 (.pth, read without pickle code, or .safetensors); None looks where torch
            keeps its downloads.

    Shape:
        output and target ``(batch, 1 or 3, rows, columns)`` between -1 and 1; volumes slice by slice.

    Raises:
        InputError: the weights are not there, or are not those of VGG19.
    """

    def __init__(self, kind: str = "full", weights: str | Path | None = None):
        super().__init__()
        if kind not in ("full", "taps"):
            raise InputError(f"There is no VGG loss '{kind}'; there are 'full' and 'taps'.")
        self.kind = kind
        path = Path(weights) if weights else Path(torch.hub.get_dir()) / "checkpoints" / VGG19_FILE
        self.network = vgg19_features(_read_weights(path)).eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION)[:, None, None], persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        made = self.features(output)
        with torch.no_grad():
            true = self.features(target)
        if self.kind == "full":
            return functional.mse_loss(made[-1], true[-1])
        weighted = zip(VGG_TAPS.values(), made, true, strict=True)
        return sum(weight * functional.l1_loss(first, second) for weight, first, second in weighted)

    def features(self, image: Tensor) -> list[Tensor]:
        """Activations that are compared."""
        if image.ndim == 5:
            image = image.transpose(1, 2).flatten(0, 1)
        image = image.expand(-1, 3, -1, -1)
        if self.kind == "full":
            return [self.network(image)]
        image = ((image + 1) / 2 - self.mean) / self.deviation
        activations = []
        for index, layer in enumerate(self.network[: max(VGG_TAPS) + 1]):
            image = layer(image)
            if index in VGG_TAPS:
                activations.append(image)
        return activations


def vgg19_features(state: dict[str, Tensor]) -> nn.Sequential:
    """The convolutional part of VGG19 with the weights of torchvision's state dictionary.

    Raises:
        InputError: they do not fit.
    """
    layers: list[nn.Module] = []
    channels = 3
    for entry in VGG19:
        if entry == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, entry, 3, padding=1), nn.ReLU()]
            channels = entry
    network = nn.Sequential(*layers)
    prefix = "features."
    state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError("The weights are not those of torchvision's VGG19; download that file again.") from error
    return network


def monai_perceptual(network: str = MEDICALNET, dimensions: int = 3) -> nn.Module:
    """MONAI's ``PerceptualLoss`` for a network whose weights are on this disk.

    Args:
        network: "medicalnet_resnet10_23datasets", "medicalnet_resnet50_23datasets" (volumes) or
            "radimagenet_resnet50" (slices; volumes by slices along all three axes).
        dimensions: 2 or 3.

    Raises:
        InputError: no such network, or it was never downloaded.
        MedGANError: MONAI is not installed.
    """
    volumes_only = network.startswith("medicalnet")
    if network not in MONAI_FILES or (dimensions == 2 and volumes_only):
        raise InputError(f"There is no perceptual network '{network}' for {dimensions} dimensions.")
    try:
        from monai.losses import PerceptualLoss
    except ImportError as error:
        raise MedGANError(missing_package(error)) from error
    hub = Path(torch.hub.get_dir())
    weights = hub / MONAI_FILES[network]
    if not (hub / MONAI_HUB).is_dir() or not weights.is_file():
        raise InputError(
            f"The weights of {network} are not on this computer ({weights}); let MONAI's PerceptualLoss download them "
            "once with a network connection, or set the perceptual weight to 0."
        )
    _read_weights(weights)  # the code there loads it in whatever way torch does by default: refuse a pickle before
    return PerceptualLoss(dimensions, network, is_fake_3d=dimensions == 3 and not volumes_only)


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-10).sqrt()


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(
            f"The weights of VGG19 are not on this computer ({path}); put torchvision's {VGG19_FILE} there, or set the "
            "perceptual weight to 0."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise many kinds for a damaged file
        raise InputError(f"{path} cannot be read as weights; download the file again.") from error
