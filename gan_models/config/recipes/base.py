"""What the config sections of all recipes share."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from gan_models.config.bounds import Betas, LearningRate
from gan_models.config.section import Section
from gan_models.config.task import Task


@dataclass(frozen=True)
class MaskClasses:
    """What masks say: the value of each class in the files, its name, and the value that says nothing."""

    values: tuple[int, ...]
    names: tuple[str, ...]
    ignore: int | None = None


class RecipeSection(Section):
    """Base of the recipes' sections: what each says of itself, and how their optimizers, all of them Adam, are driven.

    task: what its models do with images, or "generate" them
    instance_norm: whether it is in the larger part of the networks
    """

    task: ClassVar[Task]
    instance_norm: ClassVar[bool] = False

    name: str
    learning_rate: LearningRate = 2e-4
    betas: Betas = (0.5, 0.999)
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "linear", description="how the learning rate falls over the last `decay` share of the steps"
    )
    decay: float = Field(0.5, ge=0, le=1, description="share of the steps, the last, over which the rate falls")
    final_learning_rate: float = Field(0.0, ge=0, le=1, description="where it falls to, as a share of learning_rate")
    warm_up: float = Field(0.0, ge=0, le=1, description="share of the steps, the first, over which the rate rises")
    gradient_clip: float | None = Field(None, gt=0, description="largest Euclidean norm of a network's gradient")

    @property
    def uses_labels(self) -> bool:
        """Whether the model can be asked for a label: as what to draw, or as a style."""
        return False

    @property
    def domains(self) -> tuple[str | None, str | None]:
        """The domain that it reads and the one it turns images into; None where it takes all images, or has none."""
        return None, None

    @property
    def paired_domains(self) -> tuple[str, str] | None:
        """The two sides of the pairs that it learns from; None where it takes no pairs of the dataset."""
        return None

    @property
    def mask_classes(self) -> MaskClasses | None:
        """What the masks say that it learns to make; None where it makes pictures."""
        return None

    @property
    def size_multiple(self) -> int:
        """What the sides of training images have to be multiples of."""
        return 1

    def check_size(self, size: int) -> None:
        """Raise a ValueError where models cannot be trained on images of `size` pixels a side."""
        if size % self.size_multiple:
            raise ValueError(
                f"{self.name} with this config works on sizes that are multiples of {self.size_multiple}, "
                f"and image.size is {size}"
            )
