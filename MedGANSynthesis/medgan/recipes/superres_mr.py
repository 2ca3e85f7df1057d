"""Super-resolution of MR by a 3-D SRGAN, with a factor for each axis.

Source: Sánchez & Vilaplana, Brain MRI super-resolution using 3D GANs, arXiv 1812.11440, and its code
"3D-GAN-superresolution". The ``published`` preset keeps the networks, the normalisation by the maximum of the volume,
the Gaussian degradation, the losses and the optimiser. ``recommended`` is a small residual network without
normalisation layers (so that tiles equal the whole image) that adds the interpolated input, trained on many k-space
degradations, first by regression and then with a weak PatchGAN, on intensities scaled by percentiles of the volume.

Step and overlap of the source's patches have no counterpart: training patches are drawn at random, and the tiles of an
application overlap by exactly what the network sees.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import degrade_mr
from ..degrade_mr import Degradation
from ..errors import InputError
from ..intensity import PercentileScale, Scale
from ..network import NetworkSpec
from ..parameters import parameter
from ..tile_plan import Triple
from ..triples import triple
from .base import Recipe

if TYPE_CHECKING:
    from ..objectives.base import Objective
    from ..sampling import Pair


@dataclass(frozen=True)
class SuperResolutionMR(Recipe):
    """Parameters of the task ``superres-mr``; field metadata holds label, help, unit and range of each."""

    TASK: ClassVar[str] = "superres-mr"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "factor": "4x4x4",
            "residual_blocks": 6,
            "feature_size": 32,
            "upsampling_width": 64,
            "icnr": False,
            "normalisation": "batch",
            "residual": False,
            "discriminator": "dense",
            "discriminator_normalisation": "batch",
            "discriminator_width": 32,
            "conditional": False,
            "discriminator_first": True,
            "intensity": "maximum",
            "degradation": "blur",
            "degradation_variety": 0.0,
            "noise": 0.0,
            "phase_shifts": False,
            "patch_size": "32x32x23",
            "weight_l1": 0.0,
            "weight_mse": 1.0,
            "weight_gradient": 1.0,
            # 0.1 of a mean beside sums over three million voxels would be 3e-8 beside means: no GAN at all
            "weight_adversarial": 1e-3,
            "adversarial_start": 0,
            "noisy_labels": True,
            "learning_rate_generator": 1e-4,
            "learning_rate_discriminator": 1e-4,
            "beta1": 0.9,
            "gradient_clip": 0.0,
            # 470 volumes of 4 batches; the rate falls by 1 / (1 + 0.5 * step / 4920)
            "steps_per_epoch": 1880,
            "schedule": "inverse-steps",
            "schedule_rate": 0.5 * 1880 / 4920,
            "averaging": 0.0,
            "batch_size": 2,
            "epochs": 10,
            "flips": False,
        },
        "recommended": {
            "weight_l1": 1.0,
            "weight_adversarial": 0.002,
            "adversarial_start": 50,
            "learning_rate_generator": 1e-3,
            "learning_rate_discriminator": 1e-4,
            "beta1": 0.9,
            "gradient_clip": 1.0,
            "batch_size": 8,
            "epochs": 60,
        },
    }

    factor: str = parameter(
        "2x2x2", label="Factor", unit="i x j x k",
        help="Result voxels per source voxel along each axis, 1, 2 or 4; 1x1x4 makes thick slices four times thinner.",
    )  # fmt: skip
    residual_blocks: int = parameter(
        4, label="Residual blocks", minimum=1, maximum=64, help="Blocks of two convolutions on the coarse grid."
    )
    feature_size: int = parameter(
        32, label="Feature size", minimum=4, maximum=256, unit="channels",
        help="Channels of the residual blocks; computation grows with its square.",
    )  # fmt: skip
    upsampling: str = parameter(
        "subpixel", label="Upsampling", choices=("subpixel", "nn", "subpixel-nn"),
        help=(
            "Convolution and pixel shuffle; nearest neighbor, then convolution; or a transposed convolution that "
            "starts as nearest neighbor."
        ),
    )  # fmt: skip
    upsampling_width: int = parameter(
        32, label="Upsampling width", minimum=8, maximum=256, unit="channels",
        help="Channels of the convolutions that enlarge; a multiple of 8.",
    )  # fmt: skip
    icnr: bool = parameter(
        True, label="Checkerboard-free start",
        help="Start the pixel shuffle as a nearest neighbor (ICNR), so that no checkerboard has to be unlearned.",
    )  # fmt: skip
    normalisation: str = parameter(
        "none", label="Normalisation", choices=("none", "batch"), help="Normalisation layers of the residual blocks."
    )
    residual: bool = parameter(
        True, label="Add the input",
        help="Add the interpolated input to what the network computes, so that it starts there.",
    )  # fmt: skip
    discriminator: str = parameter(
        "patch", label="Discriminator", choices=("patch", "pooled", "dense"),
        help=(
            "PatchGAN; the published network averaged over the patch; or with its dense layer, which is bound to one "
            "patch size and large."
        ),
    )  # fmt: skip
    discriminator_width: int = parameter(
        16, label="Discriminator width", minimum=4, maximum=256, unit="channels", help="Channels of its first layer."
    )
    discriminator_normalisation: str = parameter(
        "instance", label="Discriminator normalisation", choices=("none", "instance", "batch"),
        help="Normalisation layers of the discriminator; a gradient penalty asks for one that is not batch.",
    )  # fmt: skip
    noisy_labels: bool = parameter(
        False, label="Noisy labels",
        help="Labels of real images are drawn from 0.7 to 1.2 and of generated ones from 0 to 0.3, as published.",
    )  # fmt: skip
    weight_mse: float = parameter(
        0.0, label="MSE weight", minimum=0.0, help="Weight of the mean squared error in network units."
    )
    weight_gradient: float = parameter(
        0.0, label="Gradient difference weight", minimum=0.0,
        help="Weight of the squared difference of the steps between neighboring voxels.",
    )  # fmt: skip
    mask_loss: bool = parameter(
        False, label="Errors in the head only", help="Count errors inside the mask of each case, where there is one."
    )
    intensity: str = parameter(
        "percentiles", label="Intensity scale", choices=("percentiles", "maximum"),
        help="Percentiles 0.5 and 99.5 of each volume to 0 and 1; or 0 and its maximum to -1 and 1, as published.",
    )  # fmt: skip
    degradation: str = parameter(
        "kspace", label="Degradation", choices=("kspace", "blur", "given"),
        help=(
            "How training patches are made coarse: k-space cropping (and a slice profile where only one axis is "
            "enlarged), Gaussian blur and resampling, or not at all: the sources of the dataset are taken as they are."
        ),
    )  # fmt: skip
    blur_sigma: float = parameter(
        1.0, label="Blur", minimum=0.0, maximum=8.0, unit="result voxels",
        help="Standard deviation of the Gaussian of the degradation 'blur'.",
    )  # fmt: skip
    apodisation: float = parameter(
        0.5, label="Apodisation", minimum=0.0, maximum=1.0,
        help="Share of the kept k-space that is tapered: 0 rings at edges, 1 is a Hann window.",
    )  # fmt: skip
    slice_profile: str = parameter(
        "gaussian", label="Slice profile", choices=degrade_mr.PROFILES,
        help="Shape of a slice where only one axis is enlarged.",
    )  # fmt: skip
    slice_thickness: float = parameter(
        1.0, label="Slice thickness", minimum=0.1, maximum=2.0, unit="slice distances",
        help="Thickness of the coarse slices (full width at half maximum); below 1 there are gaps between them.",
    )  # fmt: skip
    degradation_variety: float = parameter(
        0.2, label="Variety", minimum=0.0, maximum=0.9,
        help="Largest relative change of blur, apodisation and slice thickness from patch to patch.",
    )  # fmt: skip
    noise: float = parameter(
        0.005, label="Noise", minimum=0.0, maximum=0.2,
        help="Largest standard deviation of the noise added to coarse patches, as a share of the intensity range.",
    )  # fmt: skip
    phase_shifts: bool = parameter(
        True, label="Shifted grids", help="Let the coarse grid of each patch begin at any fine voxel."
    )
    patch_size: str = parameter(
        "24x24x24", label="Patch size", unit="source voxels, i x j x k", help="Size of the training patches."
    )

    def check(self) -> None:
        """See :meth:`Recipe.check`."""
        if any(step not in (1, 2, 4) for step in self.steps) or self.steps == (1, 1, 1):
            raise InputError(f"The factor must be 1, 2 or 4 along each axis and not 1 along all, not {self.factor}.")
        self.patch_shape()
        if self.upsampling == "subpixel" and self.upsampling_width % 8:
            raise InputError(f"The upsampling width must be a multiple of 8, not {self.upsampling_width}.")
        if self.noisy_labels and self.adversarial_loss != "lsgan":
            raise InputError("Noisy labels belong to the adversarial loss lsgan; choose it or switch them off.")
        if self.noisy_labels and (self.gradient_penalty != "none" or self.weight_feature_matching):
            raise InputError("Noisy labels go with neither gradient penalty nor feature matching; switch them off.")
        if not (self.weight_l1 or self.weight_mse or self.weight_gradient) and self.adversarial_start:
            raise InputError("Without L1, MSE and gradient weight there is nothing to learn before the discriminator.")
        if self.gradient_penalty != "none" and self.discriminator_normalisation == "batch":
            raise InputError("A gradient penalty needs a discriminator without batch normalisation; choose instance.")

    @property
    def steps(self) -> Triple:
        """The factor along (k, j, i)."""
        return degrade_mr.parse_factor(self.factor)

    def build_generator(self) -> Any:
        """SRGAN generator, input ``(batch, 1, k, j, i)`` in network units, output ``steps`` times larger."""
        from ..generators.srgan3d import SRGAN3DGenerator
        from ..losses import initialise

        generator = SRGAN3DGenerator(
            1, self.feature_size, self.residual_blocks, self.steps, self.upsampling, self.upsampling_width, self.icnr,
            self.normalisation, self.residual or self.intensity != "maximum", self.residual,
        )  # fmt: skip
        if self.normalisation == "none":
            initialise(generator, None)
        else:
            initialise(generator, 0.02, 0.002)
        return generator

    def build_discriminator(self) -> Any:
        """Judge of fine patches; with the interpolated source beside them if conditional."""
        from ..discriminators import PatchGAN, SRGAN3DDiscriminator
        from ..losses import initialise

        condition, width, kind = int(self.conditional), self.discriminator_width, self.discriminator_normalisation
        if self.discriminator == "patch":
            discriminator = PatchGAN(1, condition, width, layers=2, normalisation=kind, dimensions=3)
        else:
            fine = tuple(size * step for size, step in zip(self.patch_shape(), self.steps, strict=True))
            shape = fine if self.discriminator == "dense" else None
            discriminator = SRGAN3DDiscriminator(1, condition, shape, width, 32 * width, kind)
        initialise(discriminator, 0.02, 0.002)
        return discriminator

    def source_scale(self) -> Scale:
        """Air becomes 0 where convolutions pad with 0; the published scale makes it -1."""
        if self.intensity == "maximum":
            return PercentileScale(0.0, 100.0, symmetric=True, from_zero=True)
        return PercentileScale(0.5, 99.5, symmetric=False)

    def network_spec(self) -> NetworkSpec:
        """A 3-D network on the coarse grid."""
        return NetworkSpec(dimensions=3, scale=self.steps)

    def patch_shape(self) -> Triple:
        """See :meth:`Recipe.patch_shape`."""
        shape = triple(self.patch_size)
        if shape is None:
            raise InputError(
                f"The patch size must be three whole numbers such as 24x24x24 (i x j x k), not '{self.patch_size}'."
            )
        return shape

    def flip_axes(self) -> tuple[int, ...]:
        """Texture and edges of a small patch know no left, up or front."""
        return (0, 1, 2)

    def transposes(self) -> bool:
        """Likewise, where rows and columns are enlarged alike."""
        _, rows, columns = self.steps
        shape = self.patch_shape()
        return rows == columns and shape[1] == shape[2]

    def margin(self) -> Triple:
        """What the degradation of a patch depends on around it, and a coarse voxel to begin the grid elsewhere."""
        if self.degradation == "given":
            return (0, 0, 0)
        return tuple(degrade_mr.REACH + 1 if step > 1 else 0 for step in self.steps)

    def degrader(self) -> Degradation:
        """The degradation at its nominal settings, without noise: the one for tests."""
        return Degradation(
            self.degradation, self.blur_sigma, self.apodisation, self.slice_profile, self.slice_thickness
        )

    def augment(self, pair: Pair, generator: np.random.Generator) -> Pair:
        """Coarse patches made anew from the fine ones, each time a little differently."""
        if self.degradation == "given":
            return pair
        fine = pair.target
        if self.phase_shifts:
            shifts = [int(generator.integers(step)) for step in self.steps]
            fine = fine.roll(shifts, (1, 2, 3))  # what wraps around lies in the margin and is cut off
        degradation = self.degrader().varied(generator, self.degradation_variety, self.noise)
        coarse = degradation.coarse(fine, self.steps)
        if degradation.noise:
            reach = float(pair.fitted.divisor)  # of percentiles 0.5 to 99.5
            coarse = degrade_mr.noisy(coarse, degradation.noise * reach, generator)
        return dataclasses.replace(pair, source=coarse, target=fine)

    def objective(self) -> Objective:
        """Voxel terms on the fine grid and a judge of it."""
        from ..objectives.superres import SuperresObjective

        return SuperresObjective(self)
