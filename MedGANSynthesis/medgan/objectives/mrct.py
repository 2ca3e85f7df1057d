"""Objective of MR to CT: L1 and a perceptual loss inside the body, and a discriminator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..errors import InputError
from ..intensity import FixedScale
from .base import Losses
from .paired import PairedObjective

if TYPE_CHECKING:
    from ..recipes.mr_to_ct import MRToCT
    from ..sampling import Batch


class MRCTObjective(PairedObjective):
    """Adds the perceptual loss to L1; outside the body the output counts as air, as it will be.

    Raises:
        InputError: the weights of the perceptual network are not here, or it does not fit.
    """

    def __init__(self, recipe: MRToCT):
        super().__init__(recipe)
        self.perceptual = perceptual_loss(recipe) if recipe.weight_perceptual else None

    def generate(self, generator: nn.Module, batch: Batch) -> Tensor:
        output = super().generate(generator, batch)
        if not self.recipe.mask or batch.mask is None:
            return output
        return output.where(batch.mask > 0.5, batch.target.to(output.dtype))  # there the target is air

    def regression(self, output: Tensor, batch: Batch) -> tuple[Losses, dict[str, Tensor]]:
        terms, report = super().regression(output, batch)
        if self.perceptual is not None:
            report["perceptual"] = self.perceptual(output, batch.target.to(output.dtype))
            terms["perceptual"] = self.recipe.weight_perceptual * report["perceptual"]
        return terms, report

    def to(self, device: Any) -> MRCTObjective:
        if self.perceptual is not None:
            self.perceptual.to(device)
        return self


def perceptual_loss(recipe: MRToCT) -> nn.Module | None:
    """The perceptual loss a recipe asks for, on CT in network units; None for "none".

    Raises:
        InputError: its weights are not here, or the model does not fit.
    """
    from ..perceptual import FeatureLoss, VGGFeatureLoss

    if recipe.perceptual == "vgg":
        try:
            return VGGFeatureLoss("full", recipe.perceptual_network or None)
        except InputError as error:
            raise InputError(
                "The perceptual loss 'vgg' needs the weights of torchvision's VGG19, which cannot be used here "
                f"({str(error).rstrip('.')}); name their file in perceptual_network, or set perceptual to none."
            ) from error
    if recipe.perceptual != "features":
        return None
    from ..bundle_search import resolve

    bundle = resolve(recipe.perceptual_network)
    manifest, shape = bundle.manifest, recipe.patch_shape()
    own, theirs = recipe.target().scale, manifest.source_scale()
    fits = all(size % step == 0 for size, step in zip(shape, manifest.network.multiple, strict=True))
    if manifest.units != "HU" or not isinstance(theirs, FixedScale) or manifest.network.dimensions > recipe.dimensions:
        raise InputError(
            f"'{bundle.title}' does not take CT in a fixed HU scale and in {recipe.dimensions} dimensions, so its "
            "features cannot be compared; name another model in perceptual_network."
        )
    if not fits:
        raise InputError(
            f"Patches of {recipe.patch_size} voxels do not fit '{bundle.title}'; set patch_size to a multiple of "
            f"{max(manifest.network.multiple)}."
        )

    def prepare(image: Tensor) -> Tensor:
        return (image * own.divisor + (own.offset - theirs.offset)) / theirs.divisor

    return FeatureLoss.from_bundle(bundle, prepare=prepare)
