"""Low-dose CT denoising by content-noise complementary learning (CNCL).

Source: Geng et al., IEEE TMI 2022;41(2), doi 10.1109/TMI.2021.3113365. The ``published`` preset keeps the
architecture, the losses, the optimiser and the normalisation by the variance of each slice. ``recommended`` mends
what stands in its way: a fixed HU scale that keeps adjacent slices comparable, no normalisation layers and
position-independent upsampling (so that tiles equal the whole image), residual outputs, a weak adversarial term
that sets in after a regression phase, and averaged weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..intensity import FixedScale, SliceStatistics
from ..network import NetworkSpec
from ..parameters import parameter
from .base import Recipe


@dataclass(frozen=True)
class DenoiseCT(Recipe):
    """Parameters of the task ``denoise-ct``; field metadata holds label, help, unit and range of each."""

    TASK: ClassVar[str] = "denoise-ct"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "base_width": 64,
            "depth": 4,
            "normalisation": "batch",
            "upsampling": "bilinear-corners",
            "residual": False,
            "published_head": True,
            "intensity": "slice-variance",
            "weight_adversarial": 1.0,
            "adversarial_start": 0,
            "learning_rate_generator": 2e-5,
            "learning_rate_discriminator": 2e-5,
            "learning_rate_decay": False,
            "averaging": 0.0,
            "patch_size": 512,
            "batch_size": 2,
            "epochs": 300,
            "dose_augmentation": False,
            "kernel_augmentation": False,
            "structure_augmentation": False,
            "balance_noise": False,
            "flips": False,
        },
        "recommended": {},
    }

    base_width: int = parameter(
        24, label="Base width", minimum=4, maximum=256, unit="channels",
        help="Channels of the first level of each U-Net; computation grows with its square.",
    )  # fmt: skip
    depth: int = parameter(
        3, label="Depth", minimum=1, maximum=6, help="Poolings of each U-Net; image sizes are padded to 2^depth."
    )
    normalisation: str = parameter(
        "none", label="Normalisation", choices=("none", "batch", "instance"),
        help=(
            "Normalisation layers. Instance normalisation depends on the whole image, "
            "so its tiles have to be blended."
        ),
    )  # fmt: skip
    upsampling: str = parameter(
        "bilinear", label="Upsampling", choices=("bilinear", "nearest", "bilinear-corners"),
        help="How the decoder enlarges. 'bilinear-corners' is the published one and depends on the image size.",
    )  # fmt: skip
    residual: bool = parameter(
        True,
        label="Residual output",
        help="Predict the change instead of the image, which keeps HU where nothing is to do.",
    )
    published_head: bool = parameter(
        False, label="Published head", help="No activation between the last two convolutions, as in the source."
    )
    context_slices: int = parameter(
        0, label="Context slices", minimum=0, maximum=4, unit="slices",
        help="Neighbouring slices on each side given to the network (2.5-D); needs thin, contiguous slices.",
    )  # fmt: skip
    intensity: str = parameter(
        "fixed-hu", label="Intensity scale", choices=("fixed-hu", "slice-variance", "slice-deviation"),
        help="'fixed-hu' divides by 1000 HU; 'slice-variance' is the published normalisation of each slice.",
    )  # fmt: skip
    discriminator_width: int = parameter(
        64, label="Discriminator width", minimum=4, maximum=256, unit="channels", help="Channels of its first layer."
    )
    weight_l1: float = parameter(100.0, label="L1 weight", minimum=0.0, help="Weight of the mean absolute error.")
    weight_adversarial: float = parameter(
        0.02,
        label="Adversarial weight",
        minimum=0.0,
        help="Weight of the LSGAN term; higher is sharper and less exact.",
    )
    weight_noise_channel: float = parameter(
        1.0, label="Noise channel weight", minimum=0.0, help="Weight of the noise image within L1; the content has 1."
    )
    balance_noise: bool = parameter(
        True, label="Balance noise", help="Let patches of little noise count as much in L1 as those of much noise."
    )
    adversarial_start: int = parameter(
        62,
        label="Adversarial start",
        minimum=0,
        unit="epochs",
        help="Epochs of pure regression before the GAN sets in.",
    )
    learning_rate_generator: float = parameter(
        5e-4, label="Generator learning rate", minimum=0.0, maximum=1.0, help="Adam step size of the generator."
    )
    learning_rate_discriminator: float = parameter(
        1e-4, label="Discriminator learning rate", minimum=0.0, maximum=1.0, help="Adam step size of the discriminator."
    )
    learning_rate_decay: bool = parameter(
        True, label="Decay", help="Lower both learning rates to zero along a half cosine over all epochs."
    )
    beta1: float = parameter(0.5, label="Adam beta 1", minimum=0.0, maximum=1.0, help="Momentum of both optimisers.")
    beta2: float = parameter(0.999, label="Adam beta 2", minimum=0.0, maximum=1.0, help="Second-moment decay of both.")
    averaging: float = parameter(
        0.998, label="Weight averaging", minimum=0.0, maximum=1.0,
        help="Decay of the running average of generator weights that is validated and shipped; 0 switches it off.",
    )  # fmt: skip
    patch_size: int = parameter(
        96, label="Patch size", minimum=32, maximum=1024, unit="pixels", help="Side of the square training patches."
    )
    batch_size: int = parameter(8, label="Batch size", minimum=1, maximum=512, help="Patches per step.")
    epochs: int = parameter(68, label="Epochs", minimum=1, help="Training length; an epoch ends with a validation.")
    steps_per_epoch: int = parameter(
        100, label="Steps per epoch", minimum=1, help="Optimiser steps between validations."
    )
    dose_augmentation: bool = parameter(
        True,
        label="Random dose",
        help="Scale the noise of each patch at random, as if doses between 10 and 95 % were drawn.",
    )
    kernel_augmentation: bool = parameter(
        True,
        label="Random sharpness",
        help="Soften and re-texture some patches, as other reconstruction kernels would.",
    )
    structure_augmentation: bool = parameter(
        True,
        label="Foreign structure",
        help="Replace the anatomy of some patches by shrunken, re-scaled structure, which other scans may show.",
    )
    flips: bool = parameter(True, label="Flips", help="Mirror and transpose patches at random.")
    seed: int = parameter(0, label="Seed", minimum=0, help="The same seed on the same device gives the same training.")

    def build_generator(self) -> Any:
        """CNCL generator, input ``(batch, 2 * context_slices + 1, rows, columns)`` in network units."""
        from ..generators.cncl import CNCLGenerator
        from ..losses import initialise

        generator = CNCLGenerator(
            self.context_slices, self.base_width, self.depth, self.normalisation, self.upsampling, self.residual,
            self.published_head,
        )  # fmt: skip
        initialise(generator, None if self.normalisation == "none" else 0.02)
        if self.residual:
            generator.start_from_input()
        return generator

    def build_discriminator(self) -> Any:
        """Conditional PatchGAN on (content, noise) and the noisy input."""
        from ..discriminators import CNCLDiscriminator
        from ..losses import initialise

        discriminator = CNCLDiscriminator(2 * self.context_slices + 1, self.discriminator_width)
        initialise(discriminator)
        return discriminator

    def intensity_scale(self) -> FixedScale | SliceStatistics:
        """Scaling between HU and network units."""
        if self.intensity == "fixed-hu":
            return FixedScale(0.0, 1000.0)
        return SliceStatistics(variance=self.intensity == "slice-variance")

    def network_spec(self) -> NetworkSpec:
        """A 2-D network; of its two outputs only the content is the result."""
        # Instance norm has no statistics of a single pixel, which the smallest image is at the bottom of the U-Net.
        step = 2**self.depth * (2 if self.normalisation == "instance" else 1)
        return NetworkSpec(dimensions=2, context=self.context_slices, multiple=(1, step, step))
