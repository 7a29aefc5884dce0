"""What the sections of recipes share that draw images out of noise."""

from typing import ClassVar

from pydantic import Field

from gan_models.config.recipes.base import RecipeSection
from gan_models.config.task import Task


class GenerationSection(RecipeSection):
    """Base of their sections."""

    task: ClassVar[Task] = "generate"

    latent_dim: int = Field(100, ge=1, le=65_536)
    conditional: bool = Field(True, description="draw the label that is asked for, where the data has labels")

    @property
    def uses_labels(self) -> bool:
        """Whether the label to draw can be asked for."""
        return self.conditional

    def check_size(self, size: int) -> None:
        """Raise a ValueError but where the networks can double their way up to images of `size` pixels a side."""
        if size & (size - 1):
            raise ValueError(f"{self.name} makes images whose size is a power of two, and image.size is {size}")
        super().check_size(size)
