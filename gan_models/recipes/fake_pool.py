"""Past fakes, shown to a discriminator again so that it does not forget them."""

import torch
from torch import Tensor

from gan_models.images.randomness import Random


class FakePool:
    """Past images of a generator (Shrivastava et al. 2017, arXiv 1612.07828, section 2.3).

    Each place in a batch has a pool of its own: at batch 1 that is the paper's one pool. So the pool of a process holds
    the past of its own share of a batch, and several processes do what one would. `images`, [depth, N, C, H, W], or
    None before the first, is all of its state.

    Args:
        depth: past images for each place in a batch; 0 shows new ones alone.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.images: Tensor | None = None

    def exchange(self, images: Tensor, random: Random) -> Tensor:
        """Take in new fakes and give out as many, of which about half are older ones.

        While the pool is filling, images are kept and returned. Once it is full, each image is, with probability one
        half, kept in the place of an older one, which is returned instead. Nothing waits for the device.

        Args:
            images: Float [N, C, H, W] without gradients.
            random: on their device.
        """
        if self.depth == 0:
            return images
        if self.images is None or self.images.shape[1:] != images.shape:  # They are of another number of processes.
            self.images = images.new_zeros(0, *images.shape)
        if len(self.images) < self.depth:
            self.images = torch.cat([self.images, images[None]])
            return images
        place = random.integers(len(images), self.depth), torch.arange(len(images), device=images.device)
        is_swapped = random.uniform(len(images), 1, 1, 1) < 0.5
        older = self.images[place]
        self.images[place] = torch.where(is_swapped, images, older)
        return torch.where(is_swapped, older, images)
