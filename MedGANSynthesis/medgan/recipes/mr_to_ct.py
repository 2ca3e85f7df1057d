"""Synthetic CT from MR by a U-Net with L1, perceptual and adversarial loss.

Source: the notebooks MK6 of "MRI to CT synthesis" (pix2pix on SynthRAD2023 brains). The ``published`` preset is its
best model, MK6.3.4, with what its authors meant where the code did otherwise (schedule stepped by epoch, networks kept
in training mode, anatomy mirrored left to right only). ``recommended`` follows the winners of SynthRAD2025: slices
with their neighbours in all three planes, whose results are averaged, L1 inside the body, the MR scaled by percentiles
of the whole volume, HU to 3071, and no discriminator. The residual U-Net in three dimensions learnt slower on a CPU.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import InputError
from ..intensity import AIR_HU, PercentileScale, Scale, SliceRange
from ..network import NetworkSpec
from ..parameters import parameter
from ..tile_plan import Triple
from .synthetic_ct import SyntheticCT

if TYPE_CHECKING:
    from ..objectives.base import Objective
    from ..sampling import Pair

PLANES = {"axial": (0,), "coronal": (1,), "sagittal": (2,), "all": (0, 1, 2)}


@dataclass(frozen=True)
class MRToCT(SyntheticCT):
    """Parameters of the task ``mr-to-ct``; field metadata holds label, help, unit and range of each."""

    TASK: ClassVar[str] = "mr-to-ct"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "network": "unet",
            "dimensions": 2,
            "base_width": 64,
            "depth": 5,
            "normalisation": "batch",
            "dropout": 0.05,
            "working_spacing": 1.0,
            "patch_size": 256,
            "ct_low": -1000.0,
            "ct_high": 1000.0,
            "mr_normalisation": "slice-range",
            "contrast_augmentation": False,
            "weight_l1": 9.0,
            "perceptual": "vgg",
            "weight_perceptual": 9.0,
            "weight_adversarial": 1.0,
            "adversarial_loss": "bce",
            "gradient_penalty": "wgan-gp-sigmoid",
            "weight_gradient_penalty": 9.0,
            "conditional": False,
            "discriminator_width": 64,
            "discriminator_dropout": 0.1,
            "discriminator_normalisation": "batch",
            "discriminator_first": True,
            "generator_steps": 3,
            "learning_rate_generator": 2e-5,
            "learning_rate_discriminator": 3.9e-5,
            "schedule": "warm-restarts",
            "schedule_rate": 0.05,
            "averaging": 0.0,
            "batch_size": 32,
            "epochs": 13,
            "steps_per_epoch": 183,
            "rotation_degrees": 10.0,
        },
        "recommended": {
            "network": "unet",
            "dimensions": 2,
            "context_slices": 3,
            "planes": "all",
            "base_width": 32,
            "normalisation": "batch",
            "weight_adversarial": 0.0,
            "adversarial_start": 30,
            "learning_rate_generator": 1e-3,
            "learning_rate_discriminator": 1e-4,
            "beta1": 0.9,
            "batch_size": 24,
            "epochs": 60,
            "steps_per_epoch": 50,
            "rotation_degrees": 10.0,
        },
    }

    network: str = parameter(
        "residual-unet", label="Network", choices=("residual-unet", "unet"),
        help="'unet' is the published one; 'residual-unet' has no normalisation and is the same at every position.",
    )  # fmt: skip
    dimensions: int = parameter(
        3, label="Dimensions", choices=(2, 3), help="2 works on slices (with context, 2.5-D), 3 on blocks."
    )
    base_width: int = parameter(
        16, label="Base width", minimum=4, maximum=256, unit="channels", help="Channels of the first level."
    )
    largest_width: int = parameter(
        80, label="Largest width", minimum=4, maximum=1024, unit="channels",
        help="No level of the residual U-Net has more channels.",
    )  # fmt: skip
    depth: int = parameter(4, label="Depth", minimum=1, maximum=7, help="Halvings of the image.")
    slope: float = parameter(
        0.14, label="LeakyReLU slope", minimum=0.0, maximum=1.0, help="Of the published network, for negative values."
    )
    normalisation: str = parameter(
        "none", label="Normalisation", choices=("none", "batch", "instance"),
        help="Layers of the published network; tiles have to be blended with 'instance'.",
    )  # fmt: skip
    dropout: float = parameter(
        0.0, label="Dropout", minimum=0.0, maximum=0.9, help="Probability after every block of the published network."
    )
    planes: str = parameter(
        "axial", label="Planes", choices=tuple(PLANES),
        help="Slices a 2-D network is trained on and applied to; 'all' averages the results of the three directions.",
    )  # fmt: skip
    context_slices: int = parameter(
        0, label="Context slices", minimum=0, maximum=4, unit="slices",
        help="Neighbouring slices on each side given to a 2-D network (2.5-D).",
    )  # fmt: skip
    patch_size: int = parameter(
        64, label="Patch size", minimum=16, maximum=1024, unit="voxels",
        help="Side of the training patches, squares or cubes.",
    )  # fmt: skip
    mr_normalisation: str = parameter(
        "volume-percentiles", label="MR normalisation", choices=("volume-percentiles", "slice-range"),
        help="'slice-range' is published, for axial slices only; adjacent slices then differ in brightness.",
    )  # fmt: skip
    contrast_augmentation: bool = parameter(
        True, label="Random contrast", help="Change brightness, contrast curve and noise of each MR patch at random."
    )
    perceptual: str = parameter(
        "none", label="Perceptual loss", choices=("none", "vgg", "features"),
        help="'vgg' compares VGG19 activations (published), 'features' those of the generator of another CT model.",
    )  # fmt: skip
    weight_perceptual: float = parameter(
        1.0, label="Perceptual weight", minimum=0.0, help="Weight of the perceptual loss."
    )
    perceptual_network: str = parameter(
        "", label="Perceptual network",
        help="Name or folder of the CT model for 'features'; for 'vgg' the file of weights, empty for torch's place.",
    )  # fmt: skip
    discriminator_width: int = parameter(
        24, label="Discriminator width", minimum=4, maximum=256, unit="channels", help="Channels of its first layer."
    )
    discriminator_dropout: float = parameter(
        0.0, label="Discriminator dropout", minimum=0.0, maximum=0.9, help="After every block, two dimensions only."
    )
    discriminator_normalisation: str = parameter(
        "instance", label="Discriminator normalisation", choices=("none", "batch", "instance"),
        help="A gradient penalty asks for another one than 'batch', which is published.",
    )  # fmt: skip

    def check(self) -> None:
        """See :meth:`Recipe.check`."""
        if self.dimensions == 3 and (self.network == "unet" or self.context_slices or self.planes != "axial"):
            raise InputError(
                "The published U-Net, context slices and planes are for 2-D networks; set dimensions to 2, "
                "or network to residual-unet, context_slices to 0 and planes to axial."
            )
        if self.mr_normalisation == "slice-range" and self.planes != "axial":
            raise InputError(
                "The range of each slice can only be taken of axial slices; set mr_normalisation to "
                "volume-percentiles, or planes to axial."
            )
        if self.perceptual == "features" and self.weight_perceptual and not self.perceptual_network:
            raise InputError(
                "A perceptual loss by features needs a CT model; name it in perceptual_network, or set perceptual to "
                "none."
            )

    def build_generator(self) -> Any:
        """Network on ``(batch, 2 * context_slices + 1, j, i)`` or ``(batch, 1, k, j, i)``."""
        from ..generators.residual_unet import ResidualUNet
        from ..generators.unet_mrct import UNetMRCT

        channels = 2 * self.context_slices + 1
        if self.network == "residual-unet":
            return ResidualUNet(
                self.dimensions, channels, 1, self.base_width, self.depth, upsampling="linear",
                largest_width=self.largest_width,
            )  # fmt: skip
        return UNetMRCT(channels, 1, self.base_width, self.depth, self.slope, self.dropout, self.normalisation)

    def build_discriminator(self) -> Any:
        """PatchGAN on the CT, and the MR beside it if conditional."""
        from ..discriminators import MRCTDiscriminator, PatchGAN

        condition = 2 * self.context_slices + 1 if self.conditional else 0
        width, kind = self.discriminator_width, self.discriminator_normalisation
        if self.dimensions == 3:
            return PatchGAN(1, condition, width, 3, kind, dimensions=3)
        return MRCTDiscriminator(1, condition, width, self.discriminator_dropout, kind)

    def network_spec(self) -> NetworkSpec:
        """Canonical axes, so that slices are axial whatever the acquisition was."""
        # Instance norm has no statistics of a single pixel, which the smallest image is at the bottom of the U-Net.
        step = 2**self.depth * (2 if self.network == "unet" and self.normalisation == "instance" else 1)
        planes = PLANES[self.planes]
        flat = self.dimensions == 2 and len(planes) == 1
        return NetworkSpec(
            dimensions=self.dimensions,
            context=self.context_slices,
            multiple=tuple(1 if flat and axis in planes else step for axis in range(3)),
            planes=planes,
            canonical=True,
            spacing_mm=(self.working_spacing,) * 3 if self.working_spacing else None,
            body_only=self.mask,
        )

    def source_scale(self) -> Scale:
        """MR to about -1 .. 1."""
        return SliceRange() if self.mr_normalisation == "slice-range" else PercentileScale()

    def patch_shape(self) -> Triple:
        """A square of a slice, or a cube."""
        return (1 if self.dimensions == 2 else self.patch_size, self.patch_size, self.patch_size)

    def augment(self, pair: Pair, generator: np.random.Generator) -> Pair:
        """CT clipped to its window, air outside the body; the MR as another scanner might show it."""
        target = pair.target.clip(self.ct_low, self.ct_high)
        if self.mask and pair.mask is not None:
            target = target.where(pair.mask > 0.5, target.new_tensor(max(self.ct_low, AIR_HU)))
        source = _another_look(pair, generator) if self.contrast_augmentation else pair.source
        return dataclasses.replace(pair, source=source, target=target)

    def objective(self) -> Objective:
        """L1 and perceptual loss inside the body, and a discriminator."""
        from ..objectives.mrct import MRCTObjective

        return MRCTObjective(self)


def _another_look(pair: Pair, generator: np.random.Generator) -> Any:
    """The source with another brightness, contrast curve and noise."""
    from .. import augment

    share = (pair.fitted.forward(pair.source, pair.slices) + 1) / 2
    share = share.clip(min=0.0) ** math.exp(generator.normal(0.0, 0.15)) * generator.uniform(0.85, 1.15)
    share = share + generator.uniform(0.0, 0.03) * augment.white_noise(share, generator)
    changed = pair.fitted.inverse(2 * share - 1, pair.slices)
    return changed if pair.mask is None else changed.where(pair.mask > 0.5, pair.source)
