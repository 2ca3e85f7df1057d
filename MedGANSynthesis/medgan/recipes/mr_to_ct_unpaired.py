"""Synthetic CT from MR by CycleGAN, from MRs and CTs of different people.

Source: Zhu et al., ICCV 2017, arXiv 1703.10593, with the layers and settings of its PyTorch version. ``published`` is
that system on slices; ``recommended`` is smaller and has no normalisation layers, so that it looks the same at every
position. Pairs are better where they can be had (a benchmark on SynthRAD2025 has pix2pix at SSIM .868 and CycleGAN at
.838 on heads): this is for where they cannot.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..intensity import PercentileScale, Scale
from ..network import NetworkSpec
from ..parameters import parameter
from ..tile_plan import Triple
from .synthetic_ct import SyntheticCT

if TYPE_CHECKING:
    import numpy as np

    from ..objectives.base import Objective
    from ..sampling import Pair


@dataclass(frozen=True)
class MRToCTUnpaired(SyntheticCT):
    """Parameters of the task ``mr-to-ct-unpaired``; field metadata holds label, help, unit and range of each."""

    TASK: ClassVar[str] = "mr-to-ct-unpaired"
    PAIRED: ClassVar[bool] = False
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "base_width": 64,
            "blocks": 9,
            "normalisation": "instance",
            "discriminator_width": 64,
            "working_spacing": 1.0,
            "patch_size": 256,
            "schedule": "linear",
            "schedule_start": 100,
            "averaging": 0.0,
            "batch_size": 1,
            "epochs": 200,
            "steps_per_epoch": 1000,
        },
        "recommended": {
            "schedule": "linear",
            "schedule_start": 30,
            "batch_size": 4,
            "epochs": 60,
            "gradient_clip": 10.0,
        },
    }

    conditional: bool = parameter(
        False,
        label="Conditional",
        choices=(False,),
        help="Always off: there is no source that belongs to a real image.",
    )
    weight_l1: float = parameter(
        0.0, label="L1 weight", minimum=0.0, maximum=0.0, help="Always 0: there is no image to compare with."
    )
    weight_feature_matching: float = parameter(
        0.0, label="Feature matching weight", minimum=0.0, maximum=0.0,
        help="Always 0: there is no image to compare with.",
    )  # fmt: skip
    weight_cycle: float = parameter(
        10.0,
        label="Cycle weight",
        minimum=0.0,
        help="Weight of L1 between an image and what both generators make of it.",
    )
    weight_identity: float = parameter(
        0.5, label="Identity weight", minimum=0.0,
        help="Weight, times the cycle weight, of L1 between a CT and what the generator of CTs makes of it.",
    )  # fmt: skip
    pool_size: int = parameter(
        50, label="Image pool", minimum=0, maximum=1000, unit="images",
        help="Earlier images shown to the discriminators again, half of the time.",
    )  # fmt: skip
    base_width: int = parameter(
        32, label="Base width", minimum=4, maximum=256, unit="channels", help="Channels of the first layer."
    )
    blocks: int = parameter(
        6, label="Residual blocks", minimum=1, maximum=20, help="6 for images of 128 pixels, 9 for 256."
    )
    normalisation: str = parameter(
        "none", label="Normalisation", choices=("none", "batch", "instance"),
        help="Layers of both generators; tiles have to be blended with 'instance', which is published.",
    )  # fmt: skip
    dropout: float = parameter(
        0.0, label="Dropout", minimum=0.0, maximum=0.9, help="Probability within the residual blocks."
    )
    discriminator_width: int = parameter(
        32, label="Discriminator width", minimum=4, maximum=256, unit="channels", help="Channels of its first layer."
    )
    patch_size: int = parameter(
        64, label="Patch size", minimum=32, maximum=1024, unit="pixels", help="Side of the square training patches."
    )
    ct_high: float = parameter(
        2000.0, label="CT window, high", minimum=100.0, maximum=20000.0, unit="HU", help="HU above are cut off."
    )
    mask: bool = parameter(
        True, label="Body mask", help="Outside the body the MR is set to its smallest value and the CT to air."
    )

    def build_generator(self) -> Any:
        """ResNet generator from MR to CT on ``(batch, 1, j, i)``."""
        from ..generators.resnet import ResNetGenerator
        from ..losses import initialise

        generator = ResNetGenerator(1, 1, self.base_width, self.blocks, self.normalisation, self.dropout)
        initialise(generator, 0.02 if self.normalisation != "none" else None)
        if self.normalisation == "none":  # nothing keeps the sum of blocks at its size, so each starts small
            for block in generator.blocks:
                block[-2].weight.data.mul_(0.1)
        return generator

    def build_discriminator(self) -> Any:
        """Unconditional PatchGAN that sees 70 pixels."""
        from ..discriminators import PatchGAN
        from ..losses import initialise

        discriminator = PatchGAN(1, 0, self.discriminator_width, 3, "instance")
        initialise(discriminator)
        return discriminator

    def build_players(self) -> tuple[Any, Any]:
        """Both generators, both discriminators."""
        from ..objectives.cycle import TwoNetworks

        return (
            TwoNetworks(self.build_generator(), self.build_generator()),
            TwoNetworks(self.build_discriminator(), self.build_discriminator()),
        )

    def shipped(self, state: dict[str, Any]) -> dict[str, Any]:
        """The generator from MR to CT."""
        from ..objectives.cycle import shipped

        return shipped(state)

    def network_spec(self) -> NetworkSpec:
        """A 2-D network on axial slices."""
        return NetworkSpec(
            dimensions=2,
            multiple=(1, 8, 8),
            canonical=True,
            spacing_mm=(self.working_spacing,) * 3 if self.working_spacing else None,
            body_only=self.mask,
        )

    def source_scale(self) -> Scale:
        """MR to -1 .. 1 by percentiles of the whole volume."""
        return PercentileScale(clipped=True)

    def patch_shape(self) -> Triple:
        """A square of a slice."""
        return (1, self.patch_size, self.patch_size)

    def augment(self, pair: Pair, generator: np.random.Generator) -> Pair:
        """The CT clipped to the range that tanh reaches; the scale of the MR clips by itself."""
        return dataclasses.replace(pair, target=pair.target.clip(self.ct_low, self.ct_high))

    def objective(self) -> Objective:
        """Cycles, identities and pools."""
        from ..objectives.cycle import CycleObjective

        return CycleObjective(self)
