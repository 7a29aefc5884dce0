"""What pix2pix learns to make: pictures, or masks. Each knows how far an output is from it, and how it looks."""

from typing import Protocol

import torch
from torch import Tensor

from gan_models.config import MaskClasses
from gan_models.images.class_masks import IGNORED, colors_of, maps_of, numbers_of
from gan_models.images.pixels import make_grid, to_float, to_uint8
from gan_models.losses.segmentation import cross_entropy, softened
from gan_models.recipes.base import Preview
from gan_models.recipes.patch_judgment import variety
from gan_models.recipes.processes import mean_over_processes


class Targets(Protocol):
    """A kind of targets.

    name: of the distance to them; `weight`: of it in the loss
    channels: of what a discriminator sees of them
    """

    name: str
    weight: float
    channels: int

    def of(self, images: Tensor) -> Tensor:
        """Return targets, Float [N, ., S, S], of the images of a batch, Float [N, ., S, S] in [-1, 1]."""
        ...

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return how far the outputs of the network are from targets, a scalar."""
        ...

    def judged(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a discriminator sees of outputs and of targets, each Float [N, channels, S, S]."""
        ...

    def preview(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Preview:
        """Return columns of images, rows input, output and target, and how far outputs are from targets."""
        ...


class PictureTargets:
    """Pictures, at an L1 distance. `health/l1` of a preview is on [0, 1]."""

    name = "l1"

    def __init__(self, weight: float, channels: int) -> None:
        self.weight, self.channels = weight, channels

    def of(self, images: Tensor) -> Tensor:
        """Return pictures as they are."""
        return images

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean absolute difference."""
        return (outputs - targets).abs().mean()

    def judged(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return both as they are."""
        return outputs, targets

    def preview(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Preview:
        """Return the three as rows of a picture, with the distance and the variety of the outputs."""
        values = {"health/l1": (outputs - targets).abs().mean().item() / 2, "health/diversity": variety(outputs)}
        return Preview(make_grid(torch.cat([inputs, outputs, targets]), len(inputs)), values)


class MaskTargets:
    """Masks, as a map for each class, at a distance that is a cross-entropy. Ignored pixels are in nothing.

    A discriminator sees probabilities, those of the right classes softened. A preview tells `health/cross_entropy` and
    the share of pixels whose class is right, `health/pixel_accuracy`; no diversity, because masks may well be alike.
    """

    name = "cross_entropy"

    def __init__(self, classes: MaskClasses, weight: float, image_channels: int) -> None:
        self.classes, self.weight, self.channels = classes, weight, len(classes.values)
        self._image_channels = image_channels

    def of(self, images: Tensor) -> Tensor:
        """Return masks as maps, one a class, zero where a pixel is ignored."""
        return maps_of(numbers_of(to_uint8(images), self.classes), self.channels)

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of logits, over the pixels that are not ignored."""
        return cross_entropy(outputs, targets, mean_over_processes(targets.sum()))

    def judged(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities, and the right classes softened."""
        probabilities = outputs.softmax(dim=1)
        known = targets.sum(dim=1, keepdim=True)
        return probabilities * known, softened(targets, probabilities)

    def preview(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Preview:
        """Return the photographs, the classes told and the right ones in colors."""
        told, known = outputs.argmax(dim=1), targets.sum(dim=1) > 0
        right = torch.where(known, targets.argmax(dim=1), IGNORED)
        colors = (to_float(colors_of(numbers, self._image_channels)) for numbers in (told, right))
        accuracy = (told == right).sum() / known.sum().clamp(min=1)
        values = {
            "health/cross_entropy": cross_entropy(outputs, targets, targets.sum()).item(),
            "health/pixel_accuracy": accuracy.item(),
        }
        return Preview(make_grid(torch.cat([inputs, *colors]), len(inputs)), values)
