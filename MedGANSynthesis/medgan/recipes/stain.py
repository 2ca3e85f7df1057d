"""Stain transfer: a slide in the colors of the laboratory whose slides were trained on, learnt without pairs.

The network is shown a slide of the target laboratory with its colors taken away (grey) or changed (RGB, as if stained
elsewhere) and learns to give the true ones back; slides of other laboratories then come out in those colors too.
Sources: the system "Medical-Image-Generation" (preset ``published``); Salehi & Chalechale, MVIP 2020 (STST); the
identity loss is that of CycleGAN (Zhu et al., ICCV 2017). ``recommended`` takes a network that looks the same at every
position, so that tiles of a slide have no seams, brings every slide to the same statistics of its tissue first, and
draws stainings at random in place of a single grey.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..colour import INPUTS, ColourInput
from ..errors import InputError
from ..intensity import FixedScale, Scale
from ..network import NetworkSpec
from ..parameters import parameter
from ..restaining import Restaining, tilted
from ..target import Target
from ..tile_plan import Triple
from .base import Recipe

if TYPE_CHECKING:
    import numpy as np

    from ..objectives.base import Objective
    from ..sampling import Pair

WHITE = 255.0
STEP = 2  # pixels per coefficient of the local color map


@dataclass(frozen=True)
class Stain(Recipe):
    """Parameters of the task ``stain``; field metadata holds label, help, unit and range of each."""

    TASK: ClassVar[str] = "stain"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "input": "luma",
            "generator": "published",
            "grey_copies": 3,
            "slide_statistics": False,
            "base_width": 64,
            "depth": 8,
            "normalisation": "batch",
            "norm_start": 0.0,
            "dropout": 0.5,
            "discriminator": "published",
            "discriminator_width": 64,
            "discriminator_normalisation": "batch",
            "adversarial_loss": "bce",
            "adversarial_start": 0,
            "weight_identity": 0.0,
            "stain_jitter": 0.0,
            "magnification": 1.0,
            "transposing": False,
            "background_above": 256.0,
            "beta1": 0.9,
            "averaging": 0.0,
            "schedule": "constant",
            "batch_size": 4,
            "epochs": 16,
            "steps_per_epoch": 2500,
            "patch_size": 256,
        },
        "recommended": {
            "adversarial_start": 20,
            "epochs": 40,
            "learning_rate_generator": 1e-3,
            "gradient_clip": 300.0,  # of the L1 times 100: rare patches have gradients ten times the usual
        },
    }

    input: str = parameter(
        "rgb", label="Input", choices=INPUTS,
        help=(
            "What the network sees of a slide: a grey (BT.601 luma, optical density, or the haematoxylin channel), "
            "which it paints; or the colors, which it changes."
        ),
    )  # fmt: skip
    grey_copies: int = parameter(
        1, label="Grey copies", minimum=1, maximum=3, help="How often a grey is repeated as channels; published: 3."
    )
    slide_statistics: bool = parameter(
        True, label="Slide statistics",
        help="Bring the tissue of every slide to the same mean and deviation (in optical density) before the network.",
    )  # fmt: skip
    generator: str = parameter(
        "local-colour", label="Generator", choices=("local-colour", "residual", "pix2pix", "stst", "published"),
        help=(
            "A locally varying map of colors, which keeps fine structure, or a residual U-Net (exact tiles both); "
            "or the U-Net-256 of pix2pix: canonical, as in STST, or with the deviations of the published system."
        ),
    )  # fmt: skip
    base_width: int = parameter(
        24, label="Base width", minimum=4, maximum=128, unit="channels", help="Channels of the first level."
    )
    depth: int = parameter(
        3, label="Depth", minimum=1, maximum=8,
        help="How often the network halves the picture; 8 is the U-Net-256 as published.",
    )  # fmt: skip
    normalisation: str = parameter(
        "none", label="Normalisation", choices=("none", "batch", "instance"),
        help="Normalisation layers of the U-Net-256; the residual U-Net has none.",
    )  # fmt: skip
    norm_start: float = parameter(
        1.0, label="Start of normalisation", minimum=0.0, maximum=1.0,
        help="Mean of the first scales of normalisation layers: 1, or 0 as published, which starves the signal.",
    )  # fmt: skip
    dropout: float = parameter(
        0.0, label="Dropout", minimum=0.0, maximum=0.9, help="Probability in three layers of the U-Net-256's decoder."
    )
    dropout_always: bool = parameter(
        False, label="Dropout at inference", help="Drop at inference too: every result is a random sample (pix2pix)."
    )
    discriminator: str = parameter(
        "patch70", label="Discriminator", choices=("patch70", "stst", "published"),
        help="PatchGAN that sees 70 pixels, that of STST (142 pixels), or that of the published system (46 pixels).",
    )  # fmt: skip
    discriminator_width: int = parameter(
        32, label="Discriminator width", minimum=4, maximum=256, unit="channels", help="Channels of its first layer."
    )
    discriminator_normalisation: str = parameter(
        "instance", label="Discriminator normalisation", choices=("none", "batch", "instance"),
        help="Normalisation layers of the discriminator.",
    )  # fmt: skip
    weight_identity: float = parameter(
        20.0, label="Identity weight", minimum=0.0,
        help="For RGB input: weight of the L1 by which a picture in the target's own colors has to stay as it is.",
    )  # fmt: skip
    stain_jitter: float = parameter(
        1.0, label="Stain jitter", minimum=0.0, maximum=3.0,
        help=(
            "How far the source is re-stained at random: hue and concentration of each stain and the tint of the "
            "glass; 1 spans what laboratories differ by."
        ),
    )  # fmt: skip
    magnification: float = parameter(
        2.0, label="Magnification", minimum=1.0, maximum=4.0,
        help="Patches are enlarged up to this factor, or shrunk to its inverse, at random; 1 keeps them as they are.",
    )  # fmt: skip
    transposing: bool = parameter(
        True, label="Transposing", help="Swap rows and columns at random, since tissue has no orientation."
    )
    background_above: float = parameter(
        235.0, label="Background", minimum=1.0, maximum=256.0,
        help="A pixel whose three components all reach this is glass and stays as it is; 256 leaves nothing alone.",
    )  # fmt: skip
    patch_size: int = parameter(
        128, label="Patch size", minimum=32, maximum=1024, unit="pixels", help="Side of the square training patches."
    )

    def check(self) -> None:
        """Identity and jitter need colors to begin with.

        Raises:
            InputError: parameters contradict each other.
        """
        if self.input == "rgb" and not self.stain_jitter:
            raise InputError(
                "With RGB input and stain_jitter 0 source and target are the same picture, so there is nothing to "
                "learn; raise stain_jitter or choose a grey as input."
            )
        if self.input == "rgb" and self.grey_copies != 1:
            raise InputError("Only a grey is repeated as channels; set grey_copies to 1 for RGB input.")
        if self.generator == "published" and self.depth < 5:
            raise InputError("The U-Net-256 halves the picture at least 5 times; raise depth or choose 'residual'.")

    def build_generator(self) -> Any:
        """U-Net, ``(batch, 1 or 3, rows, columns)`` to RGB -1 to 1, sizes multiples of ``2 ** depth``."""
        from torch import nn

        from ..losses import initialise

        channels = self.source_scale().channels()
        if self.generator == "local-colour":
            from ..generators.local_colour import LocalColour

            # optical density is the negative of brightness, about; both scales put the tissue at 0
            return LocalColour(channels, 3, self.base_width, self.depth, STEP, -0.4 if self._sees_density() else 1.0)
        if self.generator == "residual":
            from ..generators.residual_unet import ResidualUNet

            return ResidualUNet(2, channels, 3, self.base_width, self.depth)
        from ..generators.unet256 import UNet256

        generator = UNet256(
            channels, 3, self.base_width, self.depth, "stain" if self.generator == "published" else self.generator,
            self.normalisation, self.dropout, self.dropout_always,
        )  # fmt: skip
        initialise(generator)
        for layer in generator.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d) and layer.affine:
                layer.weight.data += self.norm_start - 1.0
        return generator

    def build_discriminator(self) -> Any:
        """PatchGAN on RGB beside the network's input."""
        from .. import discriminators
        from ..losses import initialise

        kinds = {
            "patch70": discriminators.PatchGAN,
            "stst": discriminators.STSTDiscriminator,
            "published": discriminators.StainDiscriminator,
        }
        condition = self.source_scale().channels() if self.conditional else 0
        discriminator = kinds[self.discriminator](
            3, condition, self.discriminator_width, normalisation=self.discriminator_normalisation
        )
        initialise(discriminator)
        return discriminator

    def source_scale(self) -> ColourInput:
        """What the network sees of the colors."""
        return ColourInput(self.input, self.grey_copies, self.slide_statistics)

    def target(self) -> Target:
        """RGB of 8 bits; glass stays as it is."""
        background = self.background_above if self.background_above <= WHITE else None
        return Target(scale=_rgb(), background_above=background, value_range=(0.0, WHITE))

    def network_spec(self) -> NetworkSpec:
        """A 2-D network."""
        step = 2**self.depth
        if self.generator == "local-colour":
            step *= STEP
        elif self.normalisation == "instance" and self.generator != "residual":
            step *= 2  # there are no statistics of a single pixel, which the smallest picture is at the bottom
        return NetworkSpec(
            dimensions=2, in_channels=self.source_scale().channels(), out_channels=3, multiple=(1, step, step)
        )

    def patch_shape(self) -> Triple:
        """A square."""
        return (1, self.patch_size, self.patch_size)

    def flip_axes(self) -> tuple[int, ...]:
        """Tissue on glass has no orientation."""
        return (1, 2)

    def transposes(self) -> bool:
        """Nor an order of rows and columns."""
        return self.transposing

    def margin(self) -> Triple:
        """What a patch is shrunk from."""
        extra = round(self.patch_size * (self.magnification - 1) / 2)
        return (0, extra, extra)

    def augment(self, pair: Pair, generator: np.random.Generator) -> Pair:
        """Another magnification, and for the source another staining with the statistics of its whole slide."""
        if self.magnification > 1:
            factor = self.magnification ** generator.uniform(-1, 1)
            pair = dataclasses.replace(
                pair, source=magnified(pair.source, factor), target=magnified(pair.target, factor)
            )
        if not self.stain_jitter:
            return pair
        restain = Restaining.draw(generator, self.stain_jitter)
        fitted = pair.fitted
        if self.slide_statistics and fitted.tissue.shape[1]:
            tissue = tilted(restain(fitted.tissue), generator, min(self.stain_jitter, 1.0))
            fitted = fitted.scale.fit_to(tissue)
        if self.input == "rgb" and self.weight_identity:
            # physical numbers that the other scale turns into what the slide's own scale makes of the picture
            pair.extra["identity"] = fitted.inverse(pair.fitted.forward(pair.source))
        return dataclasses.replace(pair, source=restain(pair.source), fitted=fitted)

    def _sees_density(self) -> bool:
        return self.input in ("optical-density", "haematoxylin") or (self.input == "rgb" and self.slide_statistics)

    def objective(self) -> Objective:
        """L1, adversarial and identity loss."""
        from ..objectives.stain import StainObjective

        return StainObjective(self)


def magnified(picture: Any, factor: float) -> Any:
    """A picture ``(components, slices, rows, columns)`` enlarged about its centre, or shrunk with its edge repeated."""
    from torch.nn import functional

    size = picture.shape[-1]
    kept = min(size, round(size / factor))
    start = (size - kept) // 2
    inner = picture[..., start : start + kept, start : start + kept].transpose(0, 1)
    shown = size if factor >= 1 else round(size * factor)
    resized = functional.interpolate(inner, (shown, shown), mode="bilinear", antialias=True).transpose(0, 1)
    before = (size - shown) // 2
    after = size - shown - before
    return functional.pad(resized, (before, after, before, after), mode="replicate") if shown < size else resized


def _rgb() -> Scale:
    return FixedScale(127.5, 127.5)
