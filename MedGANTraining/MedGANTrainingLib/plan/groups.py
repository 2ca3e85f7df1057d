"""The groups in which a form shows the parameters of a recipe."""

from __future__ import annotations

import dataclasses

from slicer.i18n import tr as _

COMMON, NETWORK, LOSSES, OPTIMIZATION, IMAGES = "common", "network", "losses", "optimization", "images"

_COMMON = {
    "epochs", "steps_per_epoch", "batch_size", "patch_size", "patience", "sample_interval", "checkpoint_interval",
    "precision", "seed",
}  # fmt: skip
_NETWORK = {
    "network", "generator", "discriminator", "predictor_content", "predictor_noise", "factor", "dimensions", "planes",
    "context_slices", "slab_depth", "coordinates", "base_width", "largest_width", "depth", "blocks", "residual_blocks",
    "feature_size", "slope", "normalisation", "norm_start", "dropout", "dropout_always", "upsampling",
    "upsampling_width", "icnr", "residual", "residual_hu", "only_add", "published_head", "discriminator_width",
    "discriminator_dropout", "discriminator_normalisation",
}  # fmt: skip
_OPTIMIZATION = {
    "beta1", "beta2", "averaging", "gradient_clip", "generator_steps", "discriminator_first", "separate_updates",
}  # fmt: skip
_LOSSES = {
    "label_smoothing", "noisy_labels", "conditional", "discriminator_warmup", "mask_loss", "pool_size",
}  # fmt: skip
_BEGINNINGS = {
    "weight_": LOSSES,
    "adversarial_": LOSSES,
    "gradient_penalty": LOSSES,
    "perceptual": LOSSES,
    "balance_": LOSSES,
    "learning_rate": OPTIMIZATION,
    "schedule": OPTIMIZATION,
}


def groupOf(name: str) -> str:
    """The group of a parameter; what no other group claims is about the images, where recipes differ most."""
    for group, names in ((COMMON, _COMMON), (NETWORK, _NETWORK), (OPTIMIZATION, _OPTIMIZATION), (LOSSES, _LOSSES)):
        if name in names:
            return group
    return next((group for beginning, group in _BEGINNINGS.items() if name.startswith(beginning)), IMAGES)


def groupTitles() -> dict[str, str]:
    """The groups in the order of the form, with their titles."""
    return {
        COMMON: _("Common"),
        NETWORK: _("Networks"),
        LOSSES: _("Losses"),
        OPTIMIZATION: _("Optimization"),
        IMAGES: _("Images and augmentation"),
    }


def described(recipeClass) -> list[dataclasses.Field]:
    """The parameters of a recipe that people may set, in its order."""
    return [field for field in dataclasses.fields(recipeClass) if "label" in field.metadata]
