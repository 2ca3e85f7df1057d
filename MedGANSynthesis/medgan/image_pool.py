"""Image pool: generated images of earlier steps, shown to a discriminator again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Keeps up to ``size`` generated images and lends them out at random, so that a discriminator does not forget.

    Once the pool is full, each image given is, with probability one half, exchanged for an old one; the rest goes
    through as it is. Random numbers are torch's, which the trainer seeds at every step. Size 0 keeps nothing.

    Source: Shrivastava et al., CVPR 2017, as CycleGAN uses it (Zhu et al., ICCV 2017).
    """

    def __init__(self, size: int = 50):
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor) -> Tensor:
        """A batch of the same shape, ``(batch, channels, ...)``, partly of earlier images; carries no gradient."""
        if not self.size:
            return images.detach()
        given = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image.clone())
                given.append(image)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(len(self.images), ()))
                given.append(self.images[place])
                self.images[place] = image.clone()
            else:
                given.append(image)
        return torch.stack(given)

    def state_dict(self) -> dict[str, Any]:
        """The images, for a checkpoint."""
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the images of a checkpoint."""
        self.images = list(state["images"])
