"""Contrast-enhanced CT from non-contrast CT by 3-D pix2pix on slabs of slices.

Source: Choi et al., Sci Rep 2021;11:20403, doi 10.1038/s41598-021-00058-3 (pix2pix3D-CT). The ``published`` preset
keeps network, windows, losses and schedule; what crashed or was frozen there works as its authors described it (label
noise drawn anew, feature matching, noise, residual). ``recommended`` predicts the enhancement in a fixed HU scale, so
that bone and metal keep their HU, with a network that looks the same at every position, no tanh, and an adversarial
term that joins a regression. How far contrast may be invented is the question of this task: ``only_add`` and the
residual keep the result from removing anything.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import InputError
from ..intensity import AIR_HU, FixedScale, Scale, Windows
from ..network import NetworkSpec
from ..parameters import parameter
from ..target import Target
from ..tile_plan import Triple
from ..triples import windows
from .base import Recipe

if TYPE_CHECKING:
    from ..objectives.base import Objective
    from ..sampling import Pair

POOLING = ((1, 2, 2), (2, 2, 2), (2, 2, 2))


@dataclass(frozen=True)
class ContrastCT(Recipe):
    """Parameters of the task ``contrast-ct``; field metadata holds label, help, unit and range of each."""

    TASK: ClassVar[str] = "contrast-ct"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "network": "pix2pix3d",
            "base_width": 64,
            "output_windows": "2000:0, 1000:200, 500:50",
            "residual": False,
            "only_add": False,
            "normalisation": "scalar",
            "adversarial_loss": "bce",
            "discriminator_first": True,
            "separate_updates": True,
            "label_smoothing": 0.1,
            "discriminator_width": 64,
            "schedule": "inverse-epochs",
            "schedule_start": 10,
            "schedule_rate": 0.1,
            "averaging": 0.0,
            "slab_depth": 16,
            "patch_size": 512,
            "batch_size": 1,
            "epochs": 100,
            "shift_fraction": 0.1,
            "noise_hu": 50.0,
            "flips": False,
        },
        "recommended": {
            "weight_adversarial": 0.05,
            "adversarial_start": 40,
            "gradient_clip": 1.0,
            "weight_enhanced": 2.0,
            "learning_rate_generator": 3e-4,
            "learning_rate_discriminator": 1e-4,
            "batch_size": 4,
            "epochs": 60,
        },
    }

    network: str = parameter(
        "residual-unet", label="Network", choices=("residual-unet", "pix2pix3d"),
        help="'pix2pix3d' is the published seven-level U-Net; 'residual-unet' is small and the same at every position.",
    )  # fmt: skip
    base_width: int = parameter(
        16, label="Base width", minimum=4, maximum=256, unit="channels", help="Channels of the first level."
    )
    input_windows: str = parameter(
        "2000:0, 1000:200, 500:50", label="Input windows", unit="HU",
        help="Windows given to the network as channels, width:level each.",
    )  # fmt: skip
    output_windows: str = parameter(
        "2000:0", label="Output windows", unit="HU",
        help="Windows the network predicts; the result is read from the first. Not used with a residual output.",
    )  # fmt: skip
    slab_depth: int = parameter(
        16, label="Slab depth", minimum=1, maximum=32, unit="slices",
        help="Slices of a training slab; a power of two for the published network.",
    )  # fmt: skip
    patch_size: int = parameter(
        96, label="Patch size", minimum=16, maximum=1024, unit="pixels", help="Rows and columns of a training slab."
    )
    slab_stride: int = parameter(
        1, label="Slab stride", minimum=1, maximum=64, unit="slices", help="Slabs begin at multiples of this slice."
    )
    coordinates: bool = parameter(
        False, label="Coordinate channels",
        help="Give the network the absolute position in the volume (CoordConv); needs scans of the same field of view.",
    )  # fmt: skip
    upsampling: str = parameter(
        "nearest", label="Upsampling", choices=("nearest", "bilinear-inplane"),
        help="Resize layer before each convolution of the published decoder.",
    )  # fmt: skip
    normalisation: str = parameter(
        "none", label="Normalisation", choices=("none", "scalar", "instance"),
        help="Of the published networks; 'scalar' is their own, over the whole slab. The residual U-Net has none.",
    )  # fmt: skip
    dropout: float = parameter(
        0.0, label="Dropout", minimum=0.0, maximum=0.9, help="Probability in the decoder of the published network."
    )
    residual: bool = parameter(
        True, label="Residual output",
        help="Predict the enhancement instead of the image, in a fixed HU scale, so that all else keeps its HU.",
    )  # fmt: skip
    residual_hu: float = parameter(
        500.0, label="Residual scale", minimum=10.0, maximum=4000.0, unit="HU", help="Enhancement that counts as 1."
    )
    only_add: bool = parameter(
        True, label="Enhancement only", help="The result is nowhere darker than the plain scan: contrast adds HU."
    )
    weight_enhanced: float = parameter(
        1.0, label="Weight of enhanced voxels", minimum=1.0, maximum=100.0,
        help="How much a voxel that takes up contrast medium counts in L1, for they are few; with a residual only.",
    )  # fmt: skip
    weight_ms_ssim: float = parameter(
        0.0, label="MS-SSIM weight", minimum=0.0,
        help="Weight of 0.15 MAE + 0.85 (1 - MS-SSIM), the structural loss of the source's option 'fmloss'.",
    )  # fmt: skip
    shift_fraction: float = parameter(
        0.0, label="Random shift", minimum=0.0, maximum=0.5,
        help="Move slabs in plane by up to this fraction of their size at random, air behind them.",
    )  # fmt: skip
    noise_hu: float = parameter(
        0.0, label="Noise", minimum=0.0, maximum=500.0, unit="HU",
        help="Every other slab gets the same Gaussian noise of this deviation in source and target.",
    )  # fmt: skip
    working_spacing_mm: float = parameter(
        0.0, label="Working spacing", minimum=0.0, maximum=10.0, unit="mm",
        help="Scans are resampled to cubes of this size for the network; 0 leaves each at its own spacing.",
    )  # fmt: skip
    discriminator_width: int = parameter(
        32, label="Discriminator width", minimum=4, maximum=256, unit="channels", help="Channels of its first layer."
    )

    def check(self) -> None:
        """See :meth:`Recipe.check`."""
        if self.network == "pix2pix3d" and self.slab_depth & (self.slab_depth - 1):
            raise InputError(
                f"The published network needs a slab depth that is a power of two, not {self.slab_depth}; set "
                "slab_depth to 8 or 16."
            )
        for name in ("input_windows", "output_windows"):
            windows(getattr(self, name), name)

    def build_generator(self) -> Any:
        """3-D network, input ``(batch, windows [+ 3 coordinates], slices, rows, columns)``."""
        from ..generators.residual_unet import ResidualUNet
        from ..generators.slabwise import SlabwisePix2Pix3D
        from ..losses import initialise

        channels, made = self._in_channels, 1 if self.residual else len(windows(self.output_windows, "output_windows"))
        if self.network == "residual-unet":
            generator = ResidualUNet(
                3, channels, made, self.base_width, len(POOLING), pooling=POOLING, upsampling="linear",
                zero_head=self.residual,
            )  # fmt: skip
            generator.start()
            return generator
        generator = SlabwisePix2Pix3D(
            channels, made, self.slab_depth, self.base_width, upsampling=self.upsampling, dropout=self.dropout,
            normalisation=self.normalisation, activation="linear" if self.residual else "tanh",
        )  # fmt: skip
        initialise(generator)
        return generator

    def build_discriminator(self) -> Any:
        """Conditional 3-D PatchGAN on the target and the windows of the plain scan."""
        from ..discriminators import Pix2Pix3DDiscriminator
        from ..losses import initialise

        made = 1 if self.residual else len(windows(self.output_windows, "output_windows"))
        condition = self._in_channels if self.conditional else 0
        discriminator = Pix2Pix3DDiscriminator(
            made, condition, self.slab_depth, self.discriminator_width, self.normalisation
        )
        initialise(discriminator)
        return discriminator

    @property
    def _in_channels(self) -> int:
        return len(windows(self.input_windows, "input_windows")) + (3 if self.coordinates else 0)

    def network_spec(self) -> NetworkSpec:
        """A 3-D network on window channels; axes are turned to right, anterior, superior: a chest has a front."""
        from ..generators.residual_unet import multiple

        step = multiple(POOLING) if self.network == "residual-unet" else (self.slab_depth, 128, 128)
        spacing_mm = (self.working_spacing_mm,) * 3 if self.working_spacing_mm else None
        return NetworkSpec(
            3, self._in_channels, multiple=step, coordinates=self.coordinates, canonical=True, spacing_mm=spacing_mm
        )

    def measured_spec(self, generator: Any) -> NetworkSpec:
        """As :meth:`Recipe.measured_spec`; the published network looks at whole slices of its and the next slabs."""
        if self.network == "residual-unet":
            return super().measured_spec(generator)
        return dataclasses.replace(self.network_spec(), halo=(self.slab_depth, None, None))

    def source_scale(self) -> Scale:
        """Windows as channels."""
        return Windows(windows(self.input_windows, "input_windows"))

    def target(self) -> Target:
        """The enhancement, or the windows of the enhanced scan."""
        if self.residual:
            return Target(scale=FixedScale(0.0, self.residual_hu), residual=True, only_add=self.only_add)
        return Target(scale=Windows(windows(self.output_windows, "output_windows")), only_add=self.only_add)

    def patch_shape(self) -> Triple:
        """A slab."""
        return (self.slab_depth, self.patch_size, self.patch_size)

    def patch_step(self) -> Triple:
        """Slabs begin at multiples of the stride."""
        return (self.slab_stride, 1, 1)

    def flip_axes(self) -> tuple[int, ...]:
        """Left to right, unless the network knows where it is: mirrored anatomy would lie at the wrong place."""
        return () if self.coordinates else (2,)

    def augment(self, pair: Pair, generator: np.random.Generator) -> Pair:
        """Shift and noise of the source system, the same in source and target."""
        from .. import augment

        source, target, mask = pair.source, pair.target, pair.mask
        if self.shift_fraction:
            rows, columns = generator.uniform(-1, 1, 2) * self.shift_fraction * self.patch_size
            by = (round(rows), round(columns))
            source, target = _shifted(source, by, AIR_HU), _shifted(target, by, AIR_HU)
            mask = None if mask is None else _shifted(mask, by, 0.0)
        if self.noise_hu and generator.random() < 0.5:
            noise = self.noise_hu * augment.white_noise(source, generator)
            source, target = source + noise, target + noise
        return dataclasses.replace(pair, source=source, target=target, mask=mask)

    def objective(self) -> Objective:
        """L1, and MS-SSIM where wanted."""
        from ..objectives.structure import StructureObjective

        return StructureObjective(self)


def _shifted(image: Any, by: tuple[int, int], beyond: float) -> Any:
    """Moved in plane by rows and columns, ``beyond`` where nothing comes from."""
    moved = image.roll(by, dims=(-2, -1))
    for axis, step in zip((-2, -1), by, strict=True):
        if step:
            moved.narrow(axis, 0 if step > 0 else step + moved.shape[axis], abs(step)).fill_(beyond)
    return moved
