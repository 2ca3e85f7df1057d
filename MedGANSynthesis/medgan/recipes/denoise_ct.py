"""Low-dose CT denoising by content-noise complementary learning (CNCL).

Source: Geng et al., IEEE TMI 2022;41(2), doi 10.1109/TMI.2021.3113365. The ``published`` preset keeps the
architecture, the losses, the optimiser and the normalisation by the variance of each slice. ``recommended`` mends
what stands in its way: a fixed HU scale that keeps adjacent slices comparable, no normalisation layers and
position-independent upsampling (so that tiles equal the whole image), residual outputs, a weak adversarial term
that sets in after a regression phase, and averaged weights.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .. import augment
from ..intensity import AIR_HU, FixedScale, Scale, SliceStatistics
from ..network import NetworkSpec
from ..parameters import parameter
from ..tile_plan import Triple
from .base import Recipe

if TYPE_CHECKING:
    import numpy as np

    from ..objectives.base import Objective
    from ..sampling import Pair

PREDICTORS = ("unet", "dncnn", "srdensenet", "redcnn")


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
            "schedule": "constant",
            "averaging": 0.0,
            "patch_size": 512,
            "batch_size": 2,
            "epochs": 300,
            "dose_augmentation": 0.0,
            "kernel_augmentation": 0.0,
            "structure_augmentation": 0.0,
            "balance_noise": False,
            "flips": False,
        },
        "recommended": {
            "weight_adversarial": 0.02,
            "adversarial_start": 62,
            "learning_rate_generator": 5e-4,
            "learning_rate_discriminator": 1e-4,
            "epochs": 68,
        },
    }

    predictor_content: str = parameter(
        "unet", label="Content predictor", choices=PREDICTORS,
        help="Network of the branch that predicts the clean image; the published one is the U-Net.",
    )  # fmt: skip
    predictor_noise: str = parameter(
        "unet", label="Noise predictor", choices=PREDICTORS,
        help="Network of the branch that predicts the noise; the published one is the U-Net.",
    )  # fmt: skip
    base_width: int = parameter(
        24, label="Base width", minimum=4, maximum=256, unit="channels",
        help="Channels of (the first level of) each predictor; computation grows with its square.",
    )  # fmt: skip
    depth: int = parameter(
        3, label="Depth", minimum=1, maximum=6,
        help="Poolings of a U-Net, which pads image sizes to 2^depth; the layers of other predictors grow with it.",
    )  # fmt: skip
    normalisation: str = parameter(
        "none", label="Normalisation", choices=("none", "batch", "instance"),
        help=(
            "Normalisation layers. Instance normalisation depends on the whole image, "
            "so its tiles have to be blended."
        ),
    )  # fmt: skip
    upsampling: str = parameter(
        "bilinear", label="Upsampling", choices=("bilinear", "nearest", "bilinear-corners"),
        help="How a U-Net enlarges. 'bilinear-corners' is the published one and depends on the image size.",
    )  # fmt: skip
    residual: bool = parameter(
        True,
        label="Residual output",
        help="Predict the change instead of the image, which keeps HU where nothing is to do.",
    )
    published_head: bool = parameter(
        False, label="Published head", help="No activation between the last two convolutions of a U-Net, as published."
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
    weight_noise_channel: float = parameter(
        1.0, label="Noise channel weight", minimum=0.0, help="Weight of the noise image within L1; the content has 1."
    )
    balance_noise: bool = parameter(
        True, label="Balance noise", help="Let patches of little noise count as much in L1 as those of much noise."
    )
    balance_limit: float = parameter(
        8.0, label="Balance limit", minimum=1.0, maximum=100.0,
        help="Largest factor by which balancing raises or lowers the weight of a patch.",
    )  # fmt: skip
    patch_size: int = parameter(
        96, label="Patch size", minimum=32, maximum=1024, unit="pixels", help="Side of the square training patches."
    )
    dose_augmentation: float = parameter(
        0.5, label="Random dose", minimum=0.0, maximum=1.0,
        help="Share of the patches whose noise is scaled as if another dose had been drawn; 0 switches it off.",
    )  # fmt: skip
    lowest_dose: float = parameter(
        0.05, label="Lowest dose", minimum=0.01, maximum=0.9,
        help="Random doses lie between this fraction of the full dose and 95 %, if the dataset holds quarter doses.",
    )  # fmt: skip
    kernel_augmentation: float = parameter(
        0.3, label="Random sharpness", minimum=0.0, maximum=1.0,
        help="Share of the patches softened and re-textured, as other reconstruction kernels would show them.",
    )  # fmt: skip
    structure_augmentation: float = parameter(
        0.2, label="Foreign structure", minimum=0.0, maximum=1.0,
        help="Share of the patches whose anatomy is replaced by shrunken structure, which other scans may show.",
    )  # fmt: skip

    def build_generator(self) -> Any:
        """CNCL generator, input ``(batch, 2 * context_slices + 1, rows, columns)`` in network units."""
        from ..generators.cncl import CNCLGenerator
        from ..losses import initialise

        generator = CNCLGenerator(
            self.context_slices, self.base_width, self.depth, self.normalisation, self.upsampling, self.residual,
            self.published_head, self.predictor_content, self.predictor_noise,
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

    def source_scale(self) -> Scale:
        """Scaling between HU and network units."""
        if self.intensity == "fixed-hu":
            return FixedScale(0.0, 1000.0)
        return SliceStatistics(variance=self.intensity == "slice-variance")

    def network_spec(self) -> NetworkSpec:
        """A 2-D network; of its two outputs only the content is the result."""
        # Instance norm has no statistics of a single pixel, which the smallest image is at the bottom of the U-Net.
        pooled = "unet" in (self.predictor_content, self.predictor_noise)
        step = (2**self.depth if pooled else 1) * (2 if self.normalisation == "instance" else 1)
        return NetworkSpec(dimensions=2, context=self.context_slices, multiple=(1, step, step))

    def patch_shape(self) -> Triple:
        """A square."""
        return (1, self.patch_size, self.patch_size)

    def flip_axes(self) -> tuple[int, ...]:
        """Noise knows no left and right."""
        return (1, 2)

    def transposes(self) -> bool:
        """Neither has it rows and columns."""
        return True

    def augment(self, pair: Pair, generator: np.random.Generator) -> Pair:
        """Other anatomy, kernels and doses, see :mod:`medgan.augment`."""
        clean, noise = pair.target, pair.source - pair.target
        if generator.random() < self.structure_augmentation:
            wanted = (clean.shape[1], *[augment.LARGEST_SHRINKING * self.patch_size] * 2)
            clean = augment.structure(pair.regions(wanted), tuple(clean.shape[1:]), generator)
        if generator.random() < self.kernel_augmentation:
            clean, noise = augment.another_kernel(clean, noise, generator)
        if generator.random() < self.dose_augmentation:
            noise = noise * augment.noise_factor(generator, self.lowest_dose)
        # as scanners clip, or as low as it was
        noisy = (clean + noise).clip(min=min(AIR_HU, float(pair.source.min())))
        return dataclasses.replace(pair, source=noisy, target=clean)

    def objective(self) -> Objective:
        """Content and noise judged together."""
        from ..objectives.cncl import CNCLObjective

        return CNCLObjective(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DenoiseCT:
        """As :meth:`Recipe.from_dict`; bundles of MedGAN 0.1 named the schedule otherwise and had no shares."""
        values = dict(values)
        if "learning_rate_decay" in values:
            values["schedule"] = "cosine" if values.pop("learning_rate_decay") else "constant"
        for name in ("dose_augmentation", "kernel_augmentation", "structure_augmentation"):
            if isinstance(values.get(name), bool):
                values[name] = float(values[name])
        return super().from_dict(values)
