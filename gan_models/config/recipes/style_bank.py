"""Section of the recipe `style_bank`."""

from typing import ClassVar, Literal

from pydantic import Field

from gan_models.config.bounds import Betas, LearningRate, Steps, Width
from gan_models.config.names import DomainName
from gan_models.config.recipes.base import RecipeSection
from gan_models.config.task import Task


class StyleBankConfig(RecipeSection):
    """One network for every label of the target domain as a style, and for styles that it has never seen.

    Weights that are 0 leave their term out, and with `adversarial_weight` the discriminator too.
    """

    task: ClassVar[Task] = "stylize"

    name: Literal["style_bank"] = "style_bank"
    source_domain: DomainName = "photo"
    target_domain: DomainName = "painting"
    encoder: Literal["efficientnet_lite0", "vgg19"] = Field(
        "efficientnet_lite0", description="the frozen network; vgg19 needs torchvision's weights on disk"
    )
    width: Width = Field(16, description="channels of the decoder at full resolution")
    discriminator_width: Width = 24
    learning_rate: LearningRate = 1e-3
    betas: Betas = (0.5, 0.99)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    content_weight: float = Field(1.0, ge=0)
    style_weight: float = Field(10.0, ge=0)
    identity_weight: float = Field(1.0, ge=0)
    bank_weight: float = Field(1.0, ge=0, description="of learned styles being the mean statistics of their paintings")
    total_variation_weight: float = Field(1e-5, ge=0)
    adversarial_weight: float = Field(0.5, ge=0)
    r1_gamma: float = Field(1.0, ge=0)
    r1_every: Steps = Field(4, description="steps between penalties, each with that many times the weight")

    @property
    def uses_labels(self) -> bool:
        """Whether a style can be asked for by the label of its paintings."""
        return True

    @property
    def domains(self) -> tuple[str | None, str | None]:
        """That of the photographs and that of the paintings."""
        return self.source_domain, self.target_domain

    @property
    def size_multiple(self) -> int:
        """Sides of images are multiples of it: that of the coarsest features which are transformed."""
        return 8
